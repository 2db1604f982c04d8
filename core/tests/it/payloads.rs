//! A payload is the text that was sent, on every path from the door to the handler.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_jobs_core::schedule::Schedule;
use lambda_jobs_core::{
    Invalid, JobContext, JobError, JobRegistry, JobStatus, NewJob, Payload, Queue, ScheduleId,
};
use serde_json::Value;

use crate::world::World;

type Heard = Arc<Mutex<Vec<String>>>;

/// Texts that a tree would not keep as they are.
fn odd() -> Vec<String> {
    vec![
        r#"{"wei":12345678901234567890123}"#.to_owned(),
        r#"{ "b" : 1.50, "a" : 1e400, "b" : 2 }"#.to_owned(),
        r#"["\ud800", "\u00e9\/"]"#.to_owned(),
        "[".repeat(1_000) + &"]".repeat(1_000),
    ]
}

/// A world whose handler `hear` notes what it gets, at its third attempt. It waits between its attempts: for a fresh
/// message, then parked.
fn world() -> (World, Heard) {
    let heard = Heard::default();
    let notes = Arc::clone(&heard);
    let hear = move |payload: Payload, ctx: JobContext| {
        let notes = Arc::clone(&notes);
        async move {
            let wait = match ctx.attempt() {
                1 => Duration::from_mins(5),
                2 => Duration::from_mins(20),
                _ => {
                    notes.lock().unwrap().push(payload.to_string());
                    return Ok(());
                }
            };
            Err(JobError::retryable("not yet").after(wait))
        }
    };
    let world = World::new(|registry: &mut JobRegistry| {
        registry.register_fn("hear", hear).unwrap();
        registry.register_fn("tree", |_: Value, _| async { Ok::<_, JobError>(()) }).unwrap();
    });
    (world, heard)
}

fn schedule(text: &str) -> Schedule {
    let id: ScheduleId = "odd".parse().unwrap();
    let json = format!(
        r#"{{"rate":"rate(1 minute)","start":"2026-11-23T08:01:00Z","end":"2026-11-23T08:01:00Z",
        "job":{{"name":"hear","payload": {text} }}}}"#
    );
    Schedule::with_id(&id, &json).unwrap()
}

#[test]
fn a_handler_gets_the_text_that_was_sent_however_it_came_and_however_often_it_was_copied() {
    for text in odd() {
        let (world, heard) = world();
        let body = format!(r#"{{"name":"hear","payload":{text}}}"#);
        let bare = world.queue.send_body(Queue::Normal, &body).unwrap().parse().unwrap();
        let job = NewJob::new("hear").payload(text.parse::<Payload>().unwrap()).queue(Queue::Normal);
        let enqueued = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
        let put = schedule(&text);
        assert_eq!(serde_json::to_string(&put).unwrap().parse::<Schedule>().unwrap(), put);
        world.clock.run(world.manager.put_schedule(put)).unwrap();
        world.tick();
        world.settle();
        assert_eq!(*heard.lock().unwrap(), vec![text.clone(); 3]);
        for id in [bare, enqueued, "odd@2026-11-23T08:01:00Z".parse().unwrap()] {
            let job = world.status(&id);
            assert_eq!((job.status, job.payload.as_str()), (JobStatus::Completed, text.as_str()));
            let printed = serde_json::to_string_pretty(&job).unwrap();
            assert!(printed.contains(&format!("\"payload\": {text},")), "{printed}");
        }
    }
}

#[test]
fn a_dead_letter_and_its_redriven_job_hold_the_text_that_was_sent() {
    for text in odd() {
        let (world, _) = world();
        let body = format!("\u{feff}{{\"name\":\"nobody\",\"payload\": {text} ,\"other\":{text}}}");
        let id = world.queue.send_body(Queue::Normal, &body).unwrap().parse().unwrap();
        for _ in 0..2 {
            world.step(Queue::Normal);
            let letters = world.dead_letters(Queue::Normal);
            assert_eq!(letters[0].body.matches(&text).count(), 2, "{}", letters[0].body);
            assert_eq!(world.status(&id).payload.as_str(), text);
            world.queue.redrive(Queue::Normal);
        }
    }
}

#[test]
fn a_payload_that_its_type_cannot_hold_fails_its_job_alone_and_says_why() {
    let (world, _) = world();
    let cases = [
        (format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)), "nested more than 127 deep"),
        ("1e400".to_owned(), "a number is too large for its type"),
        (r#"["\ud800"]"#.to_owned(), "a string has half of a surrogate pair"),
    ];
    for (text, why) in cases {
        let body = format!(r#"{{"name":"tree","payload":{text}}}"#);
        let odd = world.queue.send_body(Queue::Normal, &body).unwrap().parse().unwrap();
        let mate = world.send(Queue::Normal, &serde_json::json!({ "name": "tree" }));
        world.step(Queue::Normal);
        assert_eq!(world.status(&mate).status, JobStatus::Completed);
        let job = world.status(&odd);
        let error = job.error.unwrap();
        assert_eq!((job.status, job.attempt), (JobStatus::Failed, 1), "{error}");
        let expected =
            format!("payload: refused by tree: {why}; a handler that takes a Payload gets it as text (");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn what_is_no_json_is_refused_at_every_door() {
    let refused =
        |text: &str| text.parse::<Payload>().map_err(|error: Invalid| error.to_string()).unwrap_err();
    assert!(
        refused("{").starts_with("payload: expected JSON (EOF while parsing an object"),
        "{}",
        refused("{")
    );
    assert!(refused("1 2").starts_with("payload: expected JSON (trailing characters"), "{}", refused("1 2"));
    assert!(refused("").starts_with("payload: expected JSON ("), "{}", refused(""));
    let twice = r#"{"id":"s","rate":"rate(1 minute)","job":{"name":"n","payload":1,"payload":2}}"#;
    let error = twice.parse::<Schedule>().unwrap_err();
    assert_eq!(error.to_string(), "job: payload: expected one value, got two");
}
