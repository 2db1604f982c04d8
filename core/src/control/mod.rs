//! The control item: all pauses, with their beginnings and reasons, and the deployment's settings.
//!
//! All environments share one control item, and it decides. Each write is conditional on the previous
//! revision. So a pause and a resume at the same moment end as one of the two, never as a mixture.
//!
//! Three things follow the control item, each by itself. A *worker* reads it; a message of a paused queue waits
//! as long again as the pause has lasted, at least 5 s and at most 1 minute. The *event source mappings* are
//! compared with it at each tick of the dispatcher, so a pause costs nothing while it lasts. The *local pollers* are
//! event sources that change at once. `ENABLE_JOBS=false` disables the same mappings; the item notes since when.

mod pause_reason;
mod settings;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use pause_reason::PauseReason;
pub use settings::{DeployedSettings, NotedSettings};

use crate::job::Queue;

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<PauseReason>,
}

/// In words: `paused since <instant>`, and why.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.to_rfc3339_opts(SecondsFormat::Secs, true);
        match &self.reason {
            None => write!(f, "paused since {since}"),
            Some(reason) => write!(f, "paused since {since}: {reason}"),
        }
    }
}

/// The control item.
///
/// ```
/// use lambda_jobs_core::control::Control;
/// use lambda_jobs_core::Queue;
///
/// let now = "2026-11-23T08:00:00Z".parse()?;
/// let paused = Control::default().pause(Some(Queue::Webhooks), None, now);
/// assert!(paused.is_paused(Queue::Webhooks) && !paused.is_paused(Queue::High));
/// assert!(!paused.resume(None).is_paused(Queue::Webhooks));
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// How often it was changed; 0 if there is no item yet.
    pub revision: u64,
    /// The pause of all work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Pause>,
    /// The pauses of single queues.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<Queue, Pause>,
    /// Since when the reconciler has seen `ENABLE_JOBS=false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_since: Option<DateTime<Utc>>,
    /// The deployment's settings, for its callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<NotedSettings>,
}

impl Control {
    /// Pauses one queue, or all work if `scope` is `None`. An earlier pause keeps its beginning, and its reason unless
    /// there is a new one.
    #[must_use]
    pub fn pause(&self, scope: Option<Queue>, reason: Option<PauseReason>, now: DateTime<Utc>) -> Self {
        let mut next = self.clone();
        let old = match scope {
            None => next.all.take(),
            Some(queue) => next.queues.remove(&queue),
        };
        let pause = match old {
            Some(old) => Pause { reason: reason.or(old.reason), since: old.since },
            None => Pause { since: now, reason },
        };
        match scope {
            None => next.all = Some(pause),
            Some(queue) => drop(next.queues.insert(queue, pause)),
        }
        next.after(self)
    }

    /// Lifts every pause of one queue, or of all queues if `scope` is `None`. If all work is paused and one queue is
    /// resumed, the other queues stay paused.
    #[must_use]
    pub fn resume(&self, scope: Option<Queue>) -> Self {
        let mut next = self.clone();
        match scope {
            None => {
                next.all = None;
                next.queues.clear();
            }
            Some(resumed) => {
                if let Some(all) = next.all.take() {
                    for queue in Queue::ALL {
                        next.queues.entry(queue).or_insert_with(|| all.clone());
                    }
                }
                next.queues.remove(&resumed);
            }
        }
        next.after(self)
    }

    /// Notes whether the environment enables jobs; the environment doesn't tell since when.
    #[must_use]
    pub fn noting(&self, jobs_enabled: bool, now: DateTime<Utc>) -> Self {
        let since = if jobs_enabled { None } else { Some(self.disabled_since.unwrap_or(now)) };
        Self { disabled_since: since, ..self.clone() }.after(self)
    }

    /// Whether a queue is paused.
    #[must_use]
    pub fn is_paused(&self, queue: Queue) -> bool {
        self.pause_of(queue).is_some()
    }

    /// Since when a queue is paused.
    #[must_use]
    pub fn paused_since(&self, queue: Queue) -> Option<DateTime<Utc>> {
        self.pause_of(queue).map(|pause| pause.since)
    }

    /// The pause that holds a queue's jobs; the earlier one if there are two.
    #[must_use]
    pub fn pause_of(&self, queue: Queue) -> Option<&Pause> {
        self.all.iter().chain(self.queues.get(&queue)).min_by_key(|pause| pause.since)
    }

    /// Whether no queue's jobs run.
    #[must_use]
    pub fn is_all_paused(&self) -> bool {
        Queue::ALL.into_iter().all(|queue| self.is_paused(queue))
    }

    /// Since when nobody has run a queue's jobs, for whatever reason.
    #[must_use]
    pub fn idle_since(&self, queue: Queue) -> Option<DateTime<Utc>> {
        self.paused_since(queue).into_iter().chain(self.disabled_since).min()
    }

    /// The next revision, if anything has changed.
    pub(crate) fn after(mut self, earlier: &Self) -> Self {
        if self != *earlier {
            self.revision = earlier.revision + 1;
        }
        self
    }
}

/// How long a paused job waits before it looks again: as long as the pause has lasted, 5 s to 1 minute. So it notices
/// the end of a short pause soon, and a long pause costs little.
pub(crate) fn looking_again(since: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
    (now - since).clamp(TimeDelta::seconds(5), TimeDelta::minutes(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_paused_job_is_looked_at_soon_at_first_and_then_once_a_minute() {
        let age = |seconds| looking_again(NOW - TimeDelta::seconds(seconds), NOW).num_seconds();
        assert_eq!([-2, 0, 5, 20, 60, 3600].map(age), [5, 5, 5, 20, 60, 60]);
    }

    fn paused_queues(control: &Control) -> Vec<&str> {
        Queue::ALL.into_iter().filter(|queue| control.is_paused(*queue)).map(Queue::as_str).collect()
    }

    #[test]
    fn one_queue_resumed_out_of_a_pause_of_all_leaves_the_others_paused_as_they_were() {
        let reason: Option<PauseReason> = "deploy".parse().ok();
        let all = Control::default().pause(None, reason.clone(), NOW);
        let some = all.resume(Some(Queue::High));
        assert_eq!(paused_queues(&some), ["normal", "low", "webhooks"]);
        assert_eq!(some.pause_of(Queue::Low), Some(&Pause { since: NOW, reason }));
        assert_eq!((all.revision, some.revision), (1, 2));
    }

    #[test]
    fn a_pause_that_is_asked_for_again_keeps_its_beginning_and_takes_the_new_reason() {
        let later = NOW + TimeDelta::hours(1);
        let first = Control::default().pause(Some(Queue::Low), "one".parse().ok(), NOW);
        assert_eq!(first.pause(Some(Queue::Low), None, later), first, "nothing changes");
        let second = first.pause(Some(Queue::Low), "two".parse().ok(), later);
        let expected = Pause { since: NOW, reason: "two".parse().ok() };
        assert_eq!((second.pause_of(Queue::Low), second.revision), (Some(&expected), 2));
    }

    #[test]
    fn what_is_disabled_by_the_environment_is_idle_and_not_paused() {
        let disabled = Control::default().noting(false, NOW);
        let later = disabled.noting(false, NOW + TimeDelta::hours(1));
        assert_eq!(later, disabled);
        assert_eq!((disabled.idle_since(Queue::High), disabled.is_paused(Queue::High)), (Some(NOW), false));
        assert_eq!(disabled.noting(true, NOW).idle_since(Queue::High), None);
    }

    fn scope() -> impl Strategy<Value = Option<Queue>> {
        prop_oneof![Just(None), (0..4_usize).prop_map(|at| Some(Queue::ALL[at]))]
    }

    proptest! {
        #[test]
        fn what_was_asked_for_last_holds_for_each_queue(
            steps in prop::collection::vec((scope(), any::<bool>()), 0..20)
        ) {
            let mut control = Control::default();
            let mut expected: BTreeMap<Queue, bool> = BTreeMap::new();
            for (at, (scope, pause)) in (0_i64..).zip(steps) {
                let now = NOW + TimeDelta::seconds(at);
                let next = if pause { control.pause(scope, None, now) } else { control.resume(scope) };
                prop_assert_eq!(next == control, next.revision == control.revision);
                control = next;
                let touched = scope.map_or(Queue::ALL.to_vec(), |queue| vec![queue]);
                expected.extend(touched.into_iter().map(|queue| (queue, pause)));
            }
            for queue in Queue::ALL {
                prop_assert_eq!(control.is_paused(queue), expected.get(&queue).copied().unwrap_or(false));
            }
            let json = serde_json::to_string(&control).unwrap();
            prop_assert_eq!(serde_json::from_str::<Control>(&json).unwrap(), control);
        }
    }
}
