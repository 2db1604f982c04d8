//! A job record as an item.
//!
//! An attribute costs its name in every statement and every item. So only what a condition, an index, a filter or the
//! expiry reads is an attribute of its own, and what a trim removes. All else is in four texts of JSON, by who writes
//! them: a claim changes a record that it has not read, so it must replace or remove whole texts.
//!
//! | text | written by | holds |
//! | --- | --- | --- |
//! | `job` | whoever makes or replaces the record | the definition, apart from its defaults |
//! | `run` | a claim | when the attempt began, and its lease |
//! | `outcome` | a settlement; removed by a claim | how the attempt ended, or why the job waits |
//! | `past` | a settlement | how many attempts and snoozes there were; it outlives claims |
//!
//! `attempts`, which outlives claims too, is an attribute of its own because a trim removes it.
//!
//! In `run` and `outcome`, which every job has, the common facts stand first in an array, by position.

mod attempts;
mod decode;
mod encode;
mod payload;
mod texts;

use std::ops::Range;

use lambda_jobs_core::{JobId, JobStatus};

use crate::dynamodb::{Item, key};

pub(super) use decode::{decode, decode_finished, decode_head};
pub(super) use encode::{Attributes, claim_of, encode, encode_new, encode_settled};
pub(super) use payload::{RecordPayload, pieces_of};

/// The number of partitions of each status in the index.
pub(super) const SHARDS: u64 = 4;
/// The number of partitions of parked records: those of one minute leave the index together. Eight hold
/// `scheduled` ones, eight `retrying` ones and the last the `waiting` parents of batches, so that a list of one status
/// reads none of another.
pub(super) const PARKED_SHARDS: u16 = 17;
/// The sort key of a record.
pub(super) const RECORD: &str = "job";

/// The partition key of all items of a job.
pub(super) fn job_pk(id: &JobId) -> String {
    format!("job#{id}")
}

/// The key of a job's record.
pub(super) fn record_key(id: &JobId) -> Item {
    key(job_pk(id), RECORD)
}

/// The partition of the index that a status and a job belong to.
pub(super) fn attention(status: JobStatus, shard: u64) -> String {
    format!("{status}#{shard}")
}

/// The partition of the index that holds the parked records of a shard.
pub(super) fn parked(shard: u16) -> String {
    format!("parked#{shard}")
}

/// The shards of the parked records of a status; none, if it is not one of waiting jobs.
pub(super) const fn parked_shards(status: JobStatus) -> Range<u16> {
    match status {
        JobStatus::Scheduled => 0..8,
        JobStatus::Retrying => 8..16,
        JobStatus::Waiting => 16..PARKED_SHARDS,
        _ => 0..0,
    }
}
