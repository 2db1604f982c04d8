//! Enqueueing a batch.
//!
//! The parent comes first, then the children in parts of a hundred, and the batch is closed last. A call that is cut
//! short leaves an open batch, whose callbacks are not made; the same call again, with the same id, goes on.

use std::pin::pin;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt};

use super::super::{Enqueued, JobManager};
use super::BatchError;
use crate::batch::{Batch, BatchHead, Callback, Ending, FAN_OUT, RECOUNT_EVERY, child_id};
use crate::batches::{Added, Mark};
use crate::invalid::Invalid;
use crate::job::{BatchPlace, JobDefinition, JobId, JobRecord, NewJob};
use crate::ports::InsertOutcome;

/// The key of the children that a batch begins with.
const FIRST: &str = "";
/// How many parts are enqueued at once.
const AT_ONCE: usize = 4;
/// The longest message of a callback, in bytes: it is written with every change of the batch.
const MAX_CALLBACK_BYTES: usize = 4 * 1024;
/// How many batches may stand one within the other.
const MAX_DEPTH: u32 = 10;

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
        self.look_up_settings(&batch.children).await;
        self.check_children(&id, 0, &batch.children)?;
        self.open_batch(&batch, &id, None, now).await?;
        self.add_all((&id, FIRST), stream::iter(batch.children), true).await?;
        let total = if batch.stays_open { None } else { self.close_batch(&id).await? };
        Ok(EnqueuedBatch { id, total })
    }

    /// Enqueues a batch whose children come as a stream, after those that it holds itself. A hundred of them are in memory
    /// at a time, and some more on their way. A wrong child ends the call: the batch stays open, and the same call with
    /// the same id goes on once the child is right.
    pub async fn enqueue_batch_of(
        &self,
        batch: Batch,
        children: impl Stream<Item = NewJob> + Send,
    ) -> Result<EnqueuedBatch, BatchError> {
        let now = self.ports.clock.now();
        let id = batch.id.clone().unwrap_or_else(|| JobId::generate(now, &*self.ports.entropy));
        self.open_batch(&batch, &id, None, now).await?;
        self.add_all((&id, FIRST), stream::iter(batch.children).chain(children), false).await?;
        let total = if batch.stays_open { None } else { self.close_batch(&id).await? };
        Ok(EnqueuedBatch { id, total })
    }

    /// Adds children to a batch that was left open, perhaps from one of its children. The key names this addition:
    /// calling it again with the same key, batch and children adds nothing twice. A job's id and a number make a good
    /// one.
    pub async fn add_to_batch(&self, id: &JobId, key: &str, children: Vec<NewJob>) -> Result<(), BatchError> {
        check_key(key)?;
        self.look_up_settings(&children).await;
        self.check_children(id, 0, &children)?;
        self.add_all((id, key), stream::iter(children), true).await
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
        check_key(key)?;
        let depth = self.head_of(outer).await?.depth + 1;
        if id == *outer || depth > MAX_DEPTH {
            let expected = format!("a batch within at most {MAX_DEPTH} others, and not within itself");
            return Err(Invalid::text("id", &expected, id.as_str()).into());
        }
        self.look_up_settings(&batch.children).await;
        self.check_children(&id, 0, &batch.children)?;
        self.head_and_parent(&batch, &id, None, now)?;
        let shard = self.shard_for(outer, key, 0, 1, vec![id.clone()]).await?;
        let place = BatchPlace { batch: outer.clone(), child: shard * FAN_OUT };
        self.open_batch(&batch, &id, Some((place, depth)), now).await?;
        self.add_all((&id, FIRST), stream::iter(batch.children), true).await?;
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

    /// Checks children as they will be sent: with an id and a place as long as any.
    fn check_children(&self, batch: &JobId, first: usize, children: &[NewJob]) -> Result<(), BatchError> {
        if children.len() > BatchPlace::MAX_CHILDREN as usize {
            let expected = format!("at most {} jobs", BatchPlace::MAX_CHILDREN);
            return Err(Invalid::new("children", &expected, children.len().to_string()).into());
        }
        let now = self.ports.clock.now();
        let longest = BatchPlace::MAX_CHILDREN - 1;
        let derived = child_id(batch, longest)?;
        let place = BatchPlace { batch: batch.clone(), child: longest };
        let reserved = [batch.clone(), follows(batch, SUCCESS)?, follows(batch, COMPLETE)?];
        for (at, child) in children.iter().enumerate() {
            let number = first + at;
            if let Some(id) = child.id.as_ref().filter(|id| reserved.contains(id)) {
                let expected = "an id that is not the batch's, nor that of a job that follows it";
                let error = Invalid::text("id", expected, id.as_str()).into();
                return Err(BatchError::Child { number, error });
            }
            let id = child.id.clone().unwrap_or_else(|| derived.clone());
            let placed = NewJob { id: Some(id), batch: Some(place.clone()), ..child.clone() };
            self.check(placed, now).map_err(|error| BatchError::Child { number, error })?;
        }
        Ok(())
    }

    /// The head of a new batch, and the job that waits.
    fn head_and_parent(
        &self,
        batch: &Batch,
        id: &JobId,
        place: Option<(BatchPlace, u32)>,
        now: DateTime<Utc>,
    ) -> Result<(BatchHead, JobRecord), BatchError> {
        let (place, depth) = place.unzip();
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
            depth: depth.unwrap_or(0),
            success: None,
            on_success: self.callback(id, SUCCESS, batch.on_success.clone(), now)?,
            on_complete: self.callback(id, COMPLETE, batch.on_complete.clone(), now)?,
        };
        let parent = NewJob { id: Some(id.clone()), ..NewJob::of(batch.parent.clone()) };
        let admitted =
            self.admit(parent, now).map_err(|error| BatchError::Callback { which: "parent", error })?;
        let definition =
            JobDefinition { gathers: true, batch: place, enqueue_call: None, ..admitted.message.definition };
        let due_at = now + RECOUNT_EVERY;
        let record = JobRecord::accepted(definition, admitted.queue, now, due_at).waiting(due_at).first();
        Ok((head, JobRecord { parked: true, ..record }))
    }

    /// Writes the head of a batch and the job that waits.
    async fn open_batch(
        &self,
        batch: &Batch,
        id: &JobId,
        place: Option<(BatchPlace, u32)>,
        now: DateTime<Utc>,
    ) -> Result<(), BatchError> {
        let (head, parent) = self.head_and_parent(batch, id, place, now)?;
        let head = self.batches().open(head).await?;
        match self.record(id).await? {
            Some(found) => check_parent(&found, &parent),
            // The parent comes before the first shard.
            None if head.closed || head.shards > 0 => {
                let got = "that of a batch whose parent is forgotten";
                Err(Invalid::new("id", "a new id", got).into())
            }
            None => match self.ports.store.insert(std::slice::from_ref(&parent)).await.pop() {
                Some(Err(error)) => Err(error.into()),
                Some(Ok(InsertOutcome::Exists)) => match self.record(id).await? {
                    Some(found) => check_parent(&found, &parent),
                    None => Ok(()),
                },
                _ => Ok(()),
            },
        }
    }

    /// A job that follows the batch, checked now so that nothing is wrong with it later.
    fn callback(
        &self,
        batch: &JobId,
        (which, word): (&'static str, &'static str),
        job: Option<NewJob>,
        now: DateTime<Utc>,
    ) -> Result<Option<Callback>, BatchError> {
        let Some(mut job) = job else { return Ok(None) };
        let id = follows(batch, (which, word))?;
        job.id = Some(id.clone());
        let admitted = self.admit(job, now).map_err(|error| BatchError::Callback { which, error })?;
        let mut message = admitted.message;
        message.definition.enqueue_call = None;
        let message = message.encode();
        if message.len() > MAX_CALLBACK_BYTES {
            let expected = format!("a message of at most {MAX_CALLBACK_BYTES} bytes");
            return Err(Invalid::new(which, &expected, format!("{} bytes", message.len())).into());
        }
        Ok(Some(Callback { id, queue: admitted.queue, message, made: false }))
    }

    /// Adds children in parts of a hundred. Their shards are given away in their order, and several parts are enqueued
    /// at once.
    async fn add_all(
        &self,
        (batch, key): (&JobId, &str),
        children: impl Stream<Item = NewJob> + Send,
        are_checked: bool,
    ) -> Result<(), BatchError> {
        let mut parts = pin!(children.chunks(FAN_OUT as usize).enumerate());
        let mut adding = FuturesUnordered::new();
        while let Some((part, jobs)) = parts.next().await {
            if !are_checked {
                self.look_up_settings(&jobs).await;
                self.check_children(batch, part * FAN_OUT as usize, &jobs)?;
            }
            let reserved = self.reserve(batch, key, part, jobs).await?;
            if adding.len() >= AT_ONCE
                && let Some(added) = adding.next().await
            {
                added?;
            }
            adding.push(self.add_part(reserved));
        }
        while let Some(added) = adding.next().await {
            added?;
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

    /// Gives a hundred children at most their shard, their places and their ids.
    async fn reserve(
        &self,
        batch: &JobId,
        key: &str,
        part: usize,
        jobs: Vec<NewJob>,
    ) -> Result<Reserved, BatchError> {
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
        Ok(Reserved { first: part * FAN_OUT as usize, jobs: placed })
    }

    /// Enqueues children that have their places.
    async fn add_part(&self, Reserved { first, jobs }: Reserved) -> Result<(), BatchError> {
        let places: Vec<(JobId, BatchPlace)> =
            jobs.iter().filter_map(|job| Some((job.id.clone()?, job.batch.clone()?))).collect();
        let answers = self.enqueue_all(jobs).await;
        let mut marks = Vec::new();
        for (slot, (answer, (id, place))) in answers.into_iter().zip(places).enumerate() {
            let enqueued = answer.map_err(|error| BatchError::Child { number: first + slot, error })?;
            marks.extend(mark_of_duplicate(&enqueued, &id, place));
        }
        if !marks.is_empty() {
            // What is not marked now is found by the recount.
            self.batches().mark(&marks).await;
        }
        Ok(())
    }
}

/// `onSuccess`, and the end of its id.
const SUCCESS: (&str, &str) = ("onSuccess", "success");
/// `onComplete`, likewise.
const COMPLETE: (&str, &str) = ("onComplete", "complete");

/// The id of a job that follows a batch.
fn follows(batch: &JobId, (_, word): (&str, &str)) -> Result<JobId, Invalid> {
    format!("{batch}.{word}").parse()
}

fn check_key(key: &str) -> Result<(), Invalid> {
    if key.is_empty() || key.len() > JobId::MAX_LEN || key.chars().any(char::is_control) {
        return Err(Invalid::text("key", "1 to 256 bytes of printable text", key));
    }
    Ok(())
}

/// Refuses an id that belongs to another job, or to a batch in another place.
fn check_parent(found: &JobRecord, parent: &JobRecord) -> Result<(), BatchError> {
    let (found, parent) = (&found.definition, &parent.definition);
    if found.gathers && found.batch == parent.batch {
        return Ok(());
    }
    let got = match &found.batch {
        Some(place) if found.gathers => format!("a batch within {}", place.batch),
        _ if found.gathers => "a batch within no other".to_owned(),
        _ => format!("a job named {:?}", found.spec.name),
    };
    Err(Invalid::new("id", "a new id, or that of this batch", got).into())
}

/// Children with their places, about to be enqueued.
struct Reserved {
    /// The number of the first one in the call.
    first: usize,
    jobs: Vec<NewJob>,
}

/// The mark of a child that will not run, because another job has its key, or it has ended before.
fn mark_of_duplicate(enqueued: &Enqueued, id: &JobId, place: BatchPlace) -> Option<Mark> {
    if enqueued.job_id != *id {
        return Some(Mark { place, ending: Ending::Cancelled });
    }
    let ending = Ending::of(enqueued.status).filter(|_| enqueued.duplicate)?;
    Some(Mark { place, ending })
}
