//! The jobs that sweeps make for one attempt at a delivery, one after another.
//!
//! A sweep's job may end without a record of its attempt: its worker crashed, or it went to the dead-letter queue. Then
//! a later sweep makes another. Each waits twice as long after the end of the last, and there is a most: a delivery
//! that takes its workers down must not do so for ever.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::{JobExecution, JobStatus};

/// The most jobs that sweeps make for one attempt.
pub(super) const MOST: u32 = 8;
/// How long after the end of the first job a sweep makes the second.
const WAIT: TimeDelta = TimeDelta::minutes(2);

/// What a sweep does about a delivery that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: a job attends to it, was cancelled together with it, or ended only just now.
    Nothing,
    /// It makes the job with this number.
    Job(u32),
    /// It reports that all jobs ended in vain, and why the last did.
    GivenUp(String),
}

/// Decides about a delivery by the jobs that sweeps made for its present attempt, in their order.
pub(super) fn next(jobs: &[JobExecution], now: DateTime<Utc>) -> Next {
    let Some(last) = jobs.last() else { return Next::Job(0) };
    let made = u32::try_from(jobs.len()).unwrap_or(MOST);
    let Some(ended) = last.completed_at.filter(|_| last.status.is_finished()) else { return Next::Nothing };
    if last.status == JobStatus::Cancelled {
        return Next::Nothing;
    }
    if made >= MOST {
        let why = last.error.as_deref().unwrap_or(last.status.as_str());
        let id = &last.job_id;
        return Next::GivenUp(format!(
            "{MOST} jobs ended without an attempt, the last, {id}, with: {why}; retry that job"
        ));
    }
    let wait = WAIT * 2_i32.saturating_pow(made - 1);
    if now - ended < wait { Next::Nothing } else { Next::Job(made) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobDefinition, JobRecord, Queue};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn job(change: impl FnOnce(JobRecord) -> JobRecord) -> JobExecution {
        let definition = JobDefinition::new("webhook-d1:0".parse().unwrap(), "n");
        change(JobRecord::accepted(definition, Queue::Webhooks, at(0), at(0))).into()
    }

    fn failed() -> JobExecution {
        job(|record| record.failed("it crashed".to_owned(), at(10), None))
    }

    #[test]
    fn a_job_that_ended_in_vain_is_followed_by_another_later_each_time_and_not_for_ever() {
        assert_eq!(next(&[], at(0)), Next::Job(0));
        assert_eq!(next(&[failed()], at(11)), Next::Nothing);
        assert_eq!(next(&[failed()], at(12)), Next::Job(1));
        assert_eq!(next(&[failed(), failed(), failed()], at(17)), Next::Nothing);
        assert_eq!(next(&[failed(), failed(), failed()], at(18)), Next::Job(3));
        let all: Vec<JobExecution> = (0..MOST).map(|_| failed()).collect();
        let why = "8 jobs ended without an attempt, the last, webhook-d1:0, with: it crashed; retry that job"
            .to_owned();
        assert_eq!(next(&all, at(1_000_000)), Next::GivenUp(why));
    }

    #[test]
    fn a_job_that_attends_to_it_or_was_cancelled_with_it_is_the_last() {
        assert_eq!(next(&[job(|waits| waits)], at(1_000)), Next::Nothing);
        assert_eq!(next(&[job(|record| record.cancelled("no", at(10)))], at(1_000)), Next::Nothing);
    }
}
