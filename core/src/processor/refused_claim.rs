//! A refused claim: what does the record mean for this message?
//!
//! An attempt is spent by a failure, by a timeout, or by a crash while the job ran alone. A crash in company
//! spends none, because nobody knows whose fault it was. Instead each job of that batch next runs alone, after
//! all others, and is claimed only when its turn comes. That forgiveness is given once per job: a second crash
//! is the job's own.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::{ClaimId, JobDefinition, JobRecord, JobStatus};

/// How long a message waits for the record that its schedule is about to write.
const REMAKING: TimeDelta = TimeDelta::seconds(10);

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
    /// The schedule has changed since the message was sent: another message covers the job, or it was taken back.
    Superseded,
    /// The record has another unique key than the message. The job may run once it has that key.
    OtherKey,
}

/// Decides what `record`, which refused `claim`, means for a message of this job.
pub(super) fn refused_claim(
    record: &JobRecord,
    job: &JobDefinition,
    claim: &ClaimId,
    now: DateTime<Utc>,
) -> RefusedClaim {
    if record.supersedes(job) {
        return RefusedClaim::Superseded;
    }
    if job.edition.is_some_and(|edition| record.definition.edition != Some(edition)) {
        let is_over = record.status.is_finished();
        return if is_over {
            RefusedClaim::Finished
        } else {
            RefusedClaim::Wait(record.due_at.max(now + REMAKING), "its record is older")
        };
    }
    if record.has_ended(&job.spec.name) {
        return RefusedClaim::Finished;
    }
    if record.definition.spec.name != job.spec.name {
        return RefusedClaim::Misnamed;
    }
    let decided = of_status(record, claim, now);
    let may_run = match &decided {
        RefusedClaim::RunAlone | RefusedClaim::Redriven => true,
        RefusedClaim::Wait(until, _) => record.status.is_waiting() && *until <= now,
        _ => false,
    };
    if may_run && record.definition.unique_key != job.unique_key { RefusedClaim::OtherKey } else { decided }
}

fn of_status(record: &JobRecord, claim: &ClaimId, now: DateTime<Utc>) -> RefusedClaim {
    match record.status {
        JobStatus::Running if record.holds(claim) => RefusedClaim::Ours,
        JobStatus::Running => of_running(record, now),
        JobStatus::Failed if record.dead_lettered && record.isolated => RefusedClaim::RunAlone,
        JobStatus::Failed if record.dead_lettered => RefusedClaim::Redriven,
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => RefusedClaim::Finished,
        JobStatus::Queued | JobStatus::Scheduled | JobStatus::Waiting | JobStatus::Retrying
            if record.due_at > now =>
        {
            RefusedClaim::Wait(record.due_at, "not yet due")
        }
        JobStatus::Queued | JobStatus::Scheduled | JobStatus::Waiting | JobStatus::Retrying
            if record.isolated =>
        {
            RefusedClaim::RunAlone
        }
        // Its message was faster than the note that it was sent.
        JobStatus::Waiting => RefusedClaim::Redriven,
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
        decided_for(record, None)
    }

    fn decided_for(record: &JobRecord, edition: Option<u64>) -> RefusedClaim {
        let job = JobDefinition { edition, ..JobDefinition::new("m".parse().unwrap(), "n") };
        refused_claim(record, &job, &ClaimId::from("mine".to_owned()), NOW)
    }

    #[test]
    fn a_message_of_an_earlier_edition_runs_nothing_and_one_of_a_later_edition_waits() {
        let mut record = record();
        record.definition.spec.name = "another".to_owned();
        record.definition.edition = Some(7);
        assert_eq!(decided_for(&record, Some(6)), RefusedClaim::Superseded);
        let later = RefusedClaim::Wait(NOW + REMAKING, "its record is older");
        assert_eq!(decided_for(&record, Some(8)), later);
        record.definition.edition = None;
        assert_eq!(decided_for(&record, Some(8)), later);
        let far = JobRecord { due_at: NOW + TimeDelta::days(300), ..record.clone() };
        let until = RefusedClaim::Wait(far.due_at, "its record is older");
        assert_eq!(decided_for(&far, Some(8)), until, "no message comes back every 10 s for 300 days");
        assert_eq!(decided_for(&record.cancelled("why", NOW), Some(8)), RefusedClaim::Finished);
    }

    #[test]
    fn a_job_whose_record_has_another_key_takes_that_key_before_it_runs() {
        let with_key = |mut record: JobRecord| {
            record.definition.unique_key = Some("k".to_owned());
            decided(&record)
        };
        let letter = record().dead_lettered("received 50 times".to_owned(), NOW);
        let crashed = Claim { id: ClaimId::from("other".to_owned()), lease_until: NOW, alone: false };
        for may_run in [record(), letter, record().claimed(crashed.clone(), NOW)] {
            assert_eq!(with_key(may_run), RefusedClaim::OtherKey);
        }
        let alone = record().claimed(Claim { alone: true, ..crashed }, NOW);
        assert_eq!(with_key(alone), RefusedClaim::Blame, "blame runs nothing");
        assert_eq!(with_key(record().cancelled("no", NOW)), RefusedClaim::Finished);
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
