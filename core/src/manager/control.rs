//! Pausing and resuming, and how the whole is doing.

use super::{JobManager, ManagerError};
use crate::control::{Control, PauseReason};
use crate::job::{JobExecution, JobStatus, Queue};
use crate::monitoring::{Health, OneQueue, QueueStatus, issues, metrics};
use crate::ports::{Counters, HistoryQuery, QueueDepth, SaveOutcome};
use chrono::{DateTime, TimeDelta, Utc};

/// How often a write is tried that somebody else's write keeps defeating.
const TRIES: usize = 5;
/// How far back the end of the last job is looked for.
const LAST_PROCESSED_WITHIN: TimeDelta = TimeDelta::days(15);

impl JobManager {
    /// What is paused.
    pub async fn control(&self) -> Result<Control, ManagerError> {
        Ok(self.ports.control.load().await?)
    }

    /// Pauses one queue, or all work; what is paused already stays so, with the new reason if there is one.
    /// Workers start no more jobs within 10 s; those that run go on. Answers what is paused now.
    pub async fn pause(
        &self,
        scope: Option<Queue>,
        reason: Option<PauseReason>,
    ) -> Result<Control, ManagerError> {
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
                    job.note = Some(format!("queue {} is {pause}", job.queue));
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
