use std::time::Duration;

use chrono::TimeZone;

use serde_json::json;

use super::*;
use crate::job::{JobType, Payload, Priority};

fn sent_at() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap()
}

fn refusal(body: &str) -> String {
    JobMessage::decode(body, "message-1", sent_at()).unwrap_err().to_string()
}

#[test]
fn only_the_name_is_required_and_the_rest_has_the_documented_defaults() {
    let message = JobMessage::decode(r#"{"name":"n","unheardOf":[1]}"#, "message-1", sent_at()).unwrap();
    assert_eq!(message.definition.id.as_str(), "message-1");
    assert_eq!(message.definition.spec.priority, Priority::default());
    assert_eq!(message.definition.spec.payload, Payload::default());
    assert_eq!(message.definition.job_type, JobType::Immediate);
    assert_eq!(message.due_at, sent_at());
    assert!(!message.recorded);
}

#[test]
fn every_refusal_names_the_field_the_value_and_what_was_expected() {
    let cases = [
        ("not json", "body: expected a JSON object (expected ident at line 1 column 2), got \"not json\""),
        ("[]", "body: expected a JSON object, got []"),
        ("{}", "name: expected the name of a job, got nothing"),
        (r#"{"name":7}"#, "name: expected the name of a job, 1 to 128 bytes, got 7"),
        (
            r#"{"name":"n","version":2}"#,
            "version: expected 1, the newest version that this worker reads, got 2",
        ),
        (
            r#"{"name":"n","id":"a b"}"#,
            "id: expected 1 to 256 visible ASCII characters without spaces, got \"a b\"",
        ),
        (r#"{"name":"n","priority":0}"#, "priority: expected an integer from 1 (most urgent) to 10, got 0"),
        (r#"{"name":"n","maxRetries":-1}"#, "maxRetries: expected an integer from 0 to 100, got -1"),
        (
            r#"{"name":"n","delay":"1s"}"#,
            "delay: expected whole milliseconds from 0 to 31622400000, got \"1s\"",
        ),
        (
            r#"{"name":"n","runAt":"tomorrow"}"#,
            "runAt: expected an RFC 3339 instant of the years 1970 to 9999, such as 2026-11-23T08:00:00Z, got \"tomorrow\"",
        ),
        (
            r#"{"name":"n","timeout":900001}"#,
            "timeout: expected whole milliseconds from 1 to 900000, which is as long as Lambda runs anything (split longer \
             work, or chain jobs, each enqueueing the next), got 900001",
        ),
        (
            r#"{"name":"n","timeout":0}"#,
            "timeout: expected whole milliseconds from 1 to 900000, which is as long as Lambda runs anything (split longer \
             work, or chain jobs, each enqueueing the next), got 0",
        ),
        (
            r#"{"name":"n","tags":"a"}"#,
            "tags: expected a list of at most 50 texts of at most 128 bytes each, got \"a\"",
        ),
        (r#"{"name":"n","type":"later"}"#, "type: expected immediate, scheduled or recurring, got \"later\""),
        (r#"{"name":"n","recorded":1}"#, "recorded: expected true or false, got 1"),
        (r#"{"name":"n","uniqueKey":""}"#, "uniqueKey: expected 1 to 256 bytes of text, got \"\""),
        (
            r#"{"name":"n","uniqueKey":"k","uniqueFor":0}"#,
            "uniqueFor: expected whole milliseconds from 1 to 1296000000, which are 15 days, got 0",
        ),
        (
            r#"{"name":"n","uniqueKey":"k","uniqueFor":1296000001}"#,
            "uniqueFor: expected whole milliseconds from 1 to 1296000000, which are 15 days, got 1296000001",
        ),
        (r#"{"name":"n","uniqueFor":5}"#, "uniqueFor: expected no value without a uniqueKey, got 5"),
    ];
    for (body, expected) in cases {
        assert_eq!(refusal(body), expected, "{body}");
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_and_a_wrong_one_is_quoted_in_part() {
    let large = format!(r#"{{"name":"n","payload":"{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    assert_eq!(
        refusal(&large),
        "body: expected at most 1048576 bytes; keep large data elsewhere and send a reference to it, got 1048601 bytes"
    );
    let deep = format!(r#"{{"name":"n","tags":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(
        refusal(&deep),
        format!(
            "tags: expected a list of at most 50 texts of at most 128 bytes each, got {}... (100000 bytes)",
            "[".repeat(80)
        )
    );
    assert!(refusal(&"[".repeat(100_000)).starts_with("body: expected a JSON object, got [[["));
    assert!(refusal(&format!("{{{}", "\u{1}".repeat(100_000))).len() < 600);
}

#[test]
fn the_payload_is_carried_as_the_text_that_was_sent() {
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for payload in [
        r#"{"wei":12345678901234567890123}"#,
        r#"{ "b" : 1.50,"a":1e400, "b":2 }"#,
        r#"["\ud800","\u00e9\/"]"#,
        &deep,
    ] {
        let mut body = format!(r#"{{"name":"n","payload" : {payload} ,"deeper":{deep}}}"#);
        for _ in 0..3 {
            let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
            assert_eq!(message.definition.spec.payload.as_str(), payload);
            assert!(message.named(&body).unwrap().contains(payload));
            assert_eq!(message.encode().len(), message.encoded_len());
            body = message.encode();
        }
    }
}

#[test]
fn a_payload_shares_the_text_of_its_message() {
    let body: std::sync::Arc<str> = r#"{"name":"n","payload":[1,2]}"#.into();
    let message = JobMessage::decode_shared(&body, "m", sent_at()).unwrap();
    let copy = message.clone();
    assert_eq!((std::sync::Arc::strong_count(&body), copy.definition.spec.payload.as_str()), (3, "[1,2]"));
}

#[test]
fn a_number_that_is_mathematically_whole_is_one() {
    let body = r#"{"name":"n","version":1.0,"priority":1e0,"maxRetries":20e-1,"delay":1000.0,"timeout":1e3,
        "uniqueKey":"k","uniqueFor":1.5e3}"#;
    let job = JobMessage::decode(body, "m", sent_at()).unwrap().definition;
    assert_eq!((job.spec.priority, job.spec.max_retries), (Priority::MOST_URGENT, Some(2)));
    let millis = [job.delay, job.spec.timeout, job.unique_for].map(|time| time.unwrap().as_millis());
    assert_eq!(millis, [1_000, 1_000, 1_500]);
    let wrong = refusal(r#"{"name":"n","delay":1000.5}"#);
    assert_eq!(wrong, "delay: expected whole milliseconds from 0 to 31622400000, got 1000.5");
    assert!(refusal(r#"{"name":"n","delay":1e400}"#).ends_with("got 1e400"));
}

#[test]
fn a_field_that_comes_twice_is_refused_by_name_and_what_nobody_reads_may_be_anything() {
    assert_eq!(refusal(r#"{"name":"n","id":"a","id":"b"}"#), "id: expected one value, got two");
    assert_eq!(
        refusal(r#"{"name":"n","payload":1,"p\u0061yload":1}"#),
        "payload: expected one value, got two"
    );
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let body = format!(
        "\u{feff}{{\"name\":\"n\",\"x\":1e400,\"x\":\"\\ud800\",\"\\udc00\":{deep},\"payload\":{{\"a\":1,\"a\":2}}}}"
    );
    let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
    assert_eq!(message.definition.spec.payload.as_str(), r#"{"a":1,"a":2}"#);
    let named = JobMessage::decode(&message.named(&body).unwrap(), "other", sent_at()).unwrap();
    assert_eq!((named.definition.id.as_str(), named.recorded), ("m", true));
    assert_eq!(
        refusal(r#"{"name":"\ud800"}"#),
        r#"name: expected the name of a job, 1 to 128 bytes, got "\ud800""#
    );
}

#[test]
fn run_at_wins_over_delay_and_copies_keep_the_instant() {
    let body = r#"{"name":"n","delay":60000}"#;
    let message = JobMessage::decode(body, "m", sent_at()).unwrap();
    assert_eq!(message.due_at, sent_at() + Duration::from_mins(1));
    assert_eq!(message.definition.job_type, JobType::Scheduled);

    let resent_later = sent_at() + Duration::from_mins(10);
    let copy = JobMessage::decode(&message.encode(), "other", resent_later).unwrap();
    assert_eq!(copy.due_at, message.due_at);
    assert_eq!(copy.definition.id, message.definition.id);
}

/// A message of the largest size.
fn largest() -> (String, JobMessage) {
    let frame = r#"{"name":"n","payload":""}"#.len();
    let body = format!(r#"{{"name":"n","payload":"{}"}}"#, "x".repeat(MAX_BODY_BYTES - frame));
    let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
    (body, message)
}

#[test]
fn a_copy_of_a_message_of_the_largest_size_leaves_its_payload_to_the_record() {
    let (_, message) = largest();
    assert!(message.encode().len() > MAX_BODY_BYTES);
    let copy = JobMessage::decode(&message.encode_recorded(), "other", sent_at()).unwrap();
    assert!(copy.payload_stored && copy.recorded);
    let copy = JobMessage { payload_stored: false, ..copy };
    let mut expected = JobMessage { recorded: true, ..message };
    expected.definition.run_at = Some(expected.due_at);
    expected.definition.spec.payload = copy.definition.spec.payload.clone();
    assert_eq!(copy, expected, "all but its payload");
}

#[test]
fn a_copy_has_its_payload_as_long_as_there_is_room_for_it() {
    let (_, message) = largest();
    let fields = message.encode_recorded().len() - r#","payloadStored":true"#.len();
    for (spare, stored) in [(0, false), (1, true)] {
        let mut message = message.clone();
        let bytes = MAX_BODY_BYTES - fields - r#","payload":"""#.len() + spare;
        message.definition.spec.payload = json!("x".repeat(bytes)).into();
        let body = message.encode_recorded();
        assert!(body.len() <= MAX_BODY_BYTES);
        let copy = JobMessage::decode(&body, "other", sent_at()).unwrap();
        assert_eq!(copy.payload_stored, stored, "{spare} bytes too many");
    }
}

#[test]
fn a_dead_letter_without_room_for_its_payload_and_a_reason_has_no_body_of_its_own() {
    let (body, message) = largest();
    assert_eq!(message.named(&body), None);
    let letter = JobMessage::decode(&message.encode_stored(), "other", sent_at()).unwrap();
    assert_eq!((letter.definition.id.as_str(), letter.payload_stored), ("m", true));
}

#[test]
fn a_copy_is_never_due_earlier_and_holds_nothing_that_sqs_refuses() {
    let body = r#"{"name":"n","runAt":"2026-11-23T09:00:00.0001Z","payload":"\uffff\ufffe"}"#;
    let message = JobMessage::decode(body, "m", sent_at()).unwrap();
    let copy = message.encode();
    assert!(!copy.contains(['\u{ffff}', '\u{fffe}']), "{copy}");
    let decoded = JobMessage::decode(&copy, "m", sent_at()).unwrap();
    assert!(decoded.due_at >= message.due_at);
    assert_eq!(decoded.definition.spec.payload, message.definition.spec.payload);
    assert!(!refusal(r#"{"name":"n","priority":"\uffff"}"#).contains('\u{ffff}'));
}

#[test]
fn the_last_instant_of_the_contract_stays_readable_in_a_copy() {
    let body = r#"{"name":"n","runAt":"9999-12-31T23:59:59.9999Z"}"#;
    let message = JobMessage::decode(body, "m", sent_at()).unwrap();
    let copy = JobMessage::decode(&message.encode(), "m", sent_at()).unwrap();
    assert_eq!(copy.due_at.to_rfc3339(), "9999-12-31T23:59:59.999+00:00");
}

#[test]
fn a_copy_is_as_large_as_its_message_and_its_own_few_fields() {
    for (payload, most) in [("1e15,".repeat(30_000), 300), (r#"{"":0},"#.repeat(20_000), 300)] {
        let body = format!(r#"{{"name":"n","payload":[{payload}0]}}"#);
        let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
        assert!(message.encode().len() < body.len() + most);
    }
}

#[test]
fn a_dead_letter_is_small_enough_to_be_redriven_whatever_unknown_fields_it_has() {
    let frame = r#"{"name":"n","recorded":true,"delay":5,"unheardOf":""}"#.len();
    let rest = "x".repeat(MAX_BODY_BYTES - frame);
    let body = format!(r#"{{"name":"n","recorded":true,"delay":5,"unheardOf":"{rest}"}}"#);
    let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
    let redriven = JobMessage::decode(&message.named(&body).unwrap(), "other", sent_at()).unwrap();
    assert_eq!(redriven.definition.id, message.definition.id);
    assert_eq!(redriven.due_at, message.due_at);
}

#[test]
fn no_message_is_larger_than_sqs_takes_it() {
    for recorded in [false, true] {
        let frame = format!(r#"{{"name":"n","recorded":{recorded},"payload":""}}"#).len();
        let sized = |bytes: usize| {
            let rest = "x".repeat(bytes - frame);
            let body = format!(r#"{{"name":"n","recorded":{recorded},"payload":"{rest}"}}"#);
            JobMessage::decode(&body, "m", sent_at()).map(|_| body.len())
        };
        assert_eq!(sized(MAX_BODY_BYTES), Ok(MAX_BODY_BYTES));
        assert_eq!(sized(MAX_BODY_BYTES + 1).unwrap_err().field(), "body");
    }
}

#[test]
fn a_tenant_that_sqs_does_not_take_as_a_group_is_escaped() {
    let message = JobMessage::decode(r#"{"name":"n","tenant":"Acme Ä"}"#, "m", sent_at()).unwrap();
    assert_eq!(message.group().as_deref(), Some("Acme%20%C3%84"));
}
