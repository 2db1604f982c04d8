//! Properties of every message. `tests` has single cases.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use chrono::{Datelike, TimeDelta};
use serde_json::{Map, Value};
use std::time::Duration;

use super::decode::FIELDS;
use super::*;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_DELAY, MAX_RETRIES, MAX_TIMEOUT, MAX_UNIQUE_FOR};
use crate::job::{JobSpec, JobType, Payload, Priority, millis};

/// Ends with the last millisecond of 9999.
const MILLIS: std::ops::RangeInclusive<i64> = 0..=253_402_300_799_999;
const MESSAGE_ID: &str = "message-1";
/// More than the longest reason needs; a message attribute has room for many.
const LONGEST_REASON: usize = 600;

fn sent_at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_420_800, 0).unwrap()
}

fn decode(body: &str) -> Result<JobMessage, Invalid> {
    JobMessage::decode(body, MESSAGE_ID, sent_at())
}

/// Reads a copy as a worker does: under another message id, sent later.
fn decode_copy(body: &str) -> JobMessage {
    JobMessage::decode(body, "another", sent_at() + TimeDelta::hours(1)).unwrap()
}

/// Any text of a field that takes no control characters; at most 128 bytes.
fn printable() -> impl Strategy<Value = String> {
    let char = any::<char>().prop_map(|char| if char.is_control() { '\u{ffff}' } else { char });
    vec(char, 1..=32).prop_map(String::from_iter)
}

fn word() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..=32).prop_map(String::from_iter)
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(word(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON text as any sender may write it: numbers of any size, members that come twice, half surrogates, space.
fn payload() -> impl Strategy<Value = Payload> {
    let number = "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        json().prop_map(|json| json.to_string()),
        number.prop_map(String::from),
        prop::sample::select(vec!["\"\\ud800\"", "\"\\udc00x\"", "[ ]", "{\n}", "\"\\/\""])
            .prop_map(str::to_owned),
    ];
    let text = leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|list| format!("[ {}]", list.join(","))),
            vec(inner, 0..4).prop_map(|list| {
                let members: Vec<String> = list.iter().map(|value| format!("\"a\" :{value}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
            (0..300_usize).prop_map(|depth| "[".repeat(depth) + "1" + &"]".repeat(depth)),
        ]
    });
    text.prop_map(|text| text.parse().unwrap())
}

fn job_type() -> impl Strategy<Value = JobType> {
    prop_oneof![Just(JobType::Immediate), Just(JobType::Scheduled), Just(JobType::Recurring)]
}

fn millis_up_to(max: Duration) -> impl Strategy<Value = Duration> {
    (1..=millis::of(max)).prop_map(Duration::from_millis)
}

prop_compose! {
    /// Any job that the contract can carry, without its instants.
    fn definition()(
        (id, name) in ("[!-~]{1,256}", printable()),
        job_type in job_type(),
        payload in payload().prop_filter("null counts as absent", |payload| !payload.is_null()),
        priority in 1_u64..=10,
        max_retries in option::of(0..=MAX_RETRIES),
        delay in option::of(millis_up_to(MAX_DELAY)),
        timeout in option::of(millis_up_to(MAX_TIMEOUT)),
        tags in vec(word(), 0..=4),
        (tenant, traceparent) in (option::of(printable()), option::of(printable())),
        (unique_key, unique_for) in uniqueness(),
        edition in option::of(0..=super::MAX_EDITION),
    ) -> JobDefinition {
        let priority = Priority::new(priority).unwrap();
        let spec = JobSpec { name, payload, priority, max_retries, timeout, tags, tenant };
        JobDefinition {
            job_type, delay, unique_key, unique_for, traceparent, edition,
            ..JobDefinition::of(id.parse().unwrap(), spec)
        }
    }
}

/// A key, and a time only with a key.
fn uniqueness() -> impl Strategy<Value = (Option<String>, Option<Duration>)> {
    option::of((printable(), option::of(millis_up_to(MAX_UNIQUE_FOR)))).prop_map(|unique| match unique {
        Some((key, time)) => (Some(key), time),
        None => (None, None),
    })
}

prop_compose! {
    /// Any message, as precise as the wire is.
    fn message()(definition in definition(), due in MILLIS, recorded: bool) -> JobMessage {
        let due_at = DateTime::from_timestamp_millis(due).unwrap();
        JobMessage {
            definition: JobDefinition { run_at: Some(due_at), ..definition }, due_at, recorded, deferred: false,
            payload_stored: false,
        }
    }
}

/// The content of one field of a bare message: right or arbitrary.
fn field_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        json(),
        (0..2000_u64).prop_map(Value::from),
        printable().prop_map(Value::from),
        vec(word(), 0..60).prop_map(Value::from),
        ("[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:00)")
            .prop_map(Value::from),
        prop::sample::select(vec!["immediate", "scheduled", "recurring"]).prop_map(Value::from),
    ]
}

/// A bare message that names a job and has some other fields, right or wrong.
fn bare() -> impl Strategy<Value = Map<String, Value>> {
    let field = prop::sample::select(&FIELDS[1..16]).prop_map(str::to_owned);
    (btree_map(field, field_value(), 0..3), "[a-z]{1,8}").prop_map(|(fields, name)| {
        let mut object: Map<String, Value> = fields.into_iter().collect();
        object.entry("name").or_insert(name.into());
        object
    })
}

fn unknown_fields() -> impl Strategy<Value = Vec<(String, Value)>> {
    let name = word().prop_filter("known", |name| !FIELDS.contains(&name.as_str()));
    vec((name, json()), 0..4)
}

/// A reason that explains the message in the dead-letter queue, and fits there.
fn check_refusal(error: &Invalid) -> Result<(), TestCaseError> {
    let (field, text) = (error.field(), error.to_string());
    prop_assert!(field == "body" || FIELDS.contains(&field), "{}", field);
    let rest = text.strip_prefix(&format!("{field}: expected ")).unwrap_or_default();
    let said =
        rest.split_once(", got ").is_some_and(|(expected, got)| !expected.is_empty() && !got.is_empty());
    prop_assert!(said, "{}", text);
    prop_assert!(text.len() <= LONGEST_REASON, "{} bytes: {}", text.len(), text);
    prop_assert!(!text.contains(['\u{fffe}', '\u{ffff}']), "{:?}", text);
    Ok(())
}

/// An accepted message is the same job in each of its copies. Every refusal has a reason.
fn check_any(body: &str) -> Result<(), TestCaseError> {
    let message = match decode(body) {
        Ok(message) => message,
        Err(error) => return check_refusal(&error),
    };
    let named = JobMessage::decode(&message.named(body).unwrap(), "another", sent_at()).unwrap();
    prop_assert_eq!(&named, &JobMessage { recorded: true, ..message.clone() });

    let copy = decode_copy(&message.encode());
    prop_assert!(copy.due_at >= message.due_at || message.due_at.year() == 9999);
    let written = JobDefinition { run_at: Some(copy.due_at), ..message.definition };
    prop_assert_eq!(
        &copy,
        &JobMessage { definition: written, due_at: copy.due_at, deferred: false, ..message }
    );
    prop_assert_eq!(decode_copy(&copy.encode()), copy);
    Ok(())
}

proptest! {
    #[test]
    fn a_message_comes_back_as_it_was_however_often_it_is_copied(message in message()) {
        let body = message.encode();
        prop_assert!(!body.contains(['\u{fffe}', '\u{ffff}']), "{:?}", body);
        let copy = decode_copy(&body);
        prop_assert_eq!(&copy, &message);
        prop_assert_eq!(copy.encode(), body);
    }

    #[test]
    fn a_worker_reads_messages_with_fields_that_it_does_not_know(
        message in message(), unknown in unknown_fields(),
    ) {
        let mut body = message.encode();
        body.pop();
        for (name, value) in unknown {
            body += &[",", &Value::from(name).to_string(), ":", &value.to_string()].concat();
        }
        prop_assert_eq!(decode_copy(&(body + "}")), message);
    }

    #[test]
    fn another_version_is_refused_whatever_else_the_message_holds(
        mut object in bare(), version in prop_oneof![(2_u64..).prop_map(Value::from), json()],
    ) {
        prop_assume!(!version.is_null() && version != 1);
        object.insert("version".to_owned(), version);
        let error = decode(&Value::Object(object).to_string()).unwrap_err();
        prop_assert_eq!(error.field(), "version");
        check_refusal(&error)?;
    }

    #[test]
    fn any_bytes_are_a_message_or_refused_with_a_reason(bytes: Vec<u8>, text: String, json in json()) {
        for body in [&*String::from_utf8_lossy(&bytes), &text, &json.to_string()] {
            check_any(body)?;
        }
    }

    #[test]
    fn any_fields_are_a_message_or_refused_with_a_reason(mut object in bare(), unknown in unknown_fields()) {
        object.extend(unknown);
        check_any(&Value::Object(object).to_string())?;
    }
}
