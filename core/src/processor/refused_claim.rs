//! A refused claim: what does the record mean for this message?
//!
//! An attempt is spent by a failure, by a timeout, or by a crash while the job ran alone. A crash in company
//! spends none, because nobody knows whose fault it was. Instead each job of that batch next runs alone, after
//! all others, and is claimed only when its turn comes. That forgiveness is given once per job: a second crash
//! is the job's own.

use chrono::{DateTime, Utc};

use crate::job::{ClaimId, JobRecord, JobStatus};

/// What a refused claim means.
#[derive(Debug, PartialEq)]
pub(super) enum RefusedClaim {
    /// The claim had taken effect; only its answer was lost.
    Ours,
    /// The job has ended: the message is a duplicate.
    Finished,
    /// The job may be claimed from this instant on.
    Wait(DateTime<Utc>, &'static str),
    /// Its worker crashed once while other jobs ran too: from then on it runs alone.
    RunAlone,
    /// Its worker crashed while it ran alone: the attempt is spent.
    Blame,
    /// Its message was redriven from the dead-letter queue: it may run.
    Redriven,
    /// The id belongs to another job.
    Misnamed,
}

/// Decides what `record`, which refused `claim`, means for a message of a job called `name`.
pub(super) fn refused_claim(
    record: &JobRecord,
    name: &str,
    claim: &ClaimId,
    now: DateTime<Utc>,
) -> RefusedClaim {
    if record.definition.spec.name != name {
        // Cancelled before its message came: then the name was not known.
        let is_tombstone =
            record.status == JobStatus::Cancelled && record.definition.spec.name == JobRecord::NAME_UNKNOWN;
        return if is_tombstone { RefusedClaim::Finished } else { RefusedClaim::Misnamed };
    }
    match record.status {
        JobStatus::Running if record.holds(claim) => RefusedClaim::Ours,
        JobStatus::Running => of_running(record, now),
        JobStatus::Failed if record.dead_lettered && record.isolated => RefusedClaim::RunAlone,
        JobStatus::Failed if record.dead_lettered => RefusedClaim::Redriven,
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => RefusedClaim::Finished,
        JobStatus::Queued | JobStatus::Scheduled | JobStatus::Retrying if record.due_at > now => {
            RefusedClaim::Wait(record.due_at, "not yet due")
        }
        JobStatus::Queued | JobStatus::Scheduled | JobStatus::Retrying if record.isolated => {
            RefusedClaim::RunAlone
        }
        JobStatus::Queued | JobStatus::Scheduled | JobStatus::Retrying => {
            RefusedClaim::Wait(now, "its record changed meanwhile")
        }
    }
}

fn of_running(record: &JobRecord, now: DateTime<Utc>) -> RefusedClaim {
    let Some(held) = &record.claim else { return RefusedClaim::RunAlone };
    if held.lease_until > now {
        return RefusedClaim::Wait(held.lease_until, "another worker's lease is held");
    }
    if held.alone || record.isolated { RefusedClaim::Blame } else { RefusedClaim::RunAlone }
}

/// The error of a job that is blamed for a crash.
pub(super) const CRASHED: &str =
    "the worker stopped while this job ran alone: a crash, out of memory, or blocked past its deadline";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Claim, Queue};
    use crate::message::JobMessage;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn record() -> JobRecord {
        let message = JobMessage::decode(r#"{"name":"n"}"#, "m", NOW).unwrap();
        JobRecord::accepted(message.definition, Queue::Normal, NOW, NOW)
    }

    fn decided(record: &JobRecord) -> RefusedClaim {
        refused_claim(record, "n", &ClaimId::from("mine".to_owned()), NOW)
    }

    #[test]
    fn a_suspect_runs_alone_when_its_dead_letter_is_redriven_too() {
        let mut letter = record().dead_lettered("received 50 times".to_owned(), NOW);
        assert_eq!(decided(&letter), RefusedClaim::Redriven);
        letter.isolated = true;
        assert_eq!(decided(&letter), RefusedClaim::RunAlone);
    }

    #[test]
    fn a_crash_in_company_is_forgiven_once_and_one_alone_is_not() {
        let crashed = |alone| {
            let claim = Claim { id: ClaimId::from("other".to_owned()), lease_until: NOW, alone };
            record().claimed(claim, NOW)
        };
        assert_eq!(decided(&crashed(true)), RefusedClaim::Blame);
        let mut shared = crashed(false);
        assert_eq!(decided(&shared), RefusedClaim::RunAlone);
        shared.isolated = true;
        assert_eq!(decided(&shared), RefusedClaim::Blame);
    }
}
