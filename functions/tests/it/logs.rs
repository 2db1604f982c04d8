//! The log lines of a batch. Lines cost money, so a successful batch writes one.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeDelta, TimeZone, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::memory::{MemoryPorts, PausedClock};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobConfig, JobError, JobProcessor, JobRegistry, Queue, StopSignal};
use serde_json::{Value, json};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs these payloads as one batch. Returns the log lines that it wrote.
fn log_of(payloads: &[Value]) -> Vec<Value> {
    let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
    let memory = MemoryPorts::new(clock.clone(), Duration::from_mins(9)).unwrap();
    let queue = memory.queue.clone();
    let config = JobConfig::default();
    let mut registry = JobRegistry::new(&config);
    let run = |payload: Value, _| async move {
        if payload["fail"] == true { Err(JobError::permanent("as told")) } else { Ok(()) }
    };
    registry.register_fn("told", run).unwrap();
    let processor = JobProcessor::new(Arc::new(registry), config, &memory.ports());
    for payload in payloads {
        queue.send_body(Queue::Normal, &json!({ "name": "told", "payload": payload }).to_string()).unwrap();
    }
    let deadline = clock.now() + TimeDelta::seconds(90);
    let invocation = Invocation { deadline, stop: StopSignal::never() };
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = lambda_jobs_functions::logging::json(move || writer.clone(), "info");
    tracing::subscriber::with_default(subscriber, || {
        clock.run(processor.process(queue.receive(Queue::Normal, 10).unwrap(), &invocation));
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_batch_that_went_well_writes_one_line_whatever_its_size() {
    let lines = log_of(&vec![json!({}); 10]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&json!("batch"), &json!("INFO")));
    assert_eq!((&lines[0]["received"], &lines[0]["completed"]), (&json!(10), &json!(10)));
}

#[test]
fn a_failure_adds_a_line_with_the_jobs_id_name_attempt_and_error() {
    let lines = log_of(&[json!({}), json!({ "fail": true })]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let failure = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!((&failure["job"], &failure["attempt"]), (&json!("told"), &json!(1)));
    assert_eq!((&failure["status"], &failure["error"]), (&json!("failed"), &json!("as told")));
    assert!(failure["job_id"].as_str().is_some_and(|id| !id.is_empty()));
}
