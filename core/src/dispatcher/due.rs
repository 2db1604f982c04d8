//! Sending parked jobs.
//!
//! The dispatcher sends first and updates second. A crash in between sends a message twice, and the claim lets only one
//! of them run. The other way round, a crash would lose the job.
//!
//! The index lists whole records, so most jobs are sent as listed: a job that was cancelled or sent since gets a message
//! that its claim refuses, and the update leaves its record alone. Only payloads that are stored apart have to be read.
//!
//! Chunks of jobs are sent side by side while the next page is read. A chunk is bounded by its bytes, and so are the
//! chunks under way: whatever strangers park, a tick holds some tens of megabytes of it at most.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Dispatcher, TickReport};
use crate::clock::BoxFuture;
use crate::job::{JobId, JobRecord};
use crate::paging::{Page, parts};
use crate::ports::{DueQuery, Outgoing, ServiceError};

/// How many jobs are listed at once.
const PAGE: usize = 2_000;
/// How many jobs are sent and updated together.
const CHUNK: usize = 100;
/// How many bytes of payloads stored apart they have together, unless one job alone has more.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How many chunks are under way at once. The next page is read when fewer wait.
const CONCURRENT_CHUNKS: usize = 8;

/// A part of the work that has ended.
enum Done {
    /// A page of the index was read, or not.
    Read(Result<Page<JobRecord>, ServiceError>),
    /// A chunk was sent, so many of its jobs with success.
    Sent { dispatched: usize, failed: usize },
}

impl Dispatcher {
    /// Sends all parked jobs that come due soon.
    pub(super) async fn send_due(&self, deadline: DateTime<Utc>, report: &mut TickReport) {
        let until = self.manager.ports().clock.now() + Self::LOOK_AHEAD;
        let mut under_way = FuturesUnordered::new();
        under_way.push(self.read(until, None));
        let (mut waiting, mut sending) = (VecDeque::new(), 0);
        let mut next_page: Option<String> = None;
        while let Some(done) = under_way.next().await {
            match done {
                Done::Read(Ok(page)) => {
                    waiting.extend(chunks(page.items));
                    next_page = page.cursor;
                }
                Done::Read(Err(error)) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "can't read the due index");
                    report.is_partial = true;
                }
                Done::Sent { dispatched, failed } => {
                    sending -= 1;
                    report.dispatched += dispatched;
                    report.failed += failed;
                }
            }
            if self.is_late(deadline) {
                report.is_partial |= !waiting.is_empty() || next_page.is_some();
                (waiting, next_page) = (VecDeque::new(), None);
            }
            while sending < CONCURRENT_CHUNKS
                && let Some(chunk) = waiting.pop_front()
            {
                sending += 1;
                under_way.push(self.send_chunk(chunk).boxed());
            }
            if waiting.len() < CONCURRENT_CHUNKS
                && let Some(cursor) = next_page.take()
            {
                under_way.push(self.read(until, Some(cursor)));
            }
        }
    }

    fn read(&self, until: DateTime<Utc>, cursor: Option<String>) -> BoxFuture<'_, Done> {
        let query = DueQuery { until, limit: PAGE, cursor };
        async move { Done::Read(self.manager.ports().index.due(&query).await) }.boxed()
    }

    async fn send_chunk(&self, listed: Vec<JobRecord>) -> Done {
        let ports = self.manager.ports();
        let now = ports.clock.now();
        let (records, unread) = self.with_payloads(listed, now).await;
        let messages: Vec<_> = records.iter().map(|record| Outgoing::of_record(record, now)).collect();
        if messages.is_empty() {
            return Done::Sent { dispatched: 0, failed: unread };
        }
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
        let (dispatched, failed) = (sent.len(), count - sent.len() + unread);
        if !sent.is_empty() {
            // A record that has changed meanwhile needs no update: its job was cancelled, or has started.
            for error in ports.store.replace_all(&sent).await.into_iter().filter_map(Result::err) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "can't update a job that was sent; the next tick sends it once more"
                );
            }
        }
        Done::Sent { dispatched, failed }
    }

    /// These jobs with their payloads, and how many of them could not be read. A job that was read and is not parked or
    /// due any more is left out.
    async fn with_payloads(&self, listed: Vec<JobRecord>, now: DateTime<Utc>) -> (Vec<JobRecord>, usize) {
        let (apart, mut whole): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|record| record.stored.place.is_some());
        if apart.is_empty() {
            return (whole, 0);
        }
        let ids: Vec<JobId> = apart.iter().map(|record| record.id().clone()).collect();
        match self.manager.ports().store.get(&ids).await {
            Ok(read) => {
                let is_due = |record: &JobRecord| record.parked && record.due_at <= now + Self::LOOK_AHEAD;
                whole.extend(read.into_iter().flatten().filter(is_due));
                (whole, 0)
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "can't read parked jobs");
                (whole, ids.len())
            }
        }
    }
}

/// The jobs of a page in chunks, those of one queue side by side: a batch of messages goes to one queue, and a full one
/// costs as much as one with a single message.
fn chunks(mut records: Vec<JobRecord>) -> Vec<Vec<JobRecord>> {
    records.sort_by_key(|record| record.queue);
    parts(records, CHUNK, CHUNK_BYTES, |record| record.stored.bytes_apart())
}
