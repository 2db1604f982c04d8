//! How calls ended, from the call to the fleet's count.
//!
//! Failures open a breaker, so they are written at once; successes wait for the next failure. While few calls fail, a
//! failure can wait too: a busy dependency would cost a write for each. So a worker writes once a second then.
//!
//! Workers that see successes alone would never write, and the fleet would know of failures only. So while the stored
//! counts look bad, a worker also writes its successes, once a second. As soon as they look well it stops.

use std::time::Duration;

use crate::breaker::{Breaker, Counts, ProbeEnd, Window};
use crate::job::BreakerName;
use crate::protection::breakers::{Breakers, CallEnd, Permit, ROUNDS};

/// How long successes alone wait to be written, if the breaker opens by a share of calls alone.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// How long counts wait that are not urgent.
const WRITE_APART: Duration = Duration::from_secs(1);

/// The calls that only this environment knows of. Instants are by the monotonic clock.
pub(crate) struct LocalCounts {
    unwritten: Window,
    /// When calls were written last, or this environment first heard of the breaker.
    written_at: Duration,
    /// Whether calls were ever written.
    has_written: bool,
    /// When a prompt answer came last.
    prompt_at: Option<Duration>,
}

impl LocalCounts {
    pub(super) const fn new(now: Duration) -> Self {
        Self { unwritten: Window::new(), written_at: now, has_written: false, prompt_at: None }
    }

    pub(super) const fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Whether a prompt answer came after this instant.
    pub(super) fn is_prompt_since(&self, instant: Duration) -> bool {
        self.prompt_at.is_some_and(|at| at > instant)
    }
}

/// Calls that were counted together.
#[derive(Clone, Copy)]
struct Counted {
    counts: Counts,
    /// Whether the dependency answered promptly.
    is_prompt: bool,
}

/// Counts on their way to the store. If they don't arrive, because the store does not answer or the job is stopped,
/// they are kept for the next write.
struct Unwritten<'a> {
    breakers: &'a Breakers,
    name: &'a BreakerName,
    counts: Window,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        let length = self.breakers.policies.breaker_policy(self.name).monitoring_period();
        let now = self.breakers.clock.now();
        // Calls that ended meanwhile ended later.
        self.breakers.cache.with(self.name, |known| {
            let later = std::mem::replace(&mut known.local.unwritten, std::mem::take(&mut self.counts));
            known.local.unwritten.merge(&later, now, length);
        });
    }
}

/// Whether calls have to be written now, and how badly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// They can wait for the next failure.
    None,
    /// Only to tell that the dependency answers promptly.
    News,
    /// The fleet should know of these successes. Another worker's tell the same.
    Wanted,
    /// In any case.
    Urgent,
}

impl Breakers {
    /// Counts how a call ended. Costs a request if it was the probe, and otherwise at most one a second, unless the next
    /// failure may open the breaker: for calls that failed or were slow, for successes while the counts look bad, and for
    /// the news of a prompt answer. A call that was cut short is no answer, however soon.
    pub(crate) async fn report(&self, permit: &Permit, end: CallEnd, took: Duration, is_answer: bool) {
        let policy = self.policies.breaker_policy(&permit.breaker);
        let is_slow = policy.is_slow(took) && end != CallEnd::Unknown;
        let is_prompt = is_answer && policy.bulkhead_terms().is_some_and(|terms| took <= terms.prompt);
        let Some(probe) = permit.probe else {
            if end != CallEnd::Unknown {
                let counts = Counts::one(end == CallEnd::Failed, is_slow);
                self.count(&permit.breaker, Counted { counts, is_prompt }).await;
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
            let Some(breaker) = self.cache.latest(name) else { return };
            // If another caller has the lease by now, this probe says nothing.
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

    async fn count(&self, name: &BreakerName, call: Counted) {
        let (now, at) = (self.clock.now(), self.clock.monotonic());
        let urgency = self.count_here(name, call, at);
        if urgency == Urgency::None {
            return;
        }
        let is_urgent = urgency != Urgency::News;
        let turn = self.cache.write_turn(name);
        let _turn = turn.lock().await;
        let counts = self.cache.with(name, |known| {
            (is_urgent || known.state.needs_answer(now)).then(|| {
                known.local.written_at = at;
                known.local.has_written = true;
                std::mem::take(&mut known.local.unwritten)
            })
        });
        let Some(counts) = counts.flatten() else { return };
        let mut unwritten = Unwritten { breakers: self, name, counts };
        if self.write_counts(name, &unwritten.counts, call.is_prompt, urgency).await {
            unwritten.counts = Window::new();
        }
    }

    /// Counts a call in this environment.
    fn count_here(&self, name: &BreakerName, call: Counted, at: Duration) -> Urgency {
        let policy = self.policies.breaker_policy(name);
        let now = self.clock.now();
        let urgency = self.cache.with(name, |known| {
            known.local.unwritten.count(now, call.counts, policy.monitoring_period());
            if call.is_prompt {
                known.local.prompt_at = Some(at);
            }
            let is_bad = call.counts.failures > 0 || call.counts.slow > 0;
            let waited = at.saturating_sub(known.local.written_at);
            let is_time = waited >= WRITE_APART || !known.local.has_written;
            let is_urgent =
                is_bad && (is_time || known.state.is_uneasy_with(&known.local.unwritten, policy, now));
            let is_wanted = if policy.opens_by_share() {
                !known.state.window.is_empty() && waited >= WRITE_EVERY
            } else {
                is_time && !known.state.window.is_empty() && known.state.is_uneasy(policy, now)
            };
            if is_urgent || is_wanted && policy.opens_by_share() {
                Urgency::Urgent
            } else if is_wanted {
                Urgency::Wanted
            } else if call.is_prompt && known.state.needs_answer(now) {
                Urgency::News
            } else {
                Urgency::None
            }
        });
        urgency.unwrap_or(Urgency::None)
    }

    /// Whether the counts are written. They wait for the next write if they are not urgent and another writer was
    /// faster.
    async fn write_counts(
        &self,
        name: &BreakerName,
        counts: &Window,
        is_prompt: bool,
        urgency: Urgency,
    ) -> bool {
        let policy = self.policies.breaker_policy(name);
        for round in 0..ROUNDS {
            let Some(breaker) = self.cache.latest(name) else { return false };
            let is_news = is_prompt && breaker.needs_answer(self.clock.now());
            let is_due = match urgency {
                Urgency::Urgent => true,
                Urgency::Wanted => round == 0,
                Urgency::News | Urgency::None => false,
            };
            if !is_news && (counts.is_empty() || !is_due) {
                return false;
            }
            let answered: Breaker = if is_news { breaker.clone().answered(true) } else { breaker.clone() };
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
