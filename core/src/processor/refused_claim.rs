//! The question after a refused claim: what does the record that is there mean for this message?

use chrono::{DateTime, Utc};

use crate::job::{ClaimId, JobRecord, JobStatus};

/// What a refused claim means.
#[derive(Debug, PartialEq)]
pub(super) enum RefusedClaim {
    /// The claim had taken effect; only its answer was lost.
    Ours,
    /// The job has ended: the message is a duplicate.
    Finished,
    /// The job may be claimed at this instant, not before.
    Wait(DateTime<Utc>, &'static str),
    /// Its worker crashed once while others ran too: it runs alone from then on.
    RunAlone,
    /// Its worker crashed while it ran alone: the attempt is spent.
    Blame,
    /// Its message came back from the dead-letter queue: it may run.
    Redriven,
    /// The id belongs to another job.
    Misnamed,
}

/// Decides what `record`, which refused `claim`, means for a message of a job called `name`.
pub(super) fn judge(record: &JobRecord, name: &str, claim: &ClaimId, now: DateTime<Utc>) -> RefusedClaim {
    if record.definition.name != name {
        // Cancelled before anybody had seen it: then the name was not known.
        let is_tombstone =
            record.status == JobStatus::Cancelled && record.definition.name == JobRecord::NAME_UNKNOWN;
        return if is_tombstone { RefusedClaim::Finished } else { RefusedClaim::Misnamed };
    }
    match record.status {
        JobStatus::Running if record.holds(claim) => RefusedClaim::Ours,
        JobStatus::Running => judge_running(record, now),
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

fn judge_running(record: &JobRecord, now: DateTime<Utc>) -> RefusedClaim {
    let Some(held) = &record.claim else { return RefusedClaim::RunAlone };
    if held.lease_until > now {
        return RefusedClaim::Wait(held.lease_until, "another worker's lease is held");
    }
    if held.alone || record.isolated { RefusedClaim::Blame } else { RefusedClaim::RunAlone }
}

/// What a crash that a job is blamed for leaves as its error.
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

    fn verdict(record: &JobRecord) -> RefusedClaim {
        judge(record, "n", &ClaimId::from("mine".to_owned()), NOW)
    }

    #[test]
    fn a_suspect_runs_alone_when_its_dead_letter_is_redriven_too() {
        let mut letter = record().dead_lettered("received 50 times".to_owned(), NOW);
        assert_eq!(verdict(&letter), RefusedClaim::Redriven);
        letter.isolated = true;
        assert_eq!(verdict(&letter), RefusedClaim::RunAlone);
    }

    #[test]
    fn a_crash_in_company_is_forgiven_once_and_one_alone_is_not() {
        let crashed = |alone| {
            let claim = Claim { id: ClaimId::from("other".to_owned()), lease_until: NOW, alone };
            record().claimed(claim, NOW)
        };
        assert_eq!(verdict(&crashed(true)), RefusedClaim::Blame);
        let mut shared = crashed(false);
        assert_eq!(verdict(&shared), RefusedClaim::RunAlone);
        shared.isolated = true;
        assert_eq!(verdict(&shared), RefusedClaim::Blame);
    }
}
