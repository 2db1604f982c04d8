//! How calls ended, from where they were made to where the fleet counts them.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker::{Counts, ProbeEnd, Window};
use crate::job::BreakerName;
use crate::protection::breakers::{Breakers, CallEnd, Permit, ROUNDS};

/// How long successes alone wait to be written, where shares of calls count.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// Counts on their way to the store. Those that don't arrive, because it does not answer or because their job is
/// stopped meanwhile, are kept for the next time.
struct Unwritten<'a> {
    breakers: &'a Breakers,
    name: &'a BreakerName,
    counts: Window,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        let length = self.breakers.policies.breaker_policy(self.name).monitoring_period();
        let now = self.breakers.clock.now();
        if let Some(one) = self.breakers.known().get_mut(self.name) {
            one.unwritten.merge(&self.counts, now, length);
        }
    }
}

impl Breakers {
    /// Counts how a call ended. Costs a request where it failed, was slow or was the probe. What was cut short, by
    /// whoever called, is no answer, however soon.
    pub(crate) async fn report(&self, permit: &Permit, end: CallEnd, took: Duration, is_answer: bool) {
        let policy = self.policies.breaker_policy(&permit.breaker);
        let is_slow = policy.is_slow(took) && end != CallEnd::Unknown;
        let is_prompt = is_answer && policy.bulkhead_terms().is_some_and(|terms| took <= terms.prompt);
        let Some(probe) = permit.probe else {
            if end != CallEnd::Unknown {
                self.count(&permit.breaker, Counts::one(end == CallEnd::Failed, is_slow), is_prompt).await;
            }
            return;
        };
        let end = match end {
            CallEnd::Succeeded if is_slow => ProbeEnd::Failed,
            CallEnd::Succeeded => ProbeEnd::Succeeded,
            CallEnd::Failed => ProbeEnd::Failed,
            CallEnd::Unknown => ProbeEnd::Unused,
        };
        self.end_probe(&permit.breaker, probe, end, is_prompt).await;
    }

    async fn end_probe(&self, name: &BreakerName, probe: u64, end: ProbeEnd, is_prompt: bool) {
        let policy = self.policies.breaker_policy(name);
        for _ in 0..ROUNDS {
            let Some(breaker) = self.stored(name) else { return };
            // Where the lease is somebody else's by now, this probe says nothing any more.
            let Some(mut next) = breaker.clone().probed(probe, end, policy, self.clock.now()) else { return };
            if end != ProbeEnd::Unused && policy.bulkhead_terms().is_some() {
                next = next.answered(is_prompt);
            }
            match self.write(&breaker, next).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "a probe's end can't be written; its lease runs out");
                    return;
                }
            }
        }
    }

    async fn count(&self, name: &BreakerName, counts: Counts, is_prompt: bool) {
        let policy = self.policies.breaker_policy(name);
        let (now, at) = (self.clock.now(), self.clock.monotonic());
        let (writing, is_urgent) = {
            let mut known = self.known();
            let Some(one) = known.get_mut(name) else { return };
            one.unwritten.count(now, counts, policy.monitoring_period());
            if is_prompt {
                one.prompt_at = Some(at);
            }
            let is_bad = counts.failures > 0 || counts.slow > 0;
            let is_due = policy.counts_calls()
                && !one.breaker.window.is_empty()
                && at.saturating_sub(one.written_at) >= WRITE_EVERY;
            let is_news = is_prompt && one.breaker.awaits_a_prompt_answer(now);
            if !is_bad && !is_due && !is_news {
                return;
            }
            (Arc::clone(&one.writing), is_bad || is_due)
        };
        let _turn = writing.lock().await;
        let counts = {
            let mut known = self.known();
            let Some(one) = known.get_mut(name) else { return };
            if !is_urgent && !one.breaker.awaits_a_prompt_answer(now) {
                return;
            }
            one.written_at = at;
            std::mem::take(&mut one.unwritten)
        };
        let mut unwritten = Unwritten { breakers: self, name, counts };
        if self.write_counts(name, &unwritten.counts, is_prompt, is_urgent).await {
            unwritten.counts = Window::new();
        }
    }

    /// Whether the counts are written. They wait for the next write where they are not urgent, and somebody else was
    /// faster with the news that the dependency answers promptly.
    async fn write_counts(
        &self,
        name: &BreakerName,
        counts: &Window,
        is_prompt: bool,
        is_urgent: bool,
    ) -> bool {
        let policy = self.policies.breaker_policy(name);
        for _ in 0..ROUNDS {
            let Some(breaker) = self.stored(name) else { return false };
            let is_news = is_prompt && breaker.awaits_a_prompt_answer(self.clock.now());
            if !is_news && (counts.is_empty() || !is_urgent) {
                return false;
            }
            let answered = if is_news { breaker.clone().answered(true) } else { breaker.clone() };
            let next = answered.recorded(counts, policy, self.clock.now());
            match self.write(&breaker, next).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(breaker = %name, error = &error as &dyn std::error::Error,
                        "failures can't be counted yet");
                    return false;
                }
            }
        }
        false
    }
}
