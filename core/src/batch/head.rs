//! What a batch says about itself, in one item.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::MAX_SHARDS;
use crate::job::{JobId, Queue};
use crate::versioned::VersionedState;

/// How long the items of a batch are kept, whatever becomes of it: a child may be due a year after it was enqueued.
pub const KEPT_FOR: TimeDelta = TimeDelta::days(400);

/// How long a batch may stay open without new children. Whoever was to close it is gone then.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(15);

/// A job that is made when a batch is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    /// Its id, which the batch's id decides: so it is made once.
    pub id: JobId,
    /// Its queue.
    pub queue: Queue,
    /// Its message.
    pub message: String,
    /// Whether it was made.
    #[serde(default)]
    pub made: bool,
}

/// A batch, apart from its children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchHead {
    /// The job that waits for the children. It has the same id as the batch.
    pub id: JobId,
    /// How often it was written; 0 before the first time.
    pub revision: u64,
    /// The writer of this revision: a random number.
    pub writer: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many shards were given away. Some may have no children, because whoever took them died.
    pub shards: u32,
    /// When it last got children, or was made.
    pub grown_at: DateTime<Utc>,
    /// Whether it takes no more children.
    #[serde(default)]
    pub closed: bool,
    /// How many children it has; absent until they are counted after it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// Whether somebody cancelled it.
    #[serde(default)]
    pub cancelled: bool,
    /// Whether it was closed because nobody else did.
    #[serde(default)]
    pub abandoned: bool,
    /// How many batches it is a child of, one within the other.
    #[serde(default)]
    pub depth: u32,
    /// Whether it was a success; absent until all children have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// The job that is made if all children completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<Callback>,
    /// The job that is made when all children have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_complete: Option<Callback>,
}

impl BatchHead {
    /// Whether it is open, and has been left.
    #[must_use]
    pub fn is_abandoned(&self, now: DateTime<Utc>) -> bool {
        !self.closed && now - self.grown_at > OPEN_FOR
    }

    /// The next revision.
    #[must_use]
    pub const fn written(mut self, writer: u64) -> Self {
        self.revision = self.revision.saturating_add(1);
        self.writer = writer;
        self
    }

    /// The head once these jobs that follow were made.
    #[must_use]
    pub fn with_made(mut self, ids: &[JobId]) -> Self {
        for callback in [&mut self.on_success, &mut self.on_complete].into_iter().flatten() {
            callback.made |= ids.contains(&callback.id);
        }
        self
    }

    /// The number of a new shard, and the head without it; `None` if the batch takes no more children.
    #[must_use]
    pub fn with_shard(mut self, now: DateTime<Utc>) -> Option<(u32, Self)> {
        let shard = self.shards;
        if self.closed || self.cancelled || shard >= MAX_SHARDS {
            return None;
        }
        self.shards = shard + 1;
        self.grown_at = now;
        Some((shard, self))
    }
}

impl VersionedState for BatchHead {
    const KIND: &'static str = "batch";

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.grown_at.checked_add_signed(KEPT_FOR)
    }
}

/// Children that were added together: which shard they have, and the ids that do not follow from it.
///
/// It is stored under the key of whoever added them, so that a repeated call finds its shard; and under the shard, if
/// a child has an id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchChunk {
    /// Its name.
    pub name: String,
    /// How often it was written.
    pub revision: u64,
    /// The writer: a random number.
    pub writer: u64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// The shard.
    pub shard: u32,
    /// The children's ids, where they do not follow from the shard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<JobId>,
    /// Whether the children have ids of their own.
    #[serde(default)]
    pub named: bool,
}

impl BatchChunk {
    /// The name of what was added to a batch by this key.
    #[must_use]
    pub fn name_by_key(batch: &JobId, key: &str, part: usize) -> String {
        format!("key#{part}#{}#{batch}#{key}", batch.as_str().len())
    }

    /// The name of the ids of a shard.
    #[must_use]
    pub fn name_by_shard(batch: &JobId, shard: u32) -> String {
        format!("shard#{shard}#{batch}")
    }
}

impl VersionedState for BatchChunk {
    const KIND: &'static str = "batch-chunk";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.created_at.checked_add_signed(KEPT_FOR)
    }
}
