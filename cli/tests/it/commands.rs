//! The commands, as a user types them.

use serde_json::{Value, json};

use crate::process::{Running, run};

#[test]
fn the_demo_ends_as_expected_and_says_so_by_its_exit_code() {
    let output = run(&["demo", "--port", "0", "--retry-delay-ms", "1"]);
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.matches(" yes ").count(), 10, "{table}");
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.contains("queued") && progress.contains("completed 8  failed 2"), "{progress}");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["dev", "--port", &port]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("port {port} on 127.0.0.1 is taken")), "{error}");
    assert!(error.contains("choose another with --port, or a free one with --port 0"), "{error}");
}

#[test]
fn a_wrong_setting_is_named_with_its_value_and_what_was_expected() {
    let output = run(&["dev", "--port", "0", "--concurrency", "many"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("LAMBDA_JOBS_CONCURRENCY: expected a whole number from 1 to 1000, got \"many\""),
        "{error}"
    );
}

#[test]
fn without_a_stack_the_error_says_where_it_looked() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(&["status", "some-id", &format!("--local={free}")]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("127.0.0.1:{free}")), "{error}");
}

#[test]
fn a_job_can_be_enqueued_found_watched_listed_and_retried() {
    let stack = Running::start(&["--no-demo", "--max-retries", "1"]);
    let payload = r#"{"type":"deliver_specific","webhookDeliveryId":"nobody"}"#;
    let id = stack.text(&["enqueue", "webhook-delivery-job", "--payload", payload]);
    let watched = stack.run(&["status", &id, "--watch"]);
    assert!(!watched.status.success(), "a watched job that failed fails the command");

    let job = stack.json(&["status", &id]);
    assert_eq!((&job["jobId"], &job["id"], &job["status"]), (&json!(id), &json!(id), &json!("failed")));
    assert_eq!((&job["attempt"], &job["retryCount"]), (&json!(1), &json!(0)));
    assert_eq!(job["error"], json!("webhookDeliveryId: there is no delivery \"nobody\""));
    assert_eq!(job["payload"]["webhookDeliveryId"], json!("nobody"));

    let listed = stack.json(&["list", "--status", "failed"]);
    assert_eq!(listed[0]["jobId"], json!(id));
    assert!(stack.text(&["retry", &id]).contains("enqueued again"));
    stack.run(&["status", &id, "--watch"]);
    assert_eq!(stack.json(&["status", &id])["status"], json!("failed"));

    let unknown = stack.run(&["status", "nobody"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("no such job"));
}

#[test]
fn a_job_with_the_unique_key_of_an_unfinished_one_is_its_duplicate() {
    let stack = Running::start(&["--no-demo"]);
    let job = ["enqueue", "webhook-delivery-job", "--delay", "1h", "--unique-key", "nightly report"];
    let first = stack.text(&job);
    let second = stack.run(&[&job[..], &["--unique-for", "2h"]].concat());
    assert!(second.status.success());
    assert_eq!(String::from_utf8(second.stdout).unwrap().trim(), first);
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains(&format!(
            "duplicate of {first}: that job holds this unique key, with status scheduled"
        )),
        "{said}"
    );

    stack.text(&["cancel", &first]);
    assert_ne!(stack.text(&job), first, "the key is free when its job has ended");
    let refused = run(&["enqueue", "webhook-delivery-job", "--unique-for", "1h"]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--unique-key"));
}

#[test]
fn a_queued_job_can_be_cancelled_and_a_bad_one_is_found_among_the_dead_letters() {
    let stack = Running::start(&["--no-demo"]);
    let id = stack.text(&["enqueue", "webhook-delivery-job", "--delay", "1h"]);
    assert_eq!(stack.json(&["status", &id])["status"], json!("scheduled"));
    assert!(stack.text(&["cancel", &id]).contains("cancelled; it will not run"));
    assert_eq!(stack.json(&["status", &id])["status"], json!("cancelled"));
    assert!(!stack.run(&["cancel", &id]).status.success(), "a second time there is nothing to cancel");

    let unknown = stack.run(&["cancel", "mistyped"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(unknown.stdout).unwrap().trim(),
        "mistyped: no job with this id is known; if a message with it arrives later, it will not run"
    );
    let on_purpose = stack.run(&["cancel", "not-yet-sent", "--even-if-unknown", "--json"]);
    assert!(on_purpose.status.success());
    let said: Value = serde_json::from_slice(&on_purpose.stdout).unwrap();
    assert_eq!((&said["done"], &said["status"]), (&json!(true), &json!("unknown")));

    let id = stack.text(&["enqueue", "no-such-job", "--id", "lost-1"]);
    stack.run(&["status", &id, "--watch"]);
    let letters = stack.json(&["dead-letters", "list"]);
    assert_eq!(
        letters[0]["reason"],
        json!("name: no handler is registered for \"no-such-job\"; registered are: webhook-delivery-job")
    );
    assert_eq!(stack.json(&["status", "lost-1"])["deadLettered"], json!(true));
}

#[test]
fn a_list_that_is_cut_short_says_where_it_goes_on() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let enqueue = |delay: &str| stack.text(&["enqueue", "webhook-delivery-job", "--delay", delay]);
    let (first, second) = (enqueue("1h"), enqueue("2h"));
    let list = ["list", "--limit", "1", "--json"];
    let listed = stack.run(&list);
    let jobs: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&jobs[0]["jobId"], jobs.as_array().unwrap().len()), (&json!(second), 1));
    let said = String::from_utf8(listed.stderr).unwrap();
    let cursor = said.trim().strip_prefix("more jobs: --cursor '").unwrap().strip_suffix('\'').unwrap();
    let rest = stack.run(&[&list[..], &["--cursor", cursor]].concat());
    let jobs: Value = serde_json::from_slice(&rest.stdout).unwrap();
    assert_eq!(jobs[0]["jobId"], json!(first));
    assert_eq!(String::from_utf8(rest.stderr).unwrap(), "", "these are all");
    let wrong = stack.run(&["list", "--cursor", "x"]);
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("cursor: expected one that came with a page of jobs, got \"x\""), "{said}");
}

#[test]
fn a_job_that_waits_for_days_is_listed_and_runs_at_once_when_it_is_rescheduled() {
    let stack = Running::start(&["--no-demo"]);
    let id = stack.text(&["enqueue", "webhook-delivery-job", "--delay", "3d"]);
    let listed = stack.json(&["list", "--status", "scheduled"]);
    assert_eq!(listed[0]["jobId"], json!(id));
    assert!(stack.text(&["reschedule", &id, "--delay", "0s"]).contains("due at 20"));
    stack.run(&["status", &id, "--watch"]);
    // Its payload names no delivery, so the job runs and fails.
    assert_eq!(stack.json(&["status", &id])["status"], json!("failed"));
    let late = stack.run(&["reschedule", &id, "--delay", "1h"]);
    assert!(!late.status.success());
    assert!(String::from_utf8(late.stdout).unwrap().contains("only a waiting job can be rescheduled"));
    let vague = stack.run(&["reschedule", &id]);
    assert!(String::from_utf8(vague.stderr).unwrap().contains("--run-at"));
}

#[test]
fn a_webhook_that_is_never_answered_well_fails_with_the_status() {
    let stack = Running::start(&["--no-demo"]);
    let sink = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=s3cret", sink.local_addr().unwrap());
    drop(sink);
    let id = stack.text(&["webhooks", "deliver", &url, "--payload", r#"{"hello":1}"#, "--max-attempts", "2"]);
    stack.run(&["status", &id, "--watch"]);
    let job = stack.json(&["status", &id]);
    assert_eq!((&job["status"], &job["attempt"]), (&json!("failed"), &json!(2)));
    let host = url.split('/').nth(2).unwrap();
    assert_eq!(job["tenant"], json!(host), "it waits in its host's group");
    let error = job["error"].as_str().unwrap();
    assert!(error.starts_with("POST http://127.0.0.1:") && !error.contains("s3cret"), "{error}");
}

#[test]
fn a_local_stack_is_as_strict_as_aws_if_it_is_told_to_be() {
    let stack = Running::start_with(&[("LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK", "false")], &["--no-demo"]);
    for (url, why) in [
        ("https://127.0.0.1:1/hook", "url: expected a public address, got 127.0.0.1 (loopback)"),
        ("https://localhost:1/hook", "url: expected a public address, got localhost (loopback)"),
        ("http://hooks.example/hook", r#"url: expected https, got "http""#),
    ] {
        let id = stack.text(&["webhooks", "deliver", url]);
        stack.run(&["status", &id, "--watch"]);
        let job = stack.json(&["status", &id]);
        assert_eq!((&job["status"], &job["attempt"]), (&json!("failed"), &json!(1)), "{job}");
        let error = job["error"].as_str().unwrap();
        let host = url.strip_suffix("hook").unwrap();
        assert!(
            error.starts_with(&format!("POST {host}...")) && error.ends_with(&format!(" failed: {why}")),
            "{error}"
        );
    }
}

#[test]
fn a_webhook_that_is_under_way_is_given_up_within_seconds_when_it_is_cancelled() {
    let stack = Running::start(&["--no-demo"]);
    // It accepts the request and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", silent.local_addr().unwrap());
    let id = stack.text(&["webhooks", "deliver", &url]);
    let request = silent.accept().unwrap();
    assert!(stack.text(&["cancel", &id]).contains("the job is running; its handler is told within seconds"));
    stack.run(&["status", &id, "--watch"]);
    let job = stack.json(&["status", &id]);
    assert_eq!((&job["status"], &job["attempt"]), (&json!("cancelled"), &json!(1)));
    assert_eq!(job["note"], json!("cancelled by an operator while it ran"));
    assert!(job["error"].as_str().unwrap().contains("cancelled while the request was under way"), "{job}");
    assert!(job["executionTime"].as_u64().unwrap() < 15_000, "long before it would have timed out: {job}");
    drop(request);
}

#[test]
fn a_cleanup_takes_the_details_of_all_but_the_newest_and_says_what_it_did() {
    let stack = Running::start(&["--no-demo"]);
    let payload = r#"{"type":"deliver_specific","webhookDeliveryId":"nobody"}"#;
    let id = stack.text(&["enqueue", "webhook-delivery-job", "--payload", payload]);
    stack.run(&["status", &id, "--watch"]);
    // It looks at no job that is among the newest.
    let expected = json!({
        "examined": 0, "removed": 0, "trimmed": 0, "historyRemoved": 0, "changed": 0, "detailsKept": 1000,
        "complete": true
    });
    assert_eq!(stack.json(&["cleanup"]), expected);
    let report = stack.run(&["cleanup", "--keep", "1"]);
    let text = String::from_utf8(report.stdout).unwrap();
    assert!(
        text.starts_with("checked 1 finished jobs that may be old: removed 0 past their retention"),
        "{text}"
    );
    let other = stack.text(&["enqueue", "webhook-delivery-job", "--payload", payload]);
    stack.run(&["status", &other, "--watch"]);
    // The deployment's settings hold, not those of the command's environment.
    let report = stack.run_with(&[("LAMBDA_JOBS_MAX_JOB_HISTORY", "1")], &["cleanup"]);
    let text = String::from_utf8(report.stdout).unwrap();
    assert!(text.contains("0 jobs older than the newest 1000"), "{text}");
    stack.run(&["cleanup", "--keep", "1"]);
    let job = stack.json(&["status", &id]);
    assert_eq!(
        (&job["status"], &job["trimmed"], &job["payload"]),
        (&json!("failed"), &json!(true), &json!(null))
    );
    let retried = stack.run(&["retry", &id]);
    assert!(!retried.status.success());
    assert!(String::from_utf8(retried.stdout).unwrap().contains("a cleanup removed its payload"));
}

#[test]
fn commands_go_by_the_settings_of_the_stack_and_show_whence_each_comes() {
    let stack = Running::start(&["--no-demo", "--max-retries", "7"]);
    let shown = || stack.run_with(&[("LAMBDA_JOBS_MAX_RETRIES", "1")], &["settings", "--json"]).stdout;
    // The worker or the dispatcher stores them as it starts.
    let is_stored = || String::from_utf8(shown()).unwrap().contains("\"deployment\"");
    assert!((0..100).any(|_| is_stored()), "nothing was stored");
    let shown: Value = serde_json::from_slice(&shown()).unwrap();
    let find = |name: &str| {
        let all = shown.as_array().unwrap().iter();
        all.into_iter().find(|one| one["setting"] == name).unwrap_or(&Value::Null).clone()
    };
    let expected = json!({ "setting": "LAMBDA_JOBS_MAX_RETRIES", "value": 7, "whence": "deployment" });
    assert_eq!(find("LAMBDA_JOBS_MAX_RETRIES"), expected);
    let expected =
        json!({ "setting": "LAMBDA_JOBS_STATE_TABLE", "value": "lambda-jobs-state", "whence": "default" });
    assert_eq!(find("LAMBDA_JOBS_STATE_TABLE"), expected);
    assert!(stack.text(&["settings"]).contains("LAMBDA_JOBS_MAX_RETRIES"));
}

#[test]
fn a_dead_letter_makes_the_stack_unhealthy_with_its_reason_and_what_to_do() {
    let stack = Running::start(&["--no-demo"]);
    assert!(stack.run(&["health"]).status.success());
    let id = stack.text(&["enqueue", "nobody"]);
    stack.run(&["status", &id, "--watch"]);
    let health = stack.run(&["health"]);
    assert_eq!(health.status.code(), Some(1));
    let text = String::from_utf8(health.stdout).unwrap();
    let expected =
        format!("dead letters: expected none, got 1 (normal 1); the newest of job {id}: name: no handler");
    assert!(text.starts_with("not healthy") && text.contains(&expected), "{text}");
    assert!(text.contains("list them with `dead-letters list`"), "{text}");
    let health: Value = serde_json::from_slice(&stack.run(&["health", "--json"]).stdout).unwrap();
    assert_eq!(health["newestDeadLetter"]["jobId"], json!(id));
    let queues = stack.json(&["queue"]);
    assert_eq!((&queues["failed"], &queues["deadLetters"]), (&json!(1), &json!(1)));
}

#[test]
fn bad_arguments_are_refused_before_anything_is_sent() {
    let refused = |args: &[&str]| {
        let output = run(args);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["enqueue", "n", "--payload", "{"]).contains("expected JSON"));
    assert!(
        refused(&["enqueue", "n", "--priority", "11"]).contains("expected an integer from 1 (most urgent)")
    );
    assert!(refused(&["list", "--status", "lost"]).contains("expected queued, scheduled, waiting, running"));
    assert!(refused(&["enqueue", "n", "--queue", "fast"]).contains("expected high, normal, low or webhooks"));
    assert!(refused(&["pause", "--reason", "two\nlines"]).contains("expected 1 to 200 printable characters"));
}

#[test]
fn a_paused_queue_starts_nothing_says_so_and_goes_on_when_it_is_resumed() {
    let stack = Running::start(&["--no-demo"]);
    let told = stack.text(&["pause", "--queue", "webhooks", "--reason", "endpoint is down"]);
    assert!(told.contains("high: running") && told.contains("webhooks: paused since 20"), "{told}");
    let payload = r#"{"type":"deliver_specific","webhookDeliveryId":"nobody"}"#;
    let id = stack.text(&["enqueue", "webhook-delivery-job", "--payload", payload]);
    let job = stack.json(&["status", &id]);
    assert!(
        job["note"].as_str().is_some_and(|note| note.starts_with("queue webhooks is paused since 20")),
        "{job}"
    );
    let queues = stack.json(&["queue"]);
    let webhooks = &queues["queues"][3];
    assert_eq!((&webhooks["queue"], &webhooks["paused"]), (&json!("webhooks"), &json!(true)), "{queues}");
    assert_eq!(webhooks["size"].as_u64().unwrap() + webhooks["processing"].as_u64().unwrap(), 1, "{queues}");
    assert_eq!((&webhooks["reason"], &queues["paused"]), (&json!("endpoint is down"), &json!(false)));

    let health = stack.run(&["health", "--json"]);
    assert!(!health.status.success(), "what is paused is not healthy");
    let health: serde_json::Value = serde_json::from_slice(&health.stdout).unwrap();
    assert!(health["issues"][0].as_str().unwrap().ends_with(": endpoint is down"), "{health}");
    assert_eq!(health["metrics"]["totalJobs"], json!(1));

    assert!(stack.text(&["pause"]).contains("high: paused"));
    assert!(stack.text(&["resume"]).contains("webhooks: running"));
    stack.run(&["status", &id, "--watch"]);
    let job = stack.json(&["status", &id]);
    assert_eq!((&job["status"], &job["attempt"]), (&json!("failed"), &json!(1)), "it has run, once");
}

#[cfg(unix)]
#[test]
fn an_interrupted_stack_ends_well() {
    assert!(Running::start(&["--no-demo"]).interrupt());
}

#[test]
fn a_payload_comes_from_a_file_or_standard_input() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.json");
    // Longer than Linux lets an argument be.
    let text = "x".repeat(140_000);
    std::fs::write(&file, json!({ "text": text }).to_string()).unwrap();
    let from_file = format!("@{}", file.display());
    let id = stack.text(&["enqueue", "greet", "--payload", &from_file]);
    assert_eq!(stack.json(&["status", &id])["payload"]["text"], json!(text));

    let fed = stack.run_fed(r#"{"from":"stdin"}"#, &["enqueue", "greet", "--payload", "-"]);
    let id = String::from_utf8(fed.stdout).unwrap();
    assert_eq!(stack.json(&["status", id.trim()])["payload"]["from"], json!("stdin"));

    for args in [
        &["enqueue", "greet"][..],
        &["webhooks", "deliver", "http://127.0.0.1:1/"],
        &["webhooks", "publish", "a.b"],
        &["schedules", "put", "s", "--rate", "rate(1 day)", "--job", "greet"],
    ] {
        let output = stack.run(&[args, &["--payload", "@none.json"]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.contains("payload: file none.json: No such file"),
            "{error}"
        );
    }
}

#[test]
fn pages_print_their_cursor_and_plain_lists_stay_arrays() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    for _ in 0..3 {
        stack.text(&["enqueue", "greet", "--delay", "1h"]);
        stack.text(&["webhooks", "deliver", "http://127.0.0.1:1/"]);
    }
    for list in [&["list", "--status", "scheduled"][..], &["webhooks", "deliveries"]] {
        let all = stack.json(list);
        assert_eq!(all.as_array().map(Vec::len), Some(3), "{list:?}");
        let first = stack.json(&[list, &["--limit", "2", "--with-cursor"]].concat());
        assert_eq!(first["items"].as_array().map(Vec::len), Some(2), "{list:?}");
        let cursor = first["cursor"].as_str().unwrap();
        let rest: Value =
            serde_json::from_str(&stack.text(&[list, &["--with-cursor", "--cursor", cursor]].concat()))
                .unwrap();
        assert_eq!((&rest["items"][0], &rest["cursor"]), (&all[2], &Value::Null), "{list:?}");
    }
}

#[test]
fn watching_an_unknown_job_says_at_once_what_it_waits_for() {
    let stack = Running::start(&["--no-demo", "--no-worker"]);
    let line = stack.first_error_line(&["status", "nobody", "--watch"]);
    assert!(line.starts_with("nobody: no such job yet; waiting until there is one."), "{line}");
    assert!(line.contains("Stop with Ctrl-C."), "{line}");
}
