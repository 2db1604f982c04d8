//! Stale messages, one at a time: is one stale, is it still needed, and what replaces it?

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::bounds::MAX_SEND_DELAY;
use crate::job::{JobId, JobRecord};
use crate::message::{JobMessage, named_by_message};
use crate::ports::{Outgoing, ReceivedMessage};

/// The age at which a message is sent again; SQS keeps it for 14 days.
pub const RENEW_AGE: TimeDelta = TimeDelta::days(10);
/// After this many receives a message is sent again, whatever its age.
const RENEW_AFTER_RECEIVES: u32 = 10;

/// A message of a queue that nobody works on, and the job in it if it can be read.
pub(super) struct Stale {
    pub(super) message: ReceivedMessage,
    job: Option<JobMessage>,
}

impl Stale {
    /// The message, if it is stale.
    pub(super) fn of(message: ReceivedMessage, now: DateTime<Utc>) -> Option<Self> {
        if now - message.sent_at < RENEW_AGE && message.receive_count < RENEW_AFTER_RECEIVES {
            return None;
        }
        let job = JobMessage::decode_shared(&message.body, &message.message_id, message.sent_at).ok();
        Some(Self { message, job })
    }

    pub(super) fn id(&self) -> Option<&JobId> {
        self.job.as_ref().map(|job| &job.definition.id)
    }

    /// Whether the message has nothing left to bring about, by the record of its job.
    pub(super) fn is_needless(&self, record: &JobRecord) -> bool {
        self.job.as_ref().is_some_and(|job| {
            let is_covered = record.parked && record.definition.spec.name == job.definition.spec.name;
            record.leaves_nothing_to(&job.definition) || is_covered
        })
    }

    /// Whether its copy has no room for the payload.
    pub(super) fn is_large(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.fits())
    }

    /// The record that must have the payload before a copy without it replaces the message.
    pub(super) fn large_record(&self) -> Option<JobRecord> {
        let job = self.job.as_ref().filter(|job| !job.fits())?;
        let ReceivedMessage { queue, sent_at, .. } = &self.message;
        Some(JobRecord::accepted(job.definition.clone(), *queue, *sent_at, job.due_at))
    }

    /// The job, if its record alone has the payload.
    pub(super) fn stored_by_record(&self) -> Option<&JobId> {
        self.job.as_ref().filter(|job| job.payload_stored).map(|job| &job.definition.id)
    }

    /// The copy that replaces the message.
    ///
    /// The copy is the same job, with the same id and the same due instant. The copy of an unreadable message has the
    /// same body, so that its worker reports the error.
    pub(super) fn copy(&self, now: DateTime<Utc>) -> Outgoing {
        let ReceivedMessage { queue, message_id, body, group, .. } = &self.message;
        let (body, delay, tenant) = match &self.job {
            Some(job) => (job.encode_fitting(), (job.due_at - now).to_std().unwrap_or_default(), job.group()),
            None => (named_by_message(body, message_id), Duration::ZERO, None),
        };
        // The sender of a bare message may have named its tenant in the body only.
        let group = group.clone().or(tenant);
        Outgoing { queue: *queue, body, delay: delay.min(MAX_SEND_DELAY), group }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::job::Queue;
    use crate::message::MAX_BODY_BYTES;

    fn now() -> DateTime<Utc> {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }

    fn message(body: &str, age: TimeDelta) -> ReceivedMessage {
        ReceivedMessage {
            queue: Queue::Low,
            message_id: "m-1".to_owned(),
            receipt_handle: "r-1".to_owned(),
            body: body.into(),
            sent_at: now() - age,
            receive_count: 1,
            group: Some("tenant".to_owned()),
            attributes: BTreeMap::new(),
            trace_header: None,
        }
    }

    fn renewed(message: &ReceivedMessage) -> Option<Outgoing> {
        Stale::of(message.clone(), now()).map(|stale| stale.copy(now()))
    }

    fn copy_of(body: &str, age: TimeDelta) -> Option<Outgoing> {
        renewed(&message(body, age))
    }

    #[test]
    fn a_message_is_needless_once_its_own_job_has_ended_or_is_parked() {
        let body = r#"{"name":"n","recorded":true}"#;
        let stale = Stale::of(message(body, RENEW_AGE), now()).unwrap();
        let job = stale.job.clone().unwrap().definition;
        let record = || JobRecord::accepted(job.clone(), Queue::Low, now(), now());
        let another = |mut record: JobRecord| {
            record.definition.spec.name = "another".to_owned();
            record
        };
        let letter = record().dead_lettered("no handler".to_owned(), now());
        let cases = [
            ("waits", record(), false),
            ("failed", record().failed("no".to_owned(), now(), None), true),
            ("cancelled", record().cancelled("no", now()), true),
            ("dead-lettered, and its letter may be this message", letter, false),
            ("parked", record().parked(), true),
            ("another job that has ended", another(record().cancelled("no", now())), false),
            ("another job that is parked", another(record().parked()), false),
        ];
        for (case, record, expected) in cases {
            assert_eq!(stale.is_needless(&record), expected, "{case}");
        }
        let unreadable = Stale::of(message("no json", RENEW_AGE), now()).unwrap();
        assert!(!unreadable.is_needless(&record().cancelled("no", now())));
    }

    #[test]
    fn a_message_is_sent_anew_when_it_is_ten_days_old_or_was_looked_at_ten_times() {
        let body = r#"{"name":"n"}"#;
        assert_eq!(copy_of(body, RENEW_AGE - TimeDelta::seconds(1)), None);
        assert!(copy_of(body, RENEW_AGE).is_some());
        let often = ReceivedMessage { receive_count: 10, ..message(body, TimeDelta::zero()) };
        assert!(renewed(&often).is_some());
    }

    #[test]
    fn a_copy_is_the_same_job_due_when_it_was() {
        let copy = copy_of(r#"{"name":"n","delay":864060000,"payload":[1]}"#, RENEW_AGE).unwrap();
        assert_eq!((copy.queue, copy.group.as_deref()), (Queue::Low, Some("tenant")));
        assert_eq!(copy.delay, Duration::from_mins(1));
        let again = JobMessage::decode(&copy.body, "another", now()).unwrap();
        assert_eq!((again.definition.id.as_str(), again.recorded), ("m-1", false));
        assert_eq!(again.due_at, now() + TimeDelta::minutes(1));
        assert_eq!(again.definition.spec.payload, json!([1]));
        let recorded = copy_of(r#"{"name":"n","recorded":true}"#, RENEW_AGE).unwrap();
        assert!(JobMessage::decode(&recorded.body, "another", now()).unwrap().recorded);
    }

    #[test]
    fn a_copy_is_in_its_tenants_group_where_the_message_was_in_none() {
        let of = |body: &str| {
            let bare = ReceivedMessage { group: None, ..message(body, RENEW_AGE) };
            renewed(&bare).unwrap().group
        };
        assert_eq!(of(r#"{"name":"n","tenant":"acme"}"#).as_deref(), Some("acme"));
        assert_eq!(of(r#"{"name":"n"}"#), None);
        assert_eq!(of(r#"{"tenant":"acme"}"#), None, "what can't be read has no tenant");
    }

    #[test]
    fn a_copy_of_the_largest_message_can_be_read() {
        let rest = MAX_BODY_BYTES - json!({ "name": "n", "payload": "" }).to_string().len();
        let body = json!({ "name": "n", "payload": "x".repeat(rest) }).to_string();
        let copy = copy_of(&body, RENEW_AGE).unwrap();
        let again = JobMessage::decode(&copy.body, "another", now()).unwrap();
        assert_eq!((again.definition.id.as_str(), again.payload_stored), ("m-1", true));
        let record = Stale::of(message(&body, RENEW_AGE), now()).unwrap().large_record().unwrap();
        assert_eq!(record.definition.spec.payload, json!("x".repeat(rest)));
    }

    #[test]
    fn what_cannot_be_read_stays_what_it_is_and_keeps_its_identity_where_it_can() {
        let wrong = copy_of(r#"{"name":"n","priority":"high"}"#, RENEW_AGE).unwrap();
        let expected = json!({ "name": "n", "priority": "high", "id": "m-1" });
        assert_eq!(serde_json::from_str::<Value>(&wrong.body).unwrap(), expected);
        let large = format!(r#"{{"id":7,"payload":"{}"}}"#, "x".repeat(MAX_BODY_BYTES - 23));
        for body in ["no json", r#"{"id":7}"#, "[]", &large] {
            assert_eq!(copy_of(body, RENEW_AGE).unwrap().body, body);
        }
    }
}
