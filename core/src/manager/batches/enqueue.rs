//! Enqueueing a batch.
//!
//! The parent comes first, then the children in parts of a hundred, and the batch is closed last. A call that is cut
//! short leaves an open batch, whose callbacks are not made; the same call again, with the same id, goes on.

use chrono::{DateTime, Utc};

use super::super::{Enqueued, JobManager};
use super::BatchError;
use crate::batch::{Batch, BatchHead, Callback, Ending, FAN_OUT, RECOUNT_EVERY, child_id};
use crate::batches::{Added, Mark};
use crate::invalid::Invalid;
use crate::job::{BatchPlace, JobDefinition, JobId, JobRecord, NewJob};
use crate::ports::InsertOutcome;

/// The key of the children that a batch begins with.
const FIRST: &str = "";
/// The longest message of a callback, in bytes: it is written with every change of the batch.
const MAX_CALLBACK_BYTES: usize = 16 * 1024;

/// A batch that was enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnqueuedBatch {
    /// Its id, and that of the job that waits.
    pub id: JobId,
    /// How many children it has; absent while it is open.
    pub total: Option<u32>,
}

impl JobManager {
    /// Enqueues a batch: its children, and a job that waits for them. All children are checked before the first is
    /// enqueued. Calling it again with the same id makes nothing twice.
    pub async fn enqueue_batch(&self, batch: Batch) -> Result<EnqueuedBatch, BatchError> {
        let now = self.ports.clock.now();
        let id = batch.id.clone().unwrap_or_else(|| JobId::generate(now, &*self.ports.entropy));
        if let Some(last) = u32::try_from(batch.children.len()).unwrap_or(u32::MAX).checked_sub(1) {
            child_id(&id, last.min(BatchPlace::MAX_CHILDREN))?;
        }
        if batch.children.len() > BatchPlace::MAX_CHILDREN as usize {
            let expected = format!("at most {} jobs", BatchPlace::MAX_CHILDREN);
            return Err(Invalid::new("children", &expected, batch.children.len().to_string()).into());
        }
        self.look_up_settings(&batch.children).await;
        for (number, child) in batch.children.iter().enumerate() {
            self.check(child.clone(), now).map_err(|error| BatchError::Child { number, error })?;
        }
        self.open_batch(&batch, &id, None, now).await?;
        self.add_all(&id, FIRST, batch.children).await?;
        let total = if batch.stays_open { None } else { self.close_batch(&id).await? };
        Ok(EnqueuedBatch { id, total })
    }

    /// Adds children to a batch that was left open, perhaps from one of its children. The key names this addition:
    /// calling it again with the same key, batch and children adds nothing twice. A job's id and a number make a good
    /// one.
    pub async fn add_to_batch(&self, id: &JobId, key: &str, children: Vec<NewJob>) -> Result<(), BatchError> {
        if key.is_empty() || key.len() > JobId::MAX_LEN || key.chars().any(char::is_control) {
            return Err(Invalid::text("key", "1 to 256 bytes of printable text", key).into());
        }
        self.add_all(id, key, children).await
    }

    /// Adds a batch as a child to another one that was left open. It is enqueued only if that one takes it.
    pub async fn add_batch_to_batch(
        &self,
        outer: &JobId,
        key: &str,
        batch: Batch,
    ) -> Result<EnqueuedBatch, BatchError> {
        let now = self.ports.clock.now();
        let Some(id) = batch.id.clone() else {
            return Err(Invalid::new("id", "the id of the inner batch", "nothing").into());
        };
        let shard = self.shard_for(outer, key, 0, 1, vec![id.clone()]).await?;
        let place = BatchPlace { batch: outer.clone(), child: shard * FAN_OUT };
        self.open_batch(&batch, &id, Some(place), now).await?;
        self.add_all(&id, FIRST, batch.children).await?;
        let total = if batch.stays_open { None } else { self.close_batch(&id).await? };
        Ok(EnqueuedBatch { id, total })
    }

    /// Closes a batch that was left open, and returns how many children it has.
    pub async fn close_batch(&self, id: &JobId) -> Result<Option<u32>, BatchError> {
        match self.batches().close(id).await? {
            Some(total) => Ok(Some(total)),
            None => Err(BatchError::Unknown(id.clone())),
        }
    }

    /// Writes the head of a batch and the job that waits.
    async fn open_batch(
        &self,
        batch: &Batch,
        id: &JobId,
        place: Option<BatchPlace>,
        now: DateTime<Utc>,
    ) -> Result<(), BatchError> {
        let head = BatchHead {
            id: id.clone(),
            revision: 0,
            writer: 0,
            created_at: now,
            shards: 0,
            grown_at: now,
            closed: false,
            total: None,
            cancelled: false,
            abandoned: false,
            on_success: self.callback(id, "onSuccess", batch.on_success.clone(), now)?,
            on_complete: self.callback(id, "onComplete", batch.on_complete.clone(), now)?,
        };
        let parent = NewJob { id: Some(id.clone()), ..NewJob::of(batch.parent.clone()) };
        let admitted =
            self.admit(parent, now).map_err(|error| BatchError::Callback { which: "parent", error })?;
        let definition =
            JobDefinition { gathers: true, batch: place, enqueue_call: None, ..admitted.message.definition };
        let due_at = now + RECOUNT_EVERY;
        let record = JobRecord::accepted(definition, admitted.queue, now, due_at).waiting(due_at).first();
        let record = JobRecord { parked: true, ..record };
        self.batches().open(head).await?;
        match self.ports.store.insert(&[record]).await.pop() {
            Some(Ok(InsertOutcome::Inserted)) => Ok(()),
            Some(Ok(InsertOutcome::Exists)) => self.check_parent(id).await,
            Some(Err(error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Refuses an id that belongs to another job.
    async fn check_parent(&self, id: &JobId) -> Result<(), BatchError> {
        match self.record(id).await? {
            Some(record) if !record.definition.gathers => {
                let got = format!("a job named {:?}", record.definition.spec.name);
                Err(Invalid::new("id", "a new id, or that of a batch", got).into())
            }
            _ => Ok(()),
        }
    }

    /// A job that follows the batch, checked now so that nothing is wrong with it later.
    fn callback(
        &self,
        batch: &JobId,
        which: &'static str,
        job: Option<NewJob>,
        now: DateTime<Utc>,
    ) -> Result<Option<Callback>, BatchError> {
        let Some(mut job) = job else { return Ok(None) };
        let word = if which == "onSuccess" { "success" } else { "complete" };
        let id: JobId = format!("{batch}.{word}").parse()?;
        job.id = Some(id.clone());
        let admitted = self.admit(job, now).map_err(|error| BatchError::Callback { which, error })?;
        let mut message = admitted.message;
        message.definition.enqueue_call = None;
        let message = message.encode();
        if message.len() > MAX_CALLBACK_BYTES {
            let expected = format!("a message of at most {MAX_CALLBACK_BYTES} bytes");
            return Err(Invalid::new(which, &expected, format!("{} bytes", message.len())).into());
        }
        Ok(Some(Callback { id, queue: admitted.queue, message }))
    }

    async fn add_all(&self, batch: &JobId, key: &str, children: Vec<NewJob>) -> Result<(), BatchError> {
        let mut children = children.into_iter();
        for part in 0.. {
            let jobs: Vec<NewJob> = children.by_ref().take(FAN_OUT as usize).collect();
            if jobs.is_empty() {
                break;
            }
            self.add_part(batch, key, part, jobs).await?;
        }
        Ok(())
    }

    /// The shard of a part of the children.
    async fn shard_for(
        &self,
        batch: &JobId,
        key: &str,
        part: usize,
        count: usize,
        ids: Vec<JobId>,
    ) -> Result<u32, BatchError> {
        let wanted = u32::try_from(count).unwrap_or(u32::MAX);
        match self.batches().add(batch, (key, part), wanted, ids).await? {
            Added::Shard(shard) => Ok(shard),
            Added::Closed => Err(BatchError::Closed(batch.clone())),
            Added::Unknown => Err(BatchError::Unknown(batch.clone())),
            Added::Differs(expected) => {
                Err(BatchError::Differs { id: batch.clone(), key: key.to_owned(), expected, got: count })
            }
        }
    }

    /// Adds a hundred children at most: their shard first, then their messages and records.
    async fn add_part(
        &self,
        batch: &JobId,
        key: &str,
        part: usize,
        jobs: Vec<NewJob>,
    ) -> Result<(), BatchError> {
        let own = jobs.iter().any(|job| job.id.is_some());
        // A child's own id is known before its shard is, so all ids of such a part are made from the key.
        let id_of = |(slot, job): (usize, &NewJob)| match &job.id {
            Some(id) => Ok(id.clone()),
            None => format!("{batch}.{key}.{part}.{slot}").parse(),
        };
        let ids: Vec<JobId> =
            if own { jobs.iter().enumerate().map(id_of).collect::<Result<_, _>>()? } else { Vec::new() };
        let shard = self.shard_for(batch, key, part, jobs.len(), ids.clone()).await?;
        let mut placed = Vec::with_capacity(jobs.len());
        for (slot, job) in (0_u32..).zip(jobs) {
            let child = shard * FAN_OUT + slot;
            let id = match ids.get(slot as usize) {
                Some(id) => id.clone(),
                None => child_id(batch, child)?,
            };
            let place = BatchPlace { batch: batch.clone(), child };
            placed.push(NewJob { id: Some(id), batch: Some(place), ..job });
        }
        let places: Vec<(JobId, BatchPlace)> =
            placed.iter().filter_map(|job| Some((job.id.clone()?, job.batch.clone()?))).collect();
        let answers = self.enqueue_all(placed).await;
        let mut marks = Vec::new();
        for (slot, (answer, (id, place))) in answers.into_iter().zip(places).enumerate() {
            let number = part * FAN_OUT as usize + slot;
            let enqueued = answer.map_err(|error| BatchError::Child { number, error })?;
            marks.extend(mark_of_duplicate(&enqueued, &id, place));
        }
        if !marks.is_empty() {
            // What is not marked now is found by the recount.
            self.batches().mark(&marks).await;
        }
        Ok(())
    }
}

/// The mark of a child that will not run, because another job has its key, or it has ended before.
fn mark_of_duplicate(enqueued: &Enqueued, id: &JobId, place: BatchPlace) -> Option<Mark> {
    if enqueued.job_id != *id {
        return Some(Mark { place, ending: Ending::Cancelled });
    }
    let ending = Ending::of(enqueued.status).filter(|_| enqueued.duplicate)?;
    Some(Mark { place, ending })
}
