//! Fires the rules on time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::ports::JobQueue;

use super::Rule;

/// How late a firing may be. A machine that slept for a night must not fire all missed ones at once.
const LATE: TimeDelta = TimeDelta::minutes(1);
/// The longest single wait, because the wall clock may be set and the machine may sleep.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The enabled rules, with the queue and the clock to fire them.
pub struct Rules {
    enabled: Vec<Rule>,
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    started: DateTime<Utc>,
}

/// A rule that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// When it fired.
    pub at: DateTime<Utc>,
    /// Why its message was not sent, if it failed.
    pub error: Option<String>,
}

impl Rules {
    /// The enabled ones of these rules, from now on.
    #[must_use]
    pub fn new(rules: Vec<Rule>, queue: Arc<dyn JobQueue>, clock: Arc<dyn Clock>) -> Self {
        let enabled = rules.into_iter().filter(|rule| rule.enabled).collect();
        Self { enabled, queue, started: clock.now(), clock }
    }

    /// Each rule with its next firing after an instant, if it fires again.
    pub fn upcoming(&self, after: DateTime<Utc>) -> impl Iterator<Item = (&Rule, Option<DateTime<Utc>>)> {
        self.enabled.iter().map(move |rule| (rule, rule.expression.next_after(after, self.started)))
    }

    /// Fires each rule at its time and reports each firing, until no rule fires again. A firing that was missed while
    /// nothing ran stays missed.
    pub async fn run(&self, tell: impl Fn(&Fired<'_>)) {
        let mut after = self.started;
        while let Some(at) = self.upcoming(after).filter_map(|(_, at)| at).min() {
            self.sleep_until(at).await;
            let due: Vec<&Rule> =
                self.upcoming(after).filter(|(_, next)| *next == Some(at)).map(|(rule, _)| rule).collect();
            self.fire(&due, at, &tell).await;
            after = at.max(self.clock.now() - LATE);
        }
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        while let Some(wait) = (at - self.clock.now()).to_std().ok().filter(|wait| !wait.is_zero()) {
            self.clock.sleep(wait.min(LOOK_EVERY)).await;
        }
    }

    async fn fire(&self, due: &[&Rule], at: DateTime<Utc>, tell: &impl Fn(&Fired<'_>)) {
        let messages: Vec<_> = due.iter().map(|rule| rule.message(at)).collect();
        let sent = self.queue.send(&messages).await;
        for (rule, outcome) in due.iter().zip(sent) {
            let error = outcome.err().map(|error| error.to_string());
            tell(&Fired { rule: &rule.name, at, error });
        }
    }
}
