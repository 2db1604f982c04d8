//! What must hold of batches.

use super::holds;
use crate::simulation::facts::Holds;
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus};

pub(in crate::simulation) fn nothing_follows_a_batch_before_its_children_have_ended(
    id: &JobId,
    left: Option<&JobId>,
) -> Holds {
    holds("nothing follows a batch before all of its children have ended", left.is_none(), || {
        format!("{id} ends, or is made, and child {left:?} has not ended")
    })
}

/// A batch whose enqueueing was answered: the records of its parent and of the jobs that follow, as far as they are kept.
pub(in crate::simulation) struct EndedBatch<'a> {
    pub(in crate::simulation) id: &'a JobId,
    pub(in crate::simulation) parent: Option<JobRecord>,
    /// Whether every child completed, as far as is known.
    pub(in crate::simulation) is_complete: bool,
    pub(in crate::simulation) on_success: bool,
    pub(in crate::simulation) on_complete: bool,
}

pub(in crate::simulation) fn a_batch_that_is_over_has_what_follows(batch: &EndedBatch<'_>) -> Holds {
    let EndedBatch { id, parent, is_complete, on_success, on_complete } = batch;
    let Some(parent) = parent else { return Ok(()) };
    let wants_success = parent.status == JobStatus::Completed;
    let is_right = parent.status.is_finished()
        && *on_complete
        && *on_success == wants_success
        && (*is_complete || !wants_success);
    holds(
        "what follows a batch is made: no parent waits for ever, and none lacks a callback",
        is_right,
        || format!("{id} is {}: on success {on_success}, on complete {on_complete}", parent.status),
    )
}
