use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::sqs::{ReceiveRequest, RedrivePolicy, SendRequest};

/// The records that a caller of the journal has on disk.
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
