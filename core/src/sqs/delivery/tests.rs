use super::*;
use crate::sqs::{Change, Counts, RedrivePolicy, SendRequest};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn at(seconds: u64) -> DateTime<Utc> {
    NOW + Duration::from_secs(seconds)
}

fn sqs() -> Sqs {
    let mut sqs = Sqs::with_seed(5);
    sqs.create_queue("dead", &[].into(), NOW).unwrap();
    let policy = RedrivePolicy::new("dead", 2).unwrap().to_json();
    sqs.create_queue("jobs", &[("RedrivePolicy", policy.as_str())].into(), NOW).unwrap();
    sqs
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|received| received.message.content.body.as_str()).collect()
}

fn send(sqs: &mut Sqs, body: &str, group: Option<&str>) {
    let mut request = SendRequest::new(body);
    request.content.group = group.map(str::to_owned);
    sqs.send("jobs", request, NOW).unwrap();
}

#[test]
fn a_receive_counts_and_hides() {
    let mut sqs = sqs();
    send(&mut sqs, "a", None);
    let first = sqs.receive("jobs", ReceiveRequest::up_to(10), at(3)).unwrap();
    assert_eq!(first[0].message.receive_count, 1);
    assert_eq!(first[0].message.first_received_at, Some(at(3)));
    assert_eq!(sqs.counts("jobs", at(32)).unwrap(), Counts { in_flight: 1, ..Counts::default() });
    assert!(sqs.receive("jobs", ReceiveRequest::up_to(10), at(32)).unwrap().is_empty());
    let second = sqs.receive("jobs", ReceiveRequest::up_to(10), at(33)).unwrap();
    assert_eq!(second[0].message.receive_count, 2);
    assert_eq!(second[0].message.first_received_at, Some(at(3)));
}

#[test]
fn a_timeout_of_zero_shows_the_message_to_the_next_receive_only() {
    let mut sqs = sqs();
    send(&mut sqs, "a", None);
    let request = ReceiveRequest { max: 10, visibility: Some(Duration::ZERO) };
    assert_eq!(sqs.receive("jobs", request, NOW).unwrap().len(), 1);
    assert_eq!(sqs.receive("jobs", request, NOW).unwrap().len(), 1);
}

#[test]
fn the_receive_after_the_last_moves_the_message() {
    let mut sqs = sqs().journaled();
    send(&mut sqs, "poison", None);
    let request = ReceiveRequest { max: 1, visibility: Some(Duration::ZERO) };
    let id = sqs.receive("jobs", request, NOW).unwrap()[0].message.id.clone();
    assert_eq!(sqs.receive("jobs", request, NOW).unwrap()[0].message.receive_count, 2);
    let _ = sqs.take_changes();
    assert!(sqs.receive("jobs", request, at(9)).unwrap().is_empty());
    assert_eq!(sqs.take_changes().len(), 1, "a redrive is one write");

    let dead = sqs.receive("dead", ReceiveRequest::default(), at(9)).unwrap().remove(0).message;
    assert_eq!((dead.id, dead.sent_at, dead.receive_count), (id, NOW, 3));
    assert_eq!(dead.dead_letter_source.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:jobs"));
}

#[test]
fn without_its_dead_letter_queue_a_message_stays() {
    let mut sqs = sqs();
    send(&mut sqs, "a", None);
    sqs.delete_queue("dead").unwrap();
    let request = ReceiveRequest { max: 1, visibility: Some(Duration::ZERO) };
    for receive in 1..=5 {
        assert_eq!(sqs.receive("jobs", request, NOW).unwrap()[0].message.receive_count, receive);
    }
}

#[test]
fn groups_with_fewer_in_flight_come_first() {
    let mut sqs = sqs();
    for body in ["a1", "a2", "a3", "a4"] {
        send(&mut sqs, body, Some("a"));
    }
    send(&mut sqs, "b1", Some("b"));
    send(&mut sqs, "solo1", None);
    send(&mut sqs, "solo2", None);
    let first = sqs.receive("jobs", ReceiveRequest::up_to(3), NOW).unwrap();
    assert_eq!(bodies(&first), ["a1", "b1", "solo1"]);
    let rest = sqs.receive("jobs", ReceiveRequest::up_to(10), NOW).unwrap();
    assert_eq!(bodies(&rest), ["solo2", "a2", "a3", "a4"]);
}

#[test]
fn a_finished_message_frees_its_group() {
    let mut sqs = sqs();
    for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")] {
        send(&mut sqs, body, Some(group));
    }
    let two = sqs.receive("jobs", ReceiveRequest::up_to(2), NOW).unwrap();
    assert_eq!(bodies(&two), ["a1", "b1"]);
    sqs.delete("jobs", &two[1].receipt_handle, NOW).unwrap();
    assert_eq!(bodies(&sqs.receive("jobs", ReceiveRequest::default(), NOW).unwrap()), ["b2"]);
}

#[test]
fn messages_come_in_the_order_in_which_they_became_visible() {
    let mut sqs = sqs();
    let late = SendRequest { delay: Some(Duration::from_secs(5)), ..SendRequest::new("late") };
    sqs.send("jobs", late, NOW).unwrap();
    send(&mut sqs, "early", None);
    assert_eq!(bodies(&sqs.receive("jobs", ReceiveRequest::up_to(10), at(5)).unwrap()), ["early", "late"]);
}

#[test]
fn what_is_older_than_the_retention_is_gone_in_flight_or_not() {
    let mut sqs = sqs().journaled();
    sqs.set_attributes("jobs", &[("MessageRetentionPeriod", "60")].into(), NOW).unwrap();
    send(&mut sqs, "held", None);
    send(&mut sqs, "waiting", None);
    let request = ReceiveRequest { max: 1, visibility: Some(Duration::from_secs(500)) };
    sqs.receive("jobs", request, at(59)).unwrap();
    let _ = sqs.take_changes();
    assert_eq!(sqs.counts("jobs", at(60)).unwrap(), Counts::default());
    assert!(sqs.take_changes().iter().all(|change| matches!(change, Change::MessageRemoved { .. })));
    assert_eq!(sqs.next_visible_at("jobs", at(60)).unwrap(), None);
}

#[test]
fn a_receive_asks_for_one_to_ten_and_a_queue_that_exists() {
    let mut sqs = sqs();
    for max in [0, 11] {
        let error = sqs.receive("jobs", ReceiveRequest::up_to(max), NOW).unwrap_err();
        assert!(error.to_string().contains("MaxNumberOfMessages"), "{error}");
    }
    let error = sqs.receive("none", ReceiveRequest::default(), NOW).unwrap_err();
    assert!(error.is_queue_missing() && error.to_string().contains("none"), "{error}");
}

#[test]
fn a_caller_may_pick_any_order_or_stop() {
    let mut sqs = sqs();
    for body in ["a", "b", "c"] {
        send(&mut sqs, body, None);
    }
    let mut picks = [2, 0].into_iter();
    let received = sqs.receive_by("jobs", ReceiveRequest::up_to(10), NOW, |_| picks.next()).unwrap();
    assert_eq!(bodies(&received), ["c", "a"]);
    assert!(sqs.receive_by("jobs", ReceiveRequest::up_to(1), NOW, |_| Some(9)).unwrap().is_empty());
    assert_eq!(sqs.counts("jobs", NOW).unwrap(), Counts { visible: 1, in_flight: 2, delayed: 0 });
}
