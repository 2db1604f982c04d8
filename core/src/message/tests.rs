use chrono::TimeZone;

use super::*;

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
    assert_eq!(message.definition.spec.payload, serde_json::json!({}));
    assert_eq!(message.definition.job_type, JobType::Immediate);
    assert_eq!(message.due_at, sent_at());
    assert!(!message.recorded);
}

#[test]
fn every_refusal_names_the_field_the_value_and_what_was_expected() {
    let cases = [
        (
            "not json",
            "body: expected a JSON object nested at most 127 deep (expected ident at line 1 column 2), got \"not json\"",
        ),
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
fn a_body_nested_a_thousand_deep_or_too_large_is_refused_and_quoted_in_part() {
    let deep = format!(r#"{{"name":"n","payload":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    assert!(
        refusal(&deep).starts_with("body: expected a JSON object nested at most 127 deep (recursion limit")
    );
    assert!(refusal(&deep).len() < 300);

    let large = format!(r#"{{"name":"n","payload":"{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    assert_eq!(
        refusal(&large),
        "body: expected at most 204800 bytes; keep large data elsewhere and send a reference to it, got 204825 bytes"
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

#[test]
fn a_message_of_the_largest_size_stays_acceptable_as_a_copy() {
    let frame = r#"{"name":"n","payload":""}"#.len();
    let body = format!(r#"{{"name":"n","payload":"{}"}}"#, "x".repeat(MAX_BODY_BYTES - frame));
    let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
    let copy = JobMessage { recorded: true, ..message }.encode();
    assert!(copy.len() > MAX_BODY_BYTES);
    assert!(JobMessage::decode(&copy, "other", sent_at()).is_ok());

    let growing = format!(r#"{{"name":"n","payload":[{}0]}}"#, "1e15,".repeat(20_000));
    assert!(refusal(&growing).starts_with("body: expected at most 204800 bytes"));
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
fn copies_of_copies_keep_every_number_of_the_payload() {
    let payload = serde_json::json!([9.486_794_474_699_363e-75, 1e23, -0.0, u64::MAX, i64::MIN, f64::MAX]);
    let mut body = serde_json::json!({ "name": "n", "payload": payload }).to_string();
    for _ in 0..10 {
        let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
        assert_eq!(message.definition.spec.payload.to_string(), payload.to_string());
        body = message.encode();
    }
}

#[test]
fn the_last_instant_of_the_contract_stays_readable_in_a_copy() {
    let body = r#"{"name":"n","runAt":"9999-12-31T23:59:59.9999Z"}"#;
    let message = JobMessage::decode(body, "m", sent_at()).unwrap();
    let copy = JobMessage::decode(&message.encode(), "m", sent_at()).unwrap();
    assert_eq!(copy.due_at.to_rfc3339(), "9999-12-31T23:59:59.999+00:00");
}

#[test]
fn whatever_is_accepted_stays_acceptable_once_its_copy_says_that_there_is_a_record() {
    let numbers = "1e15,".repeat(12_000);
    let decode = |padding: usize| {
        let body = format!(r#"{{"name":"n","payload":[{numbers}"{}"]}}"#, "x".repeat(padding));
        JobMessage::decode(&body, "m", sent_at())
    };
    let recorded = |message: JobMessage| JobMessage { recorded: true, ..message }.encode();
    let most = MAX_COPY_BYTES - recorded(decode(0).unwrap()).len();

    let largest = recorded(decode(most).unwrap());
    assert_eq!(largest.len(), MAX_COPY_BYTES);
    assert!(JobMessage::decode(&largest, "other", sent_at()).is_ok());
    assert_eq!(decode(most + 1).unwrap_err().field(), "body");
}

#[test]
fn a_dead_letter_is_small_enough_to_be_redriven_whatever_unknown_fields_it_has() {
    let body = format!(r#"{{"name":"n","delay":5,"unheardOf":[{}0]}}"#, "1e15,".repeat(40_000));
    let message = JobMessage::decode(&body, "m", sent_at()).unwrap();
    let redriven = JobMessage::decode(&message.named(&body), "other", sent_at()).unwrap();
    assert_eq!(redriven.definition.id, message.definition.id);
    assert_eq!(redriven.due_at, message.due_at);
}

#[test]
fn only_what_says_that_there_is_a_record_may_be_larger_than_a_message() {
    let sized = |recorded: bool, bytes: usize| {
        let frame = format!(r#"{{"name":"n","recorded":{recorded},"payload":""}}"#).len();
        let body =
            format!(r#"{{"name":"n","recorded":{recorded},"payload":"{}"}}"#, "x".repeat(bytes - frame));
        JobMessage::decode(&body, "m", sent_at()).map(|_| body.len())
    };
    assert_eq!(sized(false, MAX_BODY_BYTES), Ok(MAX_BODY_BYTES));
    assert_eq!(sized(false, MAX_BODY_BYTES + 1).unwrap_err().field(), "body");
    assert!(sized(true, MAX_COPY_BYTES - 200).is_ok());
    assert_eq!(sized(true, MAX_COPY_BYTES + 1).unwrap_err().field(), "body");
}

#[test]
fn a_tenant_that_sqs_does_not_take_as_a_group_is_escaped() {
    let message = JobMessage::decode(r#"{"name":"n","tenant":"Acme Ä"}"#, "m", sent_at()).unwrap();
    assert_eq!(message.group().as_deref(), Some("Acme%20%C3%84"));
}
