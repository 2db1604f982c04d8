//! Records written by hand.

use chrono::TimeDelta;
use lambda_jobs_core::job::{Claim, PastAttempt, Revision};
use lambda_jobs_core::{JobRecord, Queue, Retention};
use serde_json::{Value, json};

use super::{TOOK, claim, full, later, least, now, running};

/// Records, each with the record that it is.
pub(super) fn records() -> Vec<(Value, JobRecord)> {
    unfinished().into_iter().chain(finished()).collect()
}

/// The claim of a job that has begun.
fn run() -> Value {
    json!({ "claim": { "S": "mwsz6rnf0123abcd" }, "run": { "S": "[1795420800,95.500000001]" } })
}

fn unfinished() -> Vec<(Value, JobRecord)> {
    let job = r#"{"type":"scheduled","queue":"high","priority":2,"maxRetries":7,"delay":1500,"runAt":1795426200.25,
        "timeout":60000,"tags":["billing","nightly"],"tenant":"acme","uniqueFor":3600000,
        "breakers":["mail","billing"],"enqueueCall":"0193576f00000001",
        "traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
    let mut suspect = least("suspect").passed_over();
    suspect.snoozes = 2;
    let attempts = r#"[["first",2],{},[1,1795420800,1234,{"error":"smtp: 451","weather":1},"more"]]"#;
    vec![
        (json!({ "status": { "S": "queued" }, "due": { "N": "1795420800" } }), least("queued")),
        (
            json!({
                "name": { "S": "send-invoice" }, "status": { "S": "queued" }, "due": { "N": "1795420800" },
                "uniqueKey": { "S": "invoice/42" }, "edition": { "N": "3" }, "job": { "S": job },
                "payload": { "S": "{\"invoice\":42}" },
            }),
            full("full"),
        ),
        (merged(&run(), &json!({ "status": { "S": "running" }, "rev": { "N": "2" } })), running("running")),
        (
            json!({
                "status": { "S": "running" }, "rev": { "N": "2" }, "claim": { "S": "mwsz6rnf0123abcd" },
                "run": { "S": "[1795420800,95.500000001,true]" },
            }),
            least("running-alone").claimed(Claim { alone: true, ..claim() }, now()),
        ),
        (
            merged(
                &run(),
                &json!({
                    "status": { "S": "retrying" }, "rev": { "N": "3" }, "due": { "N": "1795424400.25" },
                    "outcome": { "S": "[null,1234]" }, "past": { "S": "{\"failures\":1}" },
                    "attempts": { "S": "[[1,1795420800,1234,{\"error\":\"smtp: 451\"}]]" },
                    "error": { "S": "smtp: 451" }, "attention": { "S": "retrying#0" },
                    "attentionAt": { "S": "2026-11-23T09:00:00.25#retrying" },
                }),
            ),
            running("retrying").retrying("smtp: 451".to_owned(), later(), Some(TOOK)),
        ),
        (
            json!({
                "status": { "S": "scheduled" }, "due": { "N": "1795424400.25" },
                "outcome": { "S": "[null,null,{\"parked\":true}]" }, "attention": { "S": "parked#1" },
                "attentionAt": { "S": "2026-11-23T09:00:00.25#parked" },
            }),
            JobRecord::accepted(least("parked").definition, Queue::Normal, now(), later())
                .parked_if_far(now()),
        ),
        (
            json!({
                "status": { "S": "queued" }, "rev": { "N": "2" }, "due": { "N": "1795420800" },
                "isolated": { "BOOL": true }, "past": { "S": "{\"snoozes\":2}" },
                "outcome": { "S": format!("[null,null,{}]", json!({ "passedOver": true, "note": suspect.note })) },
            }),
            suspect,
        ),
        (
            json!({
                "status": { "S": "queued" }, "rev": { "N": "2" }, "due": { "N": "1795420800" },
                "outcome": { "S":
                    "[null,null,{\"note\":\"waits for breaker:mail until 2026-11-23T08:00:00Z\",\"blocked\":\"breaker:mail\"}]"
                },
            }),
            least("deferred").deferred(now(), "breaker:mail".parse().unwrap(), now()),
        ),
        (
            json!({
                "status": { "S": "retrying" }, "rev": { "N": "2" }, "due": { "N": "1795420800" },
                "run": { "S": "[1795420800,95.500000001,false,\"more\"]" }, "claim": { "S": "mwsz6rnf0123abcd" },
                "outcome": { "S": "[null,1234,{\"parked\":false,\"weather\":[1]},{\"more\":1}]" },
                "past": { "S": "{\"failures\":1,\"weather\":\"fine\"}" }, "error": { "S": "smtp: 451" },
                "attempts": { "S": attempts },
                "job": { "S": "{\"weather\":null}" }, "layout": { "N": "7" }, "weather": { "M": {} },
            }),
            JobRecord {
                revision: Revision(2),
                ..running("of-a-later-release").retrying("smtp: 451".to_owned(), now(), Some(TOOK))
            },
        ),
    ]
}

/// A job whose second attempt completed it, and logged something.
fn logged() -> (Value, JobRecord) {
    let attempts = r#"[[1,1795420800.5,null,{"error":"crashed"}],
        [2,1795420800,1234,{"worker":"2026/11/23/[1]c0ffee","log":"a\tb\n","dropped":7}]]"#;
    let given = json!({
        "status": { "S": "completed" }, "rev": { "N": "3" }, "attempts": { "S": attempts },
        "outcome": { "S": "[1795424400.25,1234]" }, "expiresAt": { "N": "1796720401" },
        "past": { "S": "{\"failures\":1}" },
    });
    let crashed = PastAttempt::new(1, now() + TimeDelta::milliseconds(500), None).because(Some("crashed"));
    let (worker, log) = (Some("2026/11/23/[1]c0ffee".to_owned()), Some("a\tb\n".to_owned()));
    let second = PastAttempt { worker, log, log_dropped: 7, ..PastAttempt::new(2, now(), Some(TOOK)) };
    let record = running("logged").completed(Value::Null, later(), TOOK).kept(&Retention::default());
    let past_attempts = vec![crashed, second].into();
    (merged(&run(), &given), JobRecord { failures: 1, past_attempts, ..record })
}

fn finished() -> Vec<(Value, JobRecord)> {
    let mut letter = least("letter").dead_lettered("no handler".to_owned(), later());
    letter.cancel_requested = true;
    vec![
        logged(),
        (
            merged(
                &run(),
                &json!({
                    "status": { "S": "completed" }, "rev": { "N": "3" }, "result": { "S": "{\"sent\":3}" },
                    "outcome": { "S": "[1795424400.25,1234]" }, "expiresAt": { "N": "1796720401" },
                }),
            ),
            running("completed").completed(json!({ "sent": 3 }), later(), TOOK).kept(&Retention::default()),
        ),
        (
            merged(
                &run(),
                &json!({
                    "status": { "S": "completed" }, "rev": { "N": "3" },
                    "outcome": { "S": "[1795424400.25,1234]" }, "expiresAt": { "N": "1796720401" },
                }),
            ),
            running("returned-nothing").completed(Value::Null, later(), TOOK).kept(&Retention::default()),
        ),
        (
            merged(
                &run(),
                &json!({
                    "status": { "S": "completed" }, "rev": { "N": "4" }, "trimmed": { "BOOL": true },
                    "outcome": { "S": "[1795424400.25,1234]" }, "expiresAt": { "N": "1796720401" },
                }),
            ),
            running("trimmed").completed(Value::Null, later(), TOOK).kept(&Retention::default()).trimmed(),
        ),
        (
            json!({
                "status": { "S": "failed" }, "rev": { "N": "2" }, "error": { "S": "no handler" },
                "outcome": { "S": "[1795424400.25,null,{\"deadLettered\":true}]" },
                "cancelRequested": { "BOOL": true }, "attention": { "S": "failed#1" },
                "attentionAt": { "S": "2026-11-23T09:00:00.25#letter" },
            }),
            letter,
        ),
        (
            json!({
                "status": { "S": "cancelled" }, "rev": { "N": "2" },
                "outcome": { "S": "[1795424400.25,null,{\"note\":\"not \\\"needed\\\"\"}]" },
                "attention": { "S": "cancelled#2" }, "attentionAt": { "S": "2026-11-23T09:00:00.25#cancelled" },
            }),
            least("cancelled").cancelled("not \"needed\"", later()),
        ),
        (
            json!({
                "status": { "S": "cancelled" }, "rev": { "N": "2" }, "edition": { "N": "4" },
                "outcome": { "S": "[1795424400.25,null,{\"note\":\"taken back: its schedule changed before it was due\"}]" },
                "past": { "S": "{\"withdrawn\":true}" },
                "attention": { "S": "cancelled#1" }, "attentionAt": { "S": "2026-11-23T09:00:00.25#taken-back" },
            }),
            least("taken-back").withdrawn(4, later()),
        ),
    ]
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut all = one.clone();
    all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    all
}

/// An item with what every record has, unless it is given.
pub(super) fn item(id: &str, given: &Value) -> Value {
    let every = json!({
        "pk": { "S": format!("job#{id}") }, "sk": { "S": "job" }, "name": { "S": "poll" },
        "rev": { "N": "1" }, "created": { "N": "1795420800" },
    });
    merged(&every, given)
}
