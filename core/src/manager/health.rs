//! How the system is doing.

use chrono::{DateTime, TimeDelta, Utc};

use super::{JobManager, ManagerError};
use crate::job::Queue;
use crate::monitoring::{Health, OneQueue, QueueStatus, issues, metrics};
use crate::ports::{Counters, HistoryQuery, QueueDepth};

/// How far back to look for the end of the last job.
const LAST_PROCESSED_WITHIN: TimeDelta = TimeDelta::days(15);

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
        let issues = issues(&control, &status, &metrics, self.config.enabled, self.config.concurrency);
        Ok(Health { healthy: issues.is_empty(), issues, metrics })
    }

    async fn queue_figures(&self) -> Result<(QueueStatus, Counters), ManagerError> {
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
