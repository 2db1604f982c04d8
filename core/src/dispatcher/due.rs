//! Sending parked jobs.
//!
//! The dispatcher sends first and updates second. A crash in between sends a message twice, and the claim lets only one
//! of them run. The other way round, a crash would lose the job.
//!
//! The index lists jobs without payloads, and their records are read in chunks. A chunk is bounded by its bytes, and so
//! are the chunks under way: whatever strangers park, a tick holds a few megabytes of it.

use chrono::{DateTime, Utc};
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use super::{Dispatcher, TickReport};
use crate::job::{JobId, JobRecord};
use crate::paging::{Page, parts};
use crate::ports::Outgoing;
use crate::ports::{DueJob, DueQuery, ServiceError};

/// How many jobs are listed at once.
const PAGE: usize = 1_000;
/// How many jobs are read, sent and updated together.
const CHUNK: usize = 100;
/// How many bytes of payloads they have together, unless one job alone has more.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How many chunks are under way at once.
const CONCURRENT_CHUNKS: usize = 8;

impl Dispatcher {
    /// Sends all parked jobs that come due soon.
    pub(super) async fn send_due(&self, deadline: DateTime<Utc>, report: &mut TickReport) {
        let until = self.manager.ports().clock.now() + Self::LOOK_AHEAD;
        let mut page = self.page(until, None).await;
        loop {
            let Page { items, cursor } = match page {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "can't read the due index");
                    report.is_partial = true;
                    return;
                }
            };
            let is_last = cursor.is_none();
            let next = async {
                match cursor {
                    None => None,
                    Some(_) if self.is_late(deadline) => None,
                    cursor => Some(self.page(until, cursor).await),
                }
            };
            let ((), following) = join(self.send_page(&items, deadline, report), next).await;
            let Some(following) = following else {
                report.is_partial |= !is_last;
                return;
            };
            page = following;
        }
    }

    async fn page(&self, until: DateTime<Utc>, cursor: Option<String>) -> Result<Page<DueJob>, ServiceError> {
        self.manager.ports().index.due(&DueQuery { until, limit: PAGE, cursor }).await
    }

    async fn send_page(&self, jobs: &[DueJob], deadline: DateTime<Utc>, report: &mut TickReport) {
        let mut sending = Vec::new();
        for chunk in parts(jobs, CHUNK, CHUNK_BYTES, |job| job.payload_bytes) {
            sending.push(self.send_chunk(chunk, deadline));
        }
        let mut sending = stream::iter(sending).buffer_unordered(CONCURRENT_CHUNKS);
        while let Some(sent) = sending.next().await {
            match sent {
                Some((dispatched, failed)) => {
                    report.dispatched += dispatched;
                    report.failed += failed;
                }
                None => report.is_partial = true,
            }
        }
    }

    /// How many of these jobs were sent, and how many failed; `None` if there was no time to begin.
    async fn send_chunk(&self, jobs: &[DueJob], deadline: DateTime<Utc>) -> Option<(usize, usize)> {
        if self.is_late(deadline) {
            return None;
        }
        let ports = self.manager.ports();
        let now = ports.clock.now();
        let records = match self.read_chunk(jobs, now).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "can't read parked jobs");
                return Some((0, jobs.len()));
            }
        };
        if records.is_empty() {
            return Some((0, 0));
        }
        let messages: Vec<_> = records.iter().map(|record| Outgoing::of_record(record, now)).collect();
        let outcomes = ports.queue.send(&messages).await;
        drop(messages);
        let count = records.len();
        let mut sent = Vec::with_capacity(count);
        for (record, outcome) in records.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => sent.push(record.without_payload().dispatched()),
                Err(error) => tracing::warn!(
                    job_id = %record.id(), error = &error as &dyn std::error::Error,
                    "can't send a parked job; the next tick tries again"
                ),
            }
        }
        let (dispatched, failed) = (sent.len(), count - sent.len());
        if !sent.is_empty() {
            // A record that has changed meanwhile needs no update: its job was cancelled, or has started.
            for error in ports.store.replace_all(&sent).await.into_iter().filter_map(Result::err) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "can't update a job that was sent; the next tick sends it once more"
                );
            }
        }
        Some((dispatched, failed))
    }

    /// The records of listed jobs that are parked and due still: the index may lag behind.
    async fn read_chunk(&self, jobs: &[DueJob], now: DateTime<Utc>) -> Result<Vec<JobRecord>, ServiceError> {
        let is_due = |record: &JobRecord| record.parked && record.due_at <= now + Self::LOOK_AHEAD;
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
        let found = self.manager.ports().store.get(&ids).await?;
        Ok(found.into_iter().flatten().filter(is_due).collect())
    }
}
