//! Batches: callers enqueue, cancel and retry them, and each is held to what must follow.

use std::time::Duration;

use serde_json::json;

use crate::simulation::callers::Answer;
use crate::simulation::facts::Holds;
use crate::simulation::history::History;
use crate::simulation::invariants::{self, EndedBatch};
use crate::simulation::link::Link;
use crate::simulation::plan::Expected;
use lambda_jobs_core::batch::Batch;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::{JobId, JobStatus, NewJob};

/// How often a caller enqueues its batch until that is answered.
const TRIES: usize = 20;

/// The job that is made when a batch is over.
fn follows(batch: &JobId, word: &str) -> Option<JobId> {
    format!("{batch}.{word}").parse().ok()
}

/// The id of this child of a batch.
fn child_of(batch: &JobId, child: Option<usize>) -> Option<JobId> {
    format!("{batch}-{}", child?).parse().ok()
}

impl History {
    /// Lets callers enqueue a batch, at the same time.
    pub(super) fn batch(&mut self, number: usize, children: &[NewJob], times: usize) {
        let Ok(id) = format!("batch-{number}").parse::<JobId>() else { return };
        let id_of =
            |(at, child): (usize, &NewJob)| child.id.clone().or_else(|| format!("{id}-{at}").parse().ok());
        let ids: Vec<JobId> = children.iter().enumerate().filter_map(id_of).collect();
        let named = children.iter().cloned().zip(&ids).map(|(job, id)| job.id(id.clone()));
        let children: Vec<NewJob> = named.collect();
        self.jobs.insert(number, id.clone());
        self.world.state().watch.batches.insert(id.clone(), ids.clone());
        let mut accepted = ids;
        accepted.push(id.clone());
        let after = || NewJob::new("job").payload(json!({}));
        let batch = Batch::new(children).id(id).on_success(after()).on_complete(after());
        for _ in 0..times {
            let (manager, link) = self.callers.begin();
            self.expect_children(&link, &batch.children);
            let (batch, accepted, clock) = (batch.clone(), accepted.clone(), self.world.clock.clone());
            let work = async move {
                for _ in 0..TRIES {
                    if manager.enqueue_batch(batch.clone()).await.is_ok() {
                        return Answer::Scheduled(accepted);
                    }
                    clock.sleep(Duration::from_secs(5)).await;
                }
                Answer::Nothing
            };
            self.callers.ask(link, Box::pin(work));
        }
    }

    /// Notes what is known about the children that this machine enqueues, whose clock may differ.
    fn expect_children(&self, link: &Link, children: &[NewJob]) {
        for job in children {
            let Some(id) = &job.id else { continue };
            let due = link.now() + job.delay.unwrap_or_default();
            let asked = json!({ "maxRetries": job.spec.max_retries });
            self.expect(id, &job.spec.name, &asked, Expected::Anything, due);
            self.world.state().watch.job(id).payload = Some(job.spec.payload.to_string());
        }
    }

    /// Cancels a batch, or one of its children.
    pub(super) fn cancel_batch(&mut self, of: usize, child: Option<usize>) -> bool {
        let Some(id) = self.jobs.get(&of).cloned() else { return false };
        let (manager, link) = self.callers.begin();
        let work = async move {
            let done = match child_of(&id, child) {
                Some(child) => manager.cancel(&child).await.is_ok(),
                None => manager.cancel_batch(&id).await.is_ok(),
            };
            if done { Answer::Done } else { Answer::Nothing }
        };
        self.callers.ask(link, Box::pin(work));
        true
    }

    /// Retries a batch, or one of its children.
    pub(super) fn retry_batch(&mut self, of: usize, child: Option<usize>) -> bool {
        let Some(id) = self.jobs.get(&of).cloned() else { return false };
        let (manager, link) = self.callers.begin();
        let work = async move {
            let done = match child_of(&id, child) {
                Some(child) => manager.retry(&child).await.is_ok(),
                None => manager.retry_batch(&id).await.is_ok(),
            };
            if done { Answer::Done } else { Answer::Nothing }
        };
        self.callers.ask(link, Box::pin(work));
        true
    }

    /// Checks the batches whose enqueueing was answered.
    pub(super) fn judge_batches(&self) -> Vec<Holds> {
        let (batches, jobs) = {
            let state = self.world.state();
            (state.watch.batches.clone(), state.watch.jobs.clone())
        };
        let was_accepted = |id: &&JobId| jobs.get(*id).is_some_and(|job| job.is_accepted);
        let is_known = |id: Option<JobId>| {
            id.is_some_and(|id| {
                self.world.record(&id).is_some() || jobs.get(&id).is_some_and(|job| job.finished.is_some())
            })
        };
        let completed = |id: &JobId| {
            let known = jobs.get(id).and_then(|job| job.finished);
            let status = self.world.record(id).map_or(known, |record| Some(record.status));
            status.is_none_or(|status| status == JobStatus::Completed)
        };
        let judge = |id: &JobId| {
            let children = batches.get(id).into_iter().flatten();
            invariants::a_batch_that_is_over_has_what_follows(&EndedBatch {
                id,
                is_complete: children.into_iter().all(completed),
                parent: self.world.record(id),
                on_success: is_known(follows(id, "success")),
                on_complete: is_known(follows(id, "complete")),
            })
        };
        batches.keys().filter(was_accepted).map(judge).collect()
    }
}
