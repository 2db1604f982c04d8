use std::time::Duration;

use super::*;
use crate::sqs::{Change, ReceiveRequest, Snapshot};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn at(seconds: u64) -> DateTime<Utc> {
    NOW + Duration::from_secs(seconds)
}

fn sqs() -> Sqs {
    let mut sqs = Sqs::with_seed(3);
    sqs.create_queue("jobs", &[].into(), NOW).unwrap();
    sqs
}

fn send(sqs: &mut Sqs, body: &str) -> String {
    sqs.send("jobs", SendRequest::new(body), NOW).unwrap().id
}

fn receive(sqs: &mut Sqs, seconds: u64) -> Vec<String> {
    let received = sqs.receive("jobs", ReceiveRequest::up_to(10), at(seconds)).unwrap();
    received.into_iter().map(|received| received.receipt_handle).collect()
}

#[test]
fn a_delay_ends_at_its_second_and_900_is_the_most() {
    let mut sqs = sqs();
    let delayed =
        |seconds| SendRequest { delay: Some(Duration::from_secs(seconds)), ..SendRequest::new("x") };
    sqs.send("jobs", delayed(900), NOW).unwrap();
    assert_eq!(sqs.counts("jobs", at(899)).unwrap().delayed, 1);
    assert_eq!(sqs.next_visible_at("jobs", at(1)).unwrap(), Some(at(900)));
    assert!(receive(&mut sqs, 899).is_empty());
    assert_eq!(receive(&mut sqs, 900).len(), 1);
    let error = sqs.send("jobs", delayed(901), NOW).unwrap_err();
    assert_eq!(error.code(), "InvalidParameterValue");
    assert!(error.to_string().starts_with("Value 901 for parameter DelaySeconds is invalid."), "{error}");
}

#[test]
fn the_queues_delay_counts_unless_the_message_has_its_own() {
    let mut sqs = sqs();
    sqs.set_attributes("jobs", &[("DelaySeconds", "60")].into(), NOW).unwrap();
    send(&mut sqs, "queue's");
    let own = SendRequest { delay: Some(Duration::ZERO), ..SendRequest::new("own") };
    sqs.send("jobs", own, NOW).unwrap();
    assert_eq!(receive(&mut sqs, 0).len(), 1);
    assert_eq!(sqs.counts("jobs", NOW).unwrap().delayed, 1);
}

#[test]
fn any_handle_of_a_message_deletes_it_and_twice_is_no_error() {
    let mut sqs = sqs();
    send(&mut sqs, "x");
    let first = receive(&mut sqs, 0);
    let second = receive(&mut sqs, 30);
    assert_ne!(first, second);
    sqs.delete("jobs", &first[0], at(31)).unwrap();
    sqs.delete("jobs", &second[0], at(31)).unwrap();
    assert!(receive(&mut sqs, 60).is_empty());
    assert_eq!(sqs.delete("jobs", "nonsense", NOW).unwrap_err().code(), "ReceiptHandleIsInvalid");
}

#[test]
fn visibility_can_be_prolonged_ended_and_not_changed_afterwards() {
    let mut sqs = sqs();
    send(&mut sqs, "x");
    let handle = receive(&mut sqs, 0).remove(0);
    sqs.change_visibility("jobs", &handle, Duration::from_secs(100), at(20)).unwrap();
    assert!(receive(&mut sqs, 119).is_empty());
    sqs.change_visibility("jobs", &handle, Duration::ZERO, at(119)).unwrap();
    let error = sqs.change_visibility("jobs", &handle, Duration::ZERO, at(119)).unwrap_err();
    assert_eq!(error.code(), "AWS.SimpleQueueService.MessageNotInflight");
    assert_eq!(receive(&mut sqs, 119).len(), 1);
}

#[test]
fn visibility_reaches_twelve_hours_from_the_receive_and_no_further() {
    let mut sqs = sqs();
    send(&mut sqs, "x");
    let handle = receive(&mut sqs, 0).remove(0);
    let all = Duration::from_hours(12);
    let error = sqs.change_visibility("jobs", &handle, all, at(1)).unwrap_err();
    assert!(error.to_string().contains("beyond the limit [43200 seconds]"), "{error}");
    sqs.change_visibility("jobs", &handle, Duration::from_secs(43_199), at(1)).unwrap();
    assert!(sqs.change_visibility("jobs", &handle, Duration::from_secs(43_201), at(1)).is_err());
    sqs.delete("jobs", &handle, at(2)).unwrap();
    let gone = sqs.change_visibility("jobs", &handle, Duration::ZERO, at(2)).unwrap_err();
    assert!(gone.to_string().contains("does not exist"), "{gone}");
}

#[test]
fn a_deleted_message_can_be_delivered_once_more() {
    let mut sqs = sqs();
    send(&mut sqs, "ghost");
    let received = sqs.receive("jobs", ReceiveRequest::default(), NOW).unwrap().remove(0);
    sqs.delete("jobs", &received.receipt_handle, NOW).unwrap();
    sqs.reinstate(Message { visible_at: at(5), ..received.message }, NOW).unwrap();
    assert!(receive(&mut sqs, 4).is_empty());
    assert_eq!(receive(&mut sqs, 5).len(), 1);
}

#[test]
fn a_restart_keeps_delays_and_counts_and_shows_what_was_in_flight() {
    let mut sqs = sqs().journaled();
    sqs.queue_stored("jobs");
    let taken = send(&mut sqs, "taken");
    receive(&mut sqs, 0);
    let late = SendRequest { delay: Some(Duration::from_mins(1)), ..SendRequest::new("late") };
    sqs.send("jobs", late, NOW).unwrap();
    let mut kept = Snapshot::default();
    let mut messages = std::collections::BTreeMap::new();
    for change in sqs.take_changes() {
        match change {
            Change::QueueStored(queue) => kept.queues.push(queue),
            Change::MessageStored(message) => drop(messages.insert(message.id.clone(), *message)),
            other => panic!("nothing was removed, but {other:?}"),
        }
    }
    kept.messages = messages.into_values().collect();
    let stray = Message { queue: "gone".to_owned(), id: "s".to_owned(), ..kept.messages[0].clone() };
    kept.messages.push(stray);

    let mut restored = Sqs::restore(kept, 4, at(1));
    assert!(matches!(restored.take_changes().as_slice(), [Change::MessageRemoved { .. }]));
    let again = restored.receive("jobs", ReceiveRequest::up_to(10), at(1)).unwrap();
    assert_eq!((again.len(), again[0].message.receive_count), (1, 2));
    assert_eq!(again[0].message.id, taken);
    assert_eq!(restored.next_visible_at("jobs", at(1)).unwrap(), Some(at(31)));
    assert_eq!(restored.counts("jobs", at(2)).unwrap().delayed, 1);
    let new = restored.send("jobs", SendRequest::new("new"), at(2)).unwrap();
    assert!(new.sequence > again[0].message.sequence + 1);
}
