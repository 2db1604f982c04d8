//! How the wish of a dependency not to be called reaches the fleet.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::breaker::{LONGEST_HOLD, Window, Wish};
use crate::clock::whole_second;
use crate::job::BreakerName;
use crate::protection::breakers::{Breakers, ROUNDS};

impl Breakers {
    /// Holds the calls of a breaker for this long, but at most an hour: those of one tenant, or all. `took` is the
    /// duration of the call that was answered so. Answers that come together cost one write.
    pub(crate) async fn hold(
        &self,
        name: &BreakerName,
        tenant: Option<String>,
        wait: Duration,
        took: Duration,
    ) {
        let policy = self.policies.breaker_policy(name);
        let is_prompt = policy.bulkhead_terms().is_some_and(|terms| took <= terms.prompt);
        let wish = Wish { tenant, until: hold_end(self.clock.now(), wait) };
        let turn = self.cache.write_turn(name);
        let _turn = turn.lock().await;
        for _ in 0..ROUNDS {
            let Some(breaker) = self.cache.latest(name) else { return };
            let now = self.clock.now();
            let is_news = is_prompt && breaker.needs_answer(now);
            let is_held = breaker.heeds(&wish, now);
            if is_held && !is_news {
                return;
            }
            let answered = if is_news { breaker.clone().answered(true) } else { breaker.clone() };
            let next = if is_held {
                answered.recorded(&Window::new(), policy, now)
            } else {
                answered.held(wish.clone(), now)
            };
            match self.write(&breaker, next).await {
                Ok(true) => return,
                Ok(false) => self.cache.back_off().await,
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "a hold can't be written; calls go on");
                    return;
                }
            }
        }
    }
}

/// The end of a hold: a whole second, so that answers of the same second ask for the same.
fn hold_end(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let wait = TimeDelta::from_std(wait.min(LONGEST_HOLD)).unwrap_or_default();
    let end = now + wait;
    let second = whole_second(end);
    if second < end { second + TimeDelta::seconds(1) } else { end }
}
