//! Lists of jobs of one name, from a store that reads a bounded part of what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::job::JobSpec;
use lambda_jobs_core::manager::JobFilter;
use lambda_jobs_core::memory::MemoryJobStore;
use lambda_jobs_core::paging::{Cursor, Page};
use lambda_jobs_core::ports::{
    CorePorts, Counters, DueQuery, Fence, History, HistoryQuery, JobIndex, JobStore, ListQuery, Look,
    LookQuery, ServiceError, SettleCall, Settlement,
};
use lambda_jobs_core::{JobDefinition, JobManager, JobRecord, Queue};
use serde_json::Value;

use crate::world::World;

/// How far back one read goes.
const STEP: TimeDelta = TimeDelta::minutes(10);

/// An index that reads ten minutes at a time.
struct Near {
    inner: Arc<MemoryJobStore>,
    reads: AtomicUsize,
}

#[async_trait]
impl JobIndex for Near {
    async fn list(&self, query: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let all = self.inner.list(&ListQuery { name: None, limit: usize::MAX, ..query.clone() }).await?;
        let place = |record: &JobRecord| {
            Cursor::new(record.completed_at.or(Some(record.due_at)), record.id().to_string())
        };
        let Some(first) = all.items.first() else { return Ok(all) };
        let oldest = first.completed_at.unwrap_or(first.due_at) - STEP;
        let (near, far): (Vec<_>, Vec<_>) =
            all.items.into_iter().partition(|record| record.completed_at.is_none_or(|at| at > oldest));
        let reached = near.last().filter(|_| !far.is_empty()).map(|last| place(last).to_string());
        Ok(Page {
            items: near.into_iter().filter(|record| query.asks_for(record)).collect(),
            cursor: reached,
        })
    }

    async fn look(&self, query: &LookQuery) -> Result<Look, ServiceError> {
        self.inner.look(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        self.inner.due(query).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<History, ServiceError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let oldest = query.until - STEP;
        let near =
            HistoryQuery { since: oldest.max(query.since) + TimeDelta::nanoseconds(1), ..query.clone() };
        let found = self.inner.history(&near).await?;
        let is_enough = found.entries.len() >= query.limit || oldest <= query.since;
        Ok(History { reached: Some(oldest).filter(|_| !is_enough), ..found })
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        self.inner.counters().await
    }
}

fn record(id: &str, name: &str, at: DateTime<Utc>) -> JobRecord {
    let definition = JobDefinition::of(id.parse().unwrap(), JobSpec::new(name));
    JobRecord::accepted(definition, Queue::Normal, at, at)
}

#[test]
fn pages_of_a_rare_name_read_a_bounded_part_each_and_hold_every_job_once() {
    let world = World::new(|_| {});
    let store = world.store.inner.clone();
    let now = world.now();
    // One job a minute for ten hours; one in a hundred is rare. Even ones failed, odd ones completed.
    for minute in 0..600_i64 {
        let at = now - TimeDelta::minutes(minute);
        let name = if minute % 100 < 2 { "rare" } else { "often" };
        let record = record(&format!("job-{minute:03}"), name, at);
        let record = if minute % 2 == 0 {
            record.failed("why".to_owned(), at, None)
        } else {
            record.completed(Value::Null, at, Duration::ZERO)
        };
        let settlements = vec![Settlement { fence: Fence::Absent, record }];
        let batch = SettleCall { id: minute.unsigned_abs(), at, settlements };
        for outcome in world.clock.run(store.settle(&batch)) {
            outcome.unwrap();
        }
    }
    let near = Arc::new(Near { inner: store, reads: AtomicUsize::new(0) });
    let ports = CorePorts { index: near.clone(), ..world.ports.clone() };
    let manager = JobManager::new(world.config.clone(), ports);
    for limit in [1, 3, 100] {
        let (mut found, mut pages, mut cursor) = (Vec::new(), 0, None);
        loop {
            let filter = JobFilter { status: None, name: Some("rare".to_owned()), limit, cursor };
            let page = world.clock.run(manager.list(&filter)).unwrap();
            // Of each of the five statuses that are listed by place, at most eight.
            assert!(near.reads.swap(0, Ordering::SeqCst) <= 5 * 8, "a page of {limit}");
            found.extend(page.items.into_iter().map(|job| job.job_id.to_string()));
            (pages, cursor) = (pages + 1, page.cursor);
            if cursor.is_none() || pages > 1_000 {
                break;
            }
        }
        let expected: Vec<String> = (0..6)
            .flat_map(|hundred| [hundred * 100, hundred * 100 + 1])
            .map(|at| format!("job-{at:03}"))
            .collect();
        assert_eq!(found, expected, "the latest first, in pages of {limit}");
    }
}
