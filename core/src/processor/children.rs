//! Children that have ended, and parents that wait for them.
//!
//! A child is marked after its end is written and before its message is deleted. Whatever happens in between, the message
//! comes back, finds the job ended, and the child is marked then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{Either, select};
use serde_json::{Value, json};

use super::SqsBatch;
use super::backoff::Backoff;
use super::job::Job;
use super::kept::{kept, shortened};
use super::observed::{discard, panic_text};
use crate::batch::PARENT;
use crate::batches::{Gathered, Mark, Over};
use crate::job::{JobId, JobRecord};
use crate::ports::ServiceError;

/// How often marking is tried, over 1.5 s.
const MARKS: usize = 4;
/// How long a parent waits that could not count its children.
const AFTER_TROUBLE: TimeDelta = TimeDelta::minutes(1);

/// What a parent found, with what its handler makes of the results.
enum Found {
    Waits(DateTime<Utc>),
    Over(Box<Over>, Result<Option<Value>, String>),
    Unknown,
}

impl SqsBatch<'_> {
    /// Marks the children that have ended. Costs nothing if there are none.
    pub(super) async fn mark_children(&self) {
        let mut backoff = Backoff::new();
        for attempt in 1..=MARKS {
            let children = self.state.take_unmarked();
            if children.is_empty() {
                return;
            }
            let marks: Vec<Mark> = children.iter().map(|(_, mark)| mark.clone()).collect();
            // Boxed, because hardly any SQS batch gets here.
            let marked = Box::pin(self.processor.batches.mark(&marks)).await;
            let is_done = !marked.contains(&false);
            self.state.marked(children, &marked);
            if is_done || attempt == MARKS {
                return;
            }
            self.processor.clock.sleep(backoff.next()).await;
        }
    }

    /// The record of a parent that has counted its children.
    pub(super) async fn gather(&self, record: JobRecord, job: &Job) -> JobRecord {
        let started = self.processor.clock.monotonic();
        let limit = self.processor.clock.sleep(job.timeout());
        let gathering = Box::pin(self.gathered(record.id(), job));
        let gathered = match select(gathering, limit).await {
            Either::Left((gathered, _)) => gathered,
            Either::Right(_) => {
                Err(ServiceError::new("count the children of a batch", "the parent's timeout is over"))
            }
        };
        let took = self.processor.clock.monotonic().saturating_sub(started);
        match gathered {
            Ok(Found::Waits(until)) => record.waiting(until),
            Ok(Found::Over(over, result)) => self.ended(record, &over, result, took),
            Ok(Found::Unknown) => {
                record.incomplete("batch: there is no batch with this id".to_owned(), self.now(), took)
            }
            Err(error) => {
                tracing::warn!(
                    job_id = %record.id(), error = &error as &dyn std::error::Error,
                    "the children of a batch can't be counted; tried again in a minute"
                );
                record.waiting(self.now() + AFTER_TROUBLE)
            }
        }
    }

    async fn gathered(&self, parent: &JobId, job: &Job) -> Result<Found, ServiceError> {
        match self.processor.batches.gather(parent).await? {
            Gathered::Waits(until) => Ok(Found::Waits(until)),
            Gathered::Unknown => Ok(Found::Unknown),
            Gathered::Over(over) => {
                let result = self.fold(&over, job).await?;
                Ok(Found::Over(over, result))
            }
        }
    }

    /// What the parent's handler makes of the children's results. A panic is its result's error.
    async fn fold(&self, over: &Over, job: &Job) -> Result<Result<Option<Value>, String>, ServiceError> {
        if job.definition().spec.name == PARENT {
            return Ok(Ok(None));
        }
        let mut so_far = Ok(None);
        let each = |child| {
            let Ok(before) = &mut so_far else { return };
            let before = before.take();
            let folded = catch_unwind(AssertUnwindSafe(|| job.handler.fold(before, &child)));
            so_far = folded.map_err(|panic| {
                let text = format!("panicked: {}", panic_text(&*panic));
                discard(panic);
                text
            });
        };
        self.processor.batches.for_each_result(&over.head, each).await?;
        Ok(so_far.map(|result| result.map(kept)))
    }

    /// The record of a parent whose children have all ended.
    fn ended(
        &self,
        mut record: JobRecord,
        over: &Over,
        folded: Result<Option<Value>, String>,
        took: Duration,
    ) -> JobRecord {
        let Over { total, tally, head } = over;
        let now = self.now();
        let counts = || {
            json!({
                "total": total,
                "completed": tally.completed,
                "failed": tally.failed,
                "cancelled": tally.cancelled,
            })
        };
        let (result, panicked) = match folded {
            Ok(folded) => (folded.unwrap_or_else(counts), None),
            Err(error) => (counts(), Some(error)),
        };
        if head.cancelled {
            record.result = Some(result);
            return record.cancelled("its batch was cancelled", now);
        }
        let error = if head.abandoned {
            Some("batch: it was left open, and nobody added a child or closed it for 15 days".to_owned())
        } else if head.success != Some(true) {
            Some(format!("{} of {total} children failed, {} were cancelled", tally.failed, tally.cancelled))
        } else {
            panicked.map(|why| format!("its results can't be folded: {why}"))
        };
        match error {
            None => record.completed(result, now, took),
            Some(error) => {
                record.result = Some(result);
                record.incomplete(shortened(error), now, took)
            }
        }
    }

    /// Wakes parents that have begun to wait, if their last child was marked meanwhile.
    pub(super) async fn look_again(&self, parents: &[JobId]) {
        for parent in parents {
            if let Err(error) = Box::pin(self.processor.batches.look_again(parent)).await {
                tracing::warn!(
                    job_id = %parent, error = &error as &dyn std::error::Error,
                    "a parent may have to wait for its next recount"
                );
            }
        }
    }
}
