//! Pausing and resuming, and how the whole is doing.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError};
use crate::control::{Control, Pause, Reason};
use crate::job::{JobExecution, JobStatus, Queue, millis};
use crate::ports::{Counters, HistoryQuery, QueueDepth, SaveOutcome};

/// How often a write is tried that somebody else's write keeps defeating.
const TRIES: usize = 5;
/// More waiting jobs than this are an issue.
const LARGE_QUEUE: u64 = 1000;
/// A lower success rate than this is an issue.
const LOW_SUCCESS_RATE: f64 = 0.9;
/// How far back the end of the last job is looked for.
const LAST_PROCESSED_WITHIN: TimeDelta = TimeDelta::days(15);

/// How much waits and runs: the seed's queue status, and its parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Jobs whose messages wait, approximately.
    pub size: u64,
    /// Jobs whose messages are with a worker, or come back to one soon, approximately.
    pub processing: u64,
    /// Jobs that have completed.
    pub completed: u64,
    /// Jobs that have failed.
    pub failed: u64,
    /// Whether no job is started: everything is paused.
    pub paused: bool,
    /// The same for each queue.
    pub queues: Vec<OneQueue>,
}

/// How much waits and runs in one queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OneQueue {
    /// Which queue.
    pub queue: Queue,
    /// Jobs whose messages wait, approximately.
    pub size: u64,
    /// Jobs whose messages are with a worker, or come back to one soon, approximately.
    pub processing: u64,
    /// Whether none of its jobs is started.
    pub paused: bool,
    /// The pause.
    #[serde(flatten)]
    pub pause: Option<Pause>,
}

/// The figures of all jobs: the seed's `JobMetrics`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobMetrics {
    /// Jobs that have ended, run or wait.
    pub total_jobs: u64,
    /// Jobs that run.
    pub running_jobs: u64,
    /// Jobs that have completed.
    pub completed_jobs: u64,
    /// Jobs that have failed.
    pub failed_jobs: u64,
    /// Jobs that wait.
    pub queued_jobs: u64,
    /// How long an attempt takes in the mean, in milliseconds.
    #[serde(with = "millis")]
    pub average_execution_time: Duration,
    /// The part of the ended jobs that have completed, 0 to 1; 1 where none has ended.
    pub success_rate: f64,
    /// When a job ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_processed_at: Option<DateTime<Utc>>,
}

/// How the whole is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether there are no issues.
    pub healthy: bool,
    /// What is not as it should be.
    pub issues: Vec<String>,
    /// The figures that this goes by.
    pub metrics: JobMetrics,
}

impl JobManager {
    /// What is paused.
    pub async fn control(&self) -> Result<Control, ManagerError> {
        Ok(self.ports.control.load().await?)
    }

    /// Pauses one queue, or all work; what is paused already stays so, with the new reason if there is one.
    /// Workers start no more jobs within 10 s; those that run go on. Answers what is paused now.
    pub async fn pause(&self, scope: Option<Queue>, reason: Option<Reason>) -> Result<Control, ManagerError> {
        let now = self.ports.clock.now();
        self.change_control(|control| control.pause(scope, reason.clone(), now)).await
    }

    /// Lifts every pause of one queue, or of all. Answers what is paused now.
    pub async fn resume(&self, scope: Option<Queue>) -> Result<Control, ManagerError> {
        self.change_control(|control| control.resume(scope)).await
    }

    async fn change_control(&self, change: impl Fn(&Control) -> Control) -> Result<Control, ManagerError> {
        for _ in 0..TRIES {
            let control = self.ports.control.load().await?;
            let next = change(&control);
            if next == control || self.ports.control.save(&next).await? == SaveOutcome::Saved {
                return Ok(next);
            }
        }
        Err(ManagerError::ControlContended)
    }

    /// How much waits and runs, in all and in each queue.
    pub async fn queue_status(&self) -> Result<QueueStatus, ManagerError> {
        Ok(self.measure().await?.0)
    }

    /// Whether everything is as it should be, and what is not.
    pub async fn health(&self) -> Result<Health, ManagerError> {
        let (status, counters) = self.measure().await?;
        let metrics = metrics(&status, &counters, self.last_processed_at().await?);
        let control = self.control().await?;
        let issues = issues(&control, &status, &metrics, self.config.enabled, self.config.concurrency);
        Ok(Health { healthy: issues.is_empty(), issues, metrics })
    }

    /// Says of a waiting job that its queue is paused. Nobody else can: while no worker gets its message, nobody
    /// writes to its record.
    pub(super) async fn note_pause(&self, job: &mut JobExecution) {
        if job.status.is_finished() || job.status == JobStatus::Running {
            return;
        }
        match self.ports.control.load().await {
            Ok(control) => {
                if let Some(pause) = control.pause_of(job.queue) {
                    job.note = Some(format!("queue {} is {}", job.queue, told(pause)));
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the control can't be read; whether the queue is paused is not known");
            }
        }
    }

    async fn measure(&self) -> Result<(QueueStatus, Counters), ManagerError> {
        let control = self.control().await?;
        let mut counters = Counters::default();
        for (_, one) in self.counters().await? {
            counters.add(&one);
        }
        let depths = self.ports.stats.depths(&Queue::ALL).await;
        let depths = depths.into_iter().collect::<Result<Vec<QueueDepth>, _>>()?;
        let one = |(queue, depth): (Queue, QueueDepth)| {
            let pause = control.pause_of(queue).cloned();
            let (size, processing) = (depth.waiting(), depth.in_flight);
            OneQueue { queue, size, processing, paused: pause.is_some(), pause }
        };
        let queues: Vec<OneQueue> = Queue::ALL.into_iter().zip(depths).map(one).collect();
        let status = QueueStatus {
            size: queues.iter().map(|queue| queue.size).sum(),
            processing: queues.iter().map(|queue| queue.processing).sum(),
            completed: counters.completed,
            failed: counters.failed,
            paused: control.is_all_paused(),
            queues,
        };
        Ok((status, counters))
    }

    async fn last_processed_at(&self) -> Result<Option<DateTime<Utc>>, ManagerError> {
        let now = self.ports.clock.now();
        let query = HistoryQuery {
            since: now - LAST_PROCESSED_WITHIN,
            until: now + TimeDelta::minutes(1),
            status: None,
            name: None,
            limit: 1,
        };
        Ok(self.ports.index.history(&query).await?.first().map(|entry| entry.completed_at))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate of more than 2^52 jobs may be off in its last digit")]
fn metrics(status: &QueueStatus, counters: &Counters, last: Option<DateTime<Utc>>) -> JobMetrics {
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

/// What is not as it should be.
fn issues(
    control: &Control,
    status: &QueueStatus,
    metrics: &JobMetrics,
    is_enabled: bool,
    concurrency: usize,
) -> Vec<String> {
    let mut issues = Vec::new();
    // The workers' environment is not this one: the reconciler has noted what it is there.
    match control.disabled_since.map(shown) {
        Some(since) => issues.push(format!("not running: ENABLE_JOBS is false since {since}")),
        None if !is_enabled => issues.push("not running: ENABLE_JOBS is false".to_owned()),
        None => {}
    }
    if let Some(pause) = &control.all {
        issues.push(format!("not running: all work is {}", told(pause)));
    } else {
        for (queue, pause) in &control.queues {
            issues.push(format!("not running: queue {queue} is {}", told(pause)));
        }
    }
    if status.size > LARGE_QUEUE {
        issues.push(format!("queue size: expected at most {LARGE_QUEUE}, got {}", status.size));
    }
    if metrics.success_rate < LOW_SUCCESS_RATE {
        // Rounded down, so that what is too low never reads as if it were not.
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

/// A pause in words.
fn told(pause: &Pause) -> String {
    let since = shown(pause.since);
    match &pause.reason {
        None => format!("paused since {since}"),
        Some(reason) => format!("paused since {since}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(size: u64, processing: u64) -> QueueStatus {
        QueueStatus { size, processing, completed: 0, failed: 0, paused: false, queues: Vec::new() }
    }

    fn found(size: u64, processing: u64, completed: u64, failed: u64) -> Vec<String> {
        let status = status(size, processing);
        let counters = Counters { completed, failed, ..Counters::default() };
        let metrics = metrics(&status, &counters, None);
        issues(&Control::default(), &status, &metrics, true, 5)
    }

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
        assert_eq!(issues(&one, &status, &metrics, true, 5), [expected]);
        let all = one.pause(None, "deploy".parse().ok(), since);
        let expected = [
            "not running: ENABLE_JOBS is false",
            "not running: all work is paused since 1970-01-01T00:00:00Z: deploy",
        ];
        assert_eq!(issues(&all, &status, &metrics, false, 5), expected);
        let noted = Control::default().noting(false, since);
        let expected = "not running: ENABLE_JOBS is false since 1970-01-01T00:00:00Z";
        assert_eq!(issues(&noted, &status, &metrics, true, 5), [expected]);
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
