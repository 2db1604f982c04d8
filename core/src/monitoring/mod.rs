//! The health of the system: figures of all jobs, and issues.
//!
//! Everything here is a pure function of measured figures.

mod dead_letters;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

pub use dead_letters::NewestDeadLetter;

use crate::control::{Control, Pause};
use crate::job::{Queue, millis};
use crate::ports::Counters;

/// More waiting jobs than this are an issue.
const LARGE_QUEUE: u64 = 1000;
/// A lower success rate than this is an issue.
const LOW_SUCCESS_RATE: f64 = 0.9;

/// How many jobs wait and run, in all and by queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Jobs whose messages wait, approximately.
    pub size: u64,
    /// Jobs whose messages are with a worker, or come back to one soon, approximately.
    pub processing: u64,
    /// Jobs that have completed.
    pub completed: u64,
    /// Jobs that have failed, those whose messages went to a dead-letter queue among them.
    pub failed: u64,
    /// Messages in the dead-letter queues, approximately.
    pub dead_letters: u64,
    /// Whether all work is paused.
    pub paused: bool,
    /// The same for each queue.
    pub queues: Vec<OneQueue>,
}

/// How many jobs wait and run in one queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneQueue {
    /// The queue.
    pub queue: Queue,
    /// Jobs whose messages wait, approximately.
    pub size: u64,
    /// Jobs whose messages are with a worker, or come back to one soon, approximately.
    pub processing: u64,
    /// Messages in its dead-letter queue, approximately.
    pub dead_letters: u64,
    /// Whether the queue is paused.
    pub paused: bool,
    /// The pause.
    #[serde(flatten)]
    pub pause: Option<Pause>,
}

/// The figures of all jobs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobMetrics {
    /// Jobs that have ended, run or wait.
    pub total_jobs: u64,
    /// Jobs that run.
    pub running_jobs: u64,
    /// Jobs that have completed.
    pub completed_jobs: u64,
    /// Jobs that have failed, those whose messages went to a dead-letter queue among them.
    pub failed_jobs: u64,
    /// Jobs that wait.
    pub queued_jobs: u64,
    /// The mean time of an attempt, in milliseconds.
    #[serde(with = "millis")]
    pub average_execution_time: Duration,
    /// The part of the ended jobs that completed, 0 to 1; 1 if none has ended.
    pub success_rate: f64,
    /// When the last job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_processed_at: Option<DateTime<Utc>>,
}

/// The health of the system.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether there are no issues.
    pub healthy: bool,
    /// The issues, in words.
    pub issues: Vec<String>,
    /// The newest dead letter, if there is any and its reason is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_dead_letter: Option<NewestDeadLetter>,
    /// The underlying figures.
    pub metrics: JobMetrics,
}

#[expect(clippy::cast_precision_loss, reason = "a rate of more than 2^52 jobs may be off in its last digit")]
pub(crate) fn metrics(status: &QueueStatus, counters: &Counters, last: Option<DateTime<Utc>>) -> JobMetrics {
    let Counters { completed, failed, cancelled, retried, execution_millis } = *counters;
    let (ended, attempts) = (completed + failed, completed + failed + retried);
    JobMetrics {
        total_jobs: ended + cancelled + status.size + status.processing,
        running_jobs: status.processing,
        completed_jobs: completed,
        failed_jobs: failed,
        queued_jobs: status.size,
        average_execution_time: Duration::from_millis(execution_millis.checked_div(attempts).unwrap_or(0)),
        success_rate: if ended == 0 { 1.0 } else { completed as f64 / ended as f64 },
        last_processed_at: last,
    }
}

/// What the issues of a system follow from, beside its control item and its figures.
pub(crate) struct Circumstances<'a> {
    pub(crate) is_enabled: bool,
    pub(crate) concurrency: usize,
    pub(crate) newest_dead_letter: Option<&'a NewestDeadLetter>,
}

/// The issues, in words.
pub(crate) fn issues(
    control: &Control,
    status: &QueueStatus,
    metrics: &JobMetrics,
    circumstances: &Circumstances<'_>,
) -> Vec<String> {
    let Circumstances { is_enabled, concurrency, newest_dead_letter } = *circumstances;
    let mut issues = Vec::new();
    // This is not the workers' environment. The reconciler reads that one and notes its setting.
    match control.disabled_since.map(shown) {
        Some(since) => issues.push(format!("not running: ENABLE_JOBS is false since {since}")),
        None if !is_enabled => issues.push("not running: ENABLE_JOBS is false".to_owned()),
        None => {}
    }
    if let Some(pause) = &control.all {
        issues.push(format!("not running: all work is {pause}"));
    } else {
        for (queue, pause) in &control.queues {
            issues.push(format!("not running: queue {queue} is {pause}"));
        }
    }
    issues.extend(dead_letters::issue(status, newest_dead_letter));
    if status.size > LARGE_QUEUE {
        issues.push(format!("queue size: expected at most {LARGE_QUEUE}, got {}", status.size));
    }
    if metrics.success_rate < LOW_SUCCESS_RATE {
        // Rounded down, so that a rate below the bound never reads as the bound.
        let percent = (metrics.success_rate * 1000.0).floor() / 10.0;
        issues.push(format!("success rate: expected at least 90 %, got {percent:.1} %"));
    }
    let most = u64::try_from(concurrency.saturating_mul(2)).unwrap_or(u64::MAX);
    if status.processing > most {
        issues.push(format!(
            "processing: expected at most {most}, twice the concurrency, got {}",
            status.processing
        ));
    }
    issues
}

fn shown(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(size: u64, processing: u64) -> QueueStatus {
        QueueStatus {
            size,
            processing,
            completed: 0,
            failed: 0,
            dead_letters: 0,
            paused: false,
            queues: Vec::new(),
        }
    }

    fn found(size: u64, processing: u64, completed: u64, failed: u64) -> Vec<String> {
        let status = status(size, processing);
        let counters = Counters { completed, failed, ..Counters::default() };
        let metrics = metrics(&status, &counters, None);
        issues(&Control::default(), &status, &metrics, &HEALTHY)
    }

    const HEALTHY: Circumstances<'static> =
        Circumstances { is_enabled: true, concurrency: 5, newest_dead_letter: None };

    #[test]
    fn an_issue_begins_beyond_its_bound_and_names_it_with_what_was_found() {
        assert_eq!(found(1000, 10, 9, 1), Vec::<String>::new());
        assert_eq!(found(1001, 0, 0, 0), ["queue size: expected at most 1000, got 1001"]);
        assert_eq!(found(0, 0, 8999, 1001), ["success rate: expected at least 90 %, got 89.9 %"]);
        assert_eq!(found(0, 11, 0, 0), ["processing: expected at most 10, twice the concurrency, got 11"]);
    }

    #[test]
    fn what_does_not_run_is_told_with_its_beginning_and_reason() {
        let (status, since) = (status(0, 0), DateTime::UNIX_EPOCH);
        let metrics = metrics(&status, &Counters::default(), None);
        let one = Control::default().pause(Some(Queue::Webhooks), None, since);
        let expected = "not running: queue webhooks is paused since 1970-01-01T00:00:00Z";
        assert_eq!(issues(&one, &status, &metrics, &HEALTHY), [expected]);
        let all = one.pause(None, "deploy".parse().ok(), since);
        let expected = [
            "not running: ENABLE_JOBS is false",
            "not running: all work is paused since 1970-01-01T00:00:00Z: deploy",
        ];
        let disabled = Circumstances { is_enabled: false, ..HEALTHY };
        assert_eq!(issues(&all, &status, &metrics, &disabled), expected);
        let noted = Control::default().noting(false, since);
        let expected = "not running: ENABLE_JOBS is false since 1970-01-01T00:00:00Z";
        assert_eq!(issues(&noted, &status, &metrics, &HEALTHY), [expected]);
    }

    #[test]
    fn the_figures_are_those_of_the_counters_and_the_queues() {
        let counters = Counters { completed: 3, failed: 1, cancelled: 2, retried: 1, execution_millis: 100 };
        let metrics = metrics(&status(7, 2), &counters, Some(DateTime::UNIX_EPOCH));
        let expected = serde_json::json!({
            "totalJobs": 15, "runningJobs": 2, "completedJobs": 3, "failedJobs": 1, "queuedJobs": 7,
            "averageExecutionTime": 20, "successRate": 0.75, "lastProcessedAt": "1970-01-01T00:00:00Z",
        });
        assert_eq!(serde_json::to_value(&metrics).unwrap(), expected);
    }
}
