//! Breakers and explanations, through the command itself.

use serde_json::{Value, json};

use crate::process::{Running, run};

#[test]
fn an_operator_opens_a_breaker_ahead_of_an_outage_and_sees_it_until_it_is_reset() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    assert_eq!(stack.json(&["breakers", "list"]), json!([]));
    let none = String::from_utf8(stack.run(&["breakers", "list"]).stderr).unwrap();
    assert!(none.contains("no breakers; a breaker is listed once it counted a failure"), "{none}");

    let unknown = stack.run(&["breakers", "close", "mail"]);
    assert_eq!(unknown.status.code(), Some(1));
    let error = String::from_utf8(unknown.stderr).unwrap();
    let expected = "breaker: expected one that counted a failure or that somebody opened (see: lambda-jobs breakers list), got \"mail\"";
    assert!(error.contains(expected), "{error}");
    assert_eq!(stack.run(&["breakers", "reset", "mail"]).status.code(), Some(1));
    assert_eq!(stack.json(&["breakers", "list"]), json!([]), "nothing was written");

    let told = stack.text(&["breakers", "open", "mail"]);
    assert!(told.starts_with("mail: open (by an operator) since 20"), "{told}");
    assert!(told.ends_with(" UTC; workers notice within 2 s"), "{told}");
    let listed = stack.json(&["breakers", "list"]);
    let since = listed[0]["since"].clone();
    let expected = json!([{
        "name": "mail", "state": "open", "since": since, "forced": true,
        "counts": { "calls": 0, "failures": 0, "slow": 0 }, "openings": 0,
        "nextProbeAt": null, "heldUntil": null, "deferredJobs": 0, "waitingBatches": 0,
    }]);
    assert_eq!(listed, expected);
    let table = stack.text(&["breakers", "list"]);
    assert!(table.contains("NEXT PROBE (UTC)") && table.contains("open (by an operator)"), "{table}");

    let closed = stack.json(&["breakers", "close", "mail"]);
    assert_eq!((&closed["state"], &closed["forced"]), (&json!("closed"), &json!(true)));
    let reset = stack.json(&["breakers", "reset", "mail"]);
    assert_eq!((&reset["state"], &reset["forced"]), (&json!("closed"), &json!(false)));
    assert_eq!(stack.json(&["breakers", "close", "ahead", "--even-if-unknown"])["forced"], json!(true));
}

#[test]
fn a_wrong_name_is_refused_with_what_was_expected() {
    let output = run(&["breakers", "open", "two words"]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = r#"breaker: expected 1 to 200 visible ASCII characters without spaces, got "two words""#;
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_job_is_explained_and_so_is_one_that_nobody_knows() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let id = stack.text(&["enqueue", "webhook-delivery-job", "--delay", "1h"]);
    let said = stack.json(&["explain", &id]);
    let due = said["nextEligibleAt"].as_str().unwrap();
    let expected =
        json!({ "reason": "delayed", "detail": format!("it is due at {due}"), "nextEligibleAt": due });
    assert_eq!(said, expected);
    let lines = stack.text(&["explain", &id]);
    let expected = format!("{id}: delayed: it is due at {due}\nearliest start: {due}");
    assert_eq!(lines, expected);

    stack.text(&["pause"]);
    let said = stack.json(&["explain", &id]);
    assert_eq!((&said["reason"], &said["nextEligibleAt"]), (&json!("paused"), &Value::Null));
    let unknown = stack.json(&["explain", "nobody"]);
    let detail = "there is no record of this job; a bare message gets one when a worker receives it";
    assert_eq!(unknown, json!({ "reason": "unknown", "detail": detail, "nextEligibleAt": null }));
    assert_eq!(stack.text(&["explain", "nobody"]), format!("nobody: unknown: {detail}"));
}
