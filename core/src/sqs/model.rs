//! The model's state, and how it is kept.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fastrand::Rng;

use super::queue::Queue;
use super::{Change, Message, Snapshot, SqsError};
use crate::sqs::visibility::Place;

/// All queues of one account.
///
/// Every call takes the present instant. Calls should come in the order of their instants; one that comes late
/// finds what has become visible still visible.
///
/// With [`journaled`](Self::journaled), each call adds to a list what it changed, which
/// [`take_changes`](Self::take_changes) hands out; whoever writes it before answering loses nothing.
///
/// ```
/// use chrono::DateTime;
/// use lambda_jobs_core::sqs::{Change, SendRequest, Snapshot, Sqs};
///
/// # fn main() -> Result<(), lambda_jobs_core::sqs::SqsError> {
/// let now = DateTime::UNIX_EPOCH;
/// let mut sqs = Sqs::with_seed(1).journaled();
/// sqs.create_queue("jobs", &[].into(), now)?;
/// let id = sqs.send("jobs", SendRequest::new("hello"), now)?.id;
///
/// let mut kept = Snapshot::default();
/// for change in sqs.take_changes() {
///     match change {
///         Change::QueueStored(queue) => kept.queues.push(queue),
///         Change::MessageStored(message) => kept.messages.push(*message),
///         Change::QueueRemoved { .. } | Change::MessageRemoved { .. } => {}
///     }
/// }
/// let restored = Sqs::restore(kept, 2, now);
/// assert_eq!(restored.messages("jobs")?[0].id, id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sqs {
    pub(super) queues: BTreeMap<String, Queue>,
    rng: Rng,
    next_sequence: u64,
    journal: Option<Vec<Change>>,
}

impl Sqs {
    /// An account without queues; ids come from this generator.
    #[must_use]
    pub const fn new(rng: Rng) -> Self {
        Self { queues: BTreeMap::new(), rng, next_sequence: 0, journal: None }
    }

    /// An account without queues; the same seed gives the same ids.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self::new(Rng::with_seed(seed))
    }

    /// From now on, list what each call changes.
    #[must_use]
    pub fn journaled(mut self) -> Self {
        self.journal = Some(self.journal.unwrap_or_default());
        self
    }

    /// What was changed since the last time, in order; always empty unless [`journaled`](Self::journaled).
    #[must_use]
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The account as it was kept, journaled, after a stop at which every receiver was lost.
    ///
    /// What was in flight is visible at once, its receive count kept; delays go on. A message whose queue was
    /// not kept (a deletion that a crash cut short) is dropped, and listed as a change.
    #[must_use]
    pub fn restore(kept: Snapshot, seed: u64, now: DateTime<Utc>) -> Self {
        let mut sqs = Self::with_seed(seed).journaled();
        for state in kept.queues {
            sqs.queues.insert(state.name.clone(), Queue::new(state));
        }
        sqs.next_sequence = kept.messages.iter().map(|message| message.sequence).max().unwrap_or(0);
        for mut message in kept.messages {
            if message.receive_count > 0 {
                message.visible_at = message.visible_at.min(now);
            }
            match sqs.queues.get_mut(&message.queue) {
                Some(queue) => {
                    let place = Place::of(&message, now);
                    queue.put(message, place);
                }
                None => sqs.removed(message),
            }
        }
        sqs
    }

    pub(super) fn queue(&self, name: &str) -> Result<&Queue, SqsError> {
        self.queues.get(name).ok_or_else(|| SqsError::no_queue(name))
    }

    pub(super) fn queue_mut(&mut self, name: &str) -> Result<&mut Queue, SqsError> {
        self.queues.get_mut(name).ok_or_else(|| SqsError::no_queue(name))
    }

    /// The queue as it stands at this instant.
    pub(super) fn settled(&mut self, name: &str, now: DateTime<Utc>) -> Result<&mut Queue, SqsError> {
        for expired in self.queue_mut(name)?.settle(now) {
            self.removed(expired);
        }
        self.queue_mut(name)
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.next_sequence = self.next_sequence.saturating_add(1);
        self.next_sequence
    }

    pub(super) fn new_id(&mut self) -> String {
        let bytes = self.rng.u128(..).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Puts a message into a queue that exists, and lists it as changed.
    pub(super) fn store(&mut self, message: Message, place: Place) {
        self.record(|| Change::MessageStored(Box::new(message.clone())));
        if let Some(queue) = self.queues.get_mut(&message.queue) {
            queue.put(message, place);
        }
    }

    pub(super) fn removed(&mut self, message: Message) {
        self.record(|| Change::MessageRemoved { id: message.id, queue: message.queue });
    }

    pub(super) fn queue_stored(&mut self, name: &str) {
        let Some(queue) = self.queues.get(name) else { return };
        if let Some(journal) = &mut self.journal {
            journal.push(Change::QueueStored(queue.state.clone()));
        }
    }

    pub(super) fn record(&mut self, change: impl FnOnce() -> Change) {
        if let Some(journal) = &mut self.journal {
            journal.push(change());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::sqs::{ReceiveRequest, RedrivePolicy, SendRequest};

    /// What a keeper of the journal would have on disk.
    #[derive(Default)]
    struct Kept {
        queues: BTreeMap<String, crate::sqs::QueueState>,
        messages: BTreeMap<String, Message>,
    }

    impl Kept {
        fn apply(&mut self, changes: Vec<Change>) {
            for change in changes {
                match change {
                    Change::QueueStored(queue) => drop(self.queues.insert(queue.name.clone(), queue)),
                    Change::QueueRemoved { name } => drop(self.queues.remove(&name)),
                    Change::MessageStored(message) => {
                        drop(self.messages.insert(message.id.clone(), *message));
                    }
                    Change::MessageRemoved { id, .. } => drop(self.messages.remove(&id)),
                }
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Send { delay: u64, group: u8 },
        Receive { max: usize, timeout: u64 },
        Delete { handle: usize },
        Change { handle: usize, timeout: u64 },
        Wait { seconds: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..5_u64, 0..3_u8).prop_map(|(delay, group)| Step::Send { delay, group }),
            (1..=10_usize, 0..20_u64).prop_map(|(max, timeout)| Step::Receive { max, timeout }),
            any::<usize>().prop_map(|handle| Step::Delete { handle }),
            (any::<usize>(), 0..20_u64).prop_map(|(handle, timeout)| Step::Change { handle, timeout }),
            (0..30_u64).prop_map(|seconds| Step::Wait { seconds }),
        ]
    }

    struct World {
        sqs: Sqs,
        now: DateTime<Utc>,
        handles: Vec<String>,
    }

    impl World {
        fn new() -> Self {
            let now = DateTime::UNIX_EPOCH;
            let mut sqs = Sqs::with_seed(11).journaled();
            sqs.create_queue("dead", &[].into(), now).unwrap();
            let policy = RedrivePolicy::new("dead", 2).unwrap().to_json();
            let settings = [("RedrivePolicy", policy.as_str()), ("MessageRetentionPeriod", "120")].into();
            sqs.create_queue("jobs", &settings, now).unwrap();
            Self { sqs, now, handles: Vec::new() }
        }

        fn take(&mut self, step: Step) {
            let (sqs, now) = (&mut self.sqs, self.now);
            let handle = |index: usize| self.handles.get(index % self.handles.len().max(1)).cloned();
            match step {
                Step::Send { delay, group } => {
                    let delay = Some(Duration::from_secs(delay));
                    let mut request = SendRequest { delay, ..SendRequest::new("x") };
                    request.content.group = (group > 0).then(|| group.to_string());
                    sqs.send("jobs", request, now).unwrap();
                }
                Step::Receive { max, timeout } => {
                    let request = ReceiveRequest { max, visibility: Some(Duration::from_secs(timeout)) };
                    let received = sqs.receive("jobs", request, now).unwrap();
                    assert!(received.len() <= max);
                    self.handles.extend(received.into_iter().map(|received| received.receipt_handle));
                }
                Step::Delete { handle: index } => {
                    handle(index).map(|handle| sqs.delete("jobs", &handle, now).unwrap()).unwrap_or_default();
                }
                Step::Change { handle: index, timeout } => {
                    if let Some(handle) = handle(index) {
                        let _ = sqs.change_visibility("jobs", &handle, Duration::from_secs(timeout), now);
                    }
                }
                Step::Wait { seconds } => self.now += Duration::from_secs(seconds),
            }
        }
    }

    proptest! {
        #[test]
        fn the_journal_tells_all_and_every_message_has_one_place(steps in prop::collection::vec(step(), 1..60)) {
            let mut world = World::new();
            let mut kept = Kept::default();
            for step in steps {
                world.take(step);
                let mut held = BTreeMap::new();
                for queue in ["jobs", "dead"] {
                    let counts = world.sqs.counts(queue, world.now).unwrap();
                    let messages = world.sqs.messages(queue).unwrap();
                    prop_assert_eq!(counts.visible + counts.in_flight + counts.delayed, messages.len());
                    held.extend(messages.into_iter().map(|message| (message.id.clone(), message.clone())));
                }
                kept.apply(world.sqs.take_changes());
                prop_assert_eq!(&kept.messages, &held);
            }
            let snapshot = Snapshot {
                queues: kept.queues.into_values().collect(),
                messages: kept.messages.into_values().collect(),
            };
            let mut restored = Sqs::restore(snapshot, 1, world.now);
            for queue in ["jobs", "dead"] {
                let (old, new) = (world.sqs.counts(queue, world.now), restored.counts(queue, world.now).unwrap());
                let old = old.unwrap();
                prop_assert_eq!(new.visible, old.visible + old.in_flight);
                prop_assert_eq!(new.delayed, old.delayed);
            }
        }
    }
}
