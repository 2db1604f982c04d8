//! What lists and cleanups go by.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::holds;
use crate::simulation::facts::Holds;
use lambda_jobs_core::job::{JobId, JobRecord};

/// A crash leaves what was said. Then the end of its time has to end it.
pub(in crate::simulation) fn what_runs_is_said_no_longer_than_it_may_run(
    left: TimeDelta,
    longest: Duration,
) -> Holds {
    let may = left.to_std().is_ok_and(|left| left <= longest);
    holds("nothing is listed as running for longer than it can run", may, || {
        format!("a batch says that it runs for another {left}, and has {longest:?} at most")
    })
}

pub(in crate::simulation) fn what_runs_is_taken_back(still_says: bool) -> Holds {
    holds("a batch that is answered has taken back what it said", !still_says, || {
        "it still says what it runs".to_owned()
    })
}

pub(in crate::simulation) fn a_cleanup_trims_only_what_has_ended(
    id: &JobId,
    before: Option<&JobRecord>,
) -> Holds {
    let has_ended = before.is_some_and(|record| record.status.is_finished() && !record.dead_lettered);
    holds("a cleanup trims only jobs that have ended for good", has_ended, || {
        format!("{id} was trimmed: {before:?}")
    })
}

pub(in crate::simulation) fn a_cleanup_removes_only_what_is_over(
    id: &JobId,
    before: Option<&JobRecord>,
    now: DateTime<Utc>,
) -> Holds {
    // The clock of the operator's machine may be ahead.
    let ahead = TimeDelta::seconds(10);
    let is_over = |record: &JobRecord| record.expires_at.is_some_and(|end| end <= now + ahead);
    // What is gone was removed before.
    holds("a cleanup removes only jobs whose retention is over", before.is_none_or(is_over), || {
        format!("{id} was removed at {now}: {before:?}")
    })
}
