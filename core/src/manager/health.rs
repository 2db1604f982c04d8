//! How the system is doing.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join;

use super::{JobManager, ManagerError};
use crate::job::{JobStatus, Queue};
use crate::monitoring::{Circumstances, Health, NewestDeadLetter, OneQueue, QueueStatus, issues, metrics};
use crate::ports::{Counters, HistoryQuery, ListQuery, QueueDepth};

/// How far back to look for the end of the last job.
const LAST_PROCESSED_WITHIN: TimeDelta = TimeDelta::days(15);
/// Among how many of the newest failed jobs to look for a dead letter.
const NEWEST: usize = 100;
/// How many messages of a dead-letter queue to look at if no record tells of one.
const SAMPLE: usize = 10;

impl JobManager {
    /// How many jobs wait and run, in all and by queue.
    pub async fn queue_status(&self) -> Result<QueueStatus, ManagerError> {
        Ok(self.queue_figures().await?.0)
    }

    /// Whether the system is healthy, and its issues if not.
    pub async fn health(&self) -> Result<Health, ManagerError> {
        let (status, counters) = self.queue_figures().await?;
        let metrics = metrics(&status, &counters, self.last_processed_at().await?);
        let control = self.control().await?;
        let in_force = self.in_force(&control);
        let newest_dead_letter =
            if status.dead_letters > 0 { self.newest_dead_letter(&status).await? } else { None };
        // A deployment notes itself whether its jobs are enabled.
        let is_enabled = self.config.enabled || in_force.deployed_since.is_some();
        let circumstances = Circumstances {
            is_enabled,
            concurrency: in_force.settings.concurrency,
            newest_dead_letter: newest_dead_letter.as_ref(),
        };
        let issues = issues(&control, &status, &metrics, &circumstances);
        Ok(Health { healthy: issues.is_empty(), issues, newest_dead_letter, metrics })
    }

    async fn queue_figures(&self) -> Result<(QueueStatus, Counters), ManagerError> {
        let control = self.control().await?;
        let mut counters = Counters::default();
        for (_, one) in self.counters().await? {
            counters.add(&one);
        }
        let queues = &self.ports.stats;
        let (depths, letters) = join(queues.depths(&Queue::ALL), queues.dead_letters(&Queue::ALL)).await;
        let depths = depths.into_iter().collect::<Result<Vec<QueueDepth>, _>>()?;
        let letters = letters.into_iter().collect::<Result<Vec<u64>, _>>()?;
        let one = |((queue, depth), dead_letters): ((Queue, QueueDepth), u64)| {
            let pause = control.pause_of(queue).cloned();
            let (size, processing) = (depth.waiting(), depth.in_flight);
            OneQueue { queue, size, processing, dead_letters, paused: pause.is_some(), pause }
        };
        let queues: Vec<OneQueue> = Queue::ALL.into_iter().zip(depths).zip(letters).map(one).collect();
        let status = QueueStatus {
            size: queues.iter().map(|queue| queue.size).sum(),
            processing: queues.iter().map(|queue| queue.processing).sum(),
            completed: counters.completed,
            failed: counters.failed,
            dead_letters: queues.iter().map(|queue| queue.dead_letters).sum(),
            paused: control.is_all_paused(),
            queues,
        };
        Ok((status, counters))
    }

    /// The newest dead letter: by the records of failed jobs, or by the queues if no record tells of one. A look into a
    /// queue hides its messages for a moment, so records come first.
    async fn newest_dead_letter(
        &self,
        status: &QueueStatus,
    ) -> Result<Option<NewestDeadLetter>, ManagerError> {
        let failed = ListQuery {
            status: JobStatus::Failed,
            name: None,
            until: None,
            below: None,
            limit: NEWEST,
            cursor: None,
        };
        let found = self.ports.index.list(&failed).await?;
        if let Some(newest) = NewestDeadLetter::of_records(&found.items) {
            return Ok(Some(newest));
        }
        let mut messages = Vec::new();
        for one in status.queues.iter().filter(|one| one.dead_letters > 0) {
            messages.extend(self.ports.dead_letters.list(one.queue, SAMPLE).await?);
        }
        Ok(NewestDeadLetter::of_messages(messages))
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
        Ok(self.ports.index.history(&query).await?.entries.first().map(|entry| entry.completed_at))
    }
}
