//! The guarantees: one small function each, over facts observed from outside.

mod batches;
mod lists;
mod protection;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::facts::{Broken, Holds, JobWatch};
use crate::simulation::plan::Expected;
use lambda_jobs_core::control::{DeployedSettings, NotedSettings};
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus, Retention};
use lambda_jobs_core::ports::{Counters, DeadLettered};

pub(super) use batches::*;
pub(super) use lists::*;
pub(super) use protection::*;
pub(super) use schedules::*;

fn holds(guarantee: &'static str, condition: bool, what: impl FnOnce() -> String) -> Holds {
    if condition { Ok(()) } else { Err(Broken { guarantee, what: what() }) }
}

pub(super) fn g1_every_accepted_job_ends(id: &JobId, record: Option<&JobRecord>, is_letter: bool) -> Holds {
    let ended = is_letter || record.is_some_and(|record| record.status.is_finished());
    holds("G1: every accepted job ends, or is a dead letter", ended, || {
        format!("{id} has not ended: {record:?}")
    })
}

pub(super) fn g1_what_nobody_can_run_is_a_dead_letter(
    reason: &str,
    sent: usize,
    letters: &[DeadLettered],
) -> Holds {
    let is_it = |letter: &&DeadLettered| letter.reason.as_ref().is_some_and(|told| told.contains(reason));
    let found = letters.iter().filter(is_it).count();
    holds("G1, G10: what nobody can run is a dead letter with its reason", found >= sent, || {
        format!(
            "{sent} messages were sent that must be refused with {reason:?}, {found} of them are dead letters"
        )
    })
}

pub(super) fn the_world_comes_to_rest(is_at_rest: bool, what: impl FnOnce() -> String) -> Holds {
    holds("G1: once nothing fails any more, all work ends within a bound", is_at_rest, what)
}

pub(super) fn g2_no_job_runs_without_a_claim(id: &JobId, is_claimed: bool) -> Holds {
    holds("G2: no job runs without a claim", is_claimed, || format!("{id} starts and is not claimed"))
}

pub(super) fn g2_no_two_attempts_at_once(id: &JobId, elsewhere: Option<usize>) -> Holds {
    holds("G2: no two attempts at once", elsewhere.is_none(), || {
        format!("{id} starts while worker {elsewhere:?} runs it")
    })
}

pub(super) fn g2_no_finished_job_runs_again(id: &JobId, job: &JobWatch) -> Holds {
    holds("G2: no finished job runs again", job.finished.is_none(), || {
        format!("{id} starts, and had ended: {:?}", job.finished)
    })
}

pub(super) fn cancelled_jobs_do_not_start(id: &JobId, job: &JobWatch) -> Holds {
    holds("a cancelled job does not start", !job.is_cancelled, || {
        format!("{id} starts, and its cancellation was confirmed")
    })
}

/// A record that nobody needs any more has no payload, and one whose payload has expired.
pub(super) fn a_record_holds_the_text_that_was_sent(record: &JobRecord, sent: Option<&str>) -> Holds {
    let payload = &record.definition.spec.payload;
    let is_gone = record.status.is_finished() || !record.has_payload();
    let is_kept = payload.is_null() && is_gone || sent.is_none_or(|sent| sent == payload.as_str());
    holds("a record holds the text that was sent", is_kept, || {
        format!("{} has {payload}, sent was {sent:?}", record.id())
    })
}

pub(super) fn a_dead_letter_holds_the_text_that_was_sent(letter: &DeadLettered, sent: Option<&str>) -> Holds {
    // A letter that has no room for the payload says so, and the record has it.
    let is_stored = letter.body.contains(r#""payloadStored":true"#);
    let is_kept = is_stored || sent.is_none_or(|sent| letter.body.contains(sent));
    holds("a dead letter holds the text that was sent", is_kept, || format!("{letter:?}, sent was {sent:?}"))
}

/// Except if its job has ended: then nobody reads it.
pub(super) fn a_copy_leaves_its_payload_to_a_record_that_has_it(
    id: &JobId,
    record: Option<&JobRecord>,
    has_ended: bool,
) -> Holds {
    let has_it = record.is_some_and(|record| record.has_payload() || record.status.is_finished());
    holds("a copy leaves its payload to a record that has it", has_it || has_ended, || {
        format!("{id} is sent without its payload, and its record is {record:?}")
    })
}

pub(super) fn g3_no_more_failures_than_allowed(record: &JobRecord, max_retries: u32) -> Holds {
    holds("G3: at most 1 + maxRetries attempts", record.failures <= 1 + max_retries, || {
        format!("{} failed {} times, maxRetries {max_retries}", record.id(), record.failures)
    })
}

/// If a crash or a store outage kept an attempt from being settled, the job is attempted once more.
pub(super) fn g3_no_more_starts_than_allowed(id: &JobId, job: &JobWatch) -> Holds {
    let unsettled = job.ended_alone + job.ended_in_company;
    let allowed = 1 + job.max_retries + job.snoozes + job.deferrals + unsettled;
    holds("G3: at most 1 + maxRetries attempts", job.starts <= allowed, || {
        format!(
            "{id} starts for the {}th time, maxRetries {}, {unsettled} unsettled",
            job.starts, job.max_retries
        )
    })
}

pub(super) fn g3_a_snooze_spends_no_attempt(before: Option<&JobRecord>, after: &JobRecord) -> Holds {
    let is_unspent = after.failures == before.map_or(0, |before| before.failures);
    let waits = matches!(after.status, JobStatus::Scheduled | JobStatus::Retrying);
    holds("G3: a snooze spends no attempt", is_unspent && waits, || {
        format!("{} snoozed, is {} and has failed {} times", after.id(), after.status, after.failures)
    })
}

pub(super) fn no_attempt_follows_a_cancellation(id: &JobId, is_cancelled: bool) -> Holds {
    holds("no attempt follows a cancellation", !is_cancelled, || {
        format!("{id} starts, and was cancelled before it was claimed")
    })
}

/// Except if its worker ended before it could write that: then the job may be blamed, and even run again.
pub(super) fn who_heeds_its_cancellation_ends_cancelled(job: &JobWatch, record: &JobRecord) -> Holds {
    let is_cancelled = record.status == JobStatus::Cancelled;
    let excused = job.blames > 0 || job.came_back;
    holds("who heeds its cancellation ends cancelled", is_cancelled || excused, || {
        format!("{} gave up when it was cancelled, and is {}", record.id(), record.status)
    })
}

pub(super) fn g3_no_job_is_blamed_for_what_others_did(id: &JobId, job: &JobWatch) -> Holds {
    // The first crash with other claimed jobs is forgiven.
    let crashes = job.ended_alone + job.ended_in_company.saturating_sub(1);
    holds("G3: an attempt is spent by a failure, or a crash alone", job.blames <= crashes, || {
        format!(
            "{id} is blamed for {} crashes; its worker ended {} times while it ran alone, {} times in company",
            job.blames, job.ended_alone, job.ended_in_company
        )
    })
}

pub(super) fn g3_no_healthy_job_is_a_dead_letter(letter: &DeadLettered, is_poison: bool) -> Holds {
    holds("G3: no healthy job is a dead letter", is_poison, || format!("{letter:?}"))
}

pub(super) fn g4_no_delay_ends_early(id: &JobId, job: &JobWatch, now: DateTime<Utc>) -> Holds {
    let on_time = job.due.is_none_or(|due| due <= now);
    holds("G4: no delay ends early", on_time, || format!("{id} starts at {now}, due {:?}", job.due))
}

pub(super) fn g7_healthy_jobs_complete_whoever_their_mates_are(
    id: &JobId,
    job: &JobWatch,
    record: Option<&JobRecord>,
) -> Holds {
    let is_out_of_luck = job.blames > job.max_retries;
    let is_healthy = job.expected == Some(Expected::Healthy) && !is_out_of_luck;
    let end = match record {
        Some(record) if !job.is_made_anew => Some(record.status),
        _ => job.finished,
    };
    let completed = end == Some(JobStatus::Completed);
    holds("G7: healthy jobs complete, whoever their mates are", completed || !is_healthy, || {
        format!("{id} can't fail, and its record says {record:?}")
    })
}

pub(super) fn g8_the_answer_comes_before_the_deadline(
    worker: usize,
    now: DateTime<Utc>,
    is_late: bool,
) -> Holds {
    holds("G8: the answer comes before the deadline", !is_late, || {
        format!("worker {worker} has not answered at {now}")
    })
}

pub(super) fn status_never_goes_backwards(before: Option<&JobRecord>, after: &JobRecord) -> Holds {
    use JobStatus::{Cancelled, Failed, Queued, Retrying, Running, Scheduled, Waiting};
    let Some(before) = before else { return Ok(()) };
    let may = match (before.status, after.status) {
        (Queued | Scheduled | Waiting | Retrying, Running | Cancelled) | (Running, _) => true,
        // A parent is woken, or waits again because children are retried.
        (Waiting, Queued | Waiting) | (Failed | Cancelled, Waiting) => before.definition.gathers,
        // Its message was sent, or it is due and a breaker or a limit defers it, or its batch had no time left for it.
        (Scheduled, Queued) => before.parked || after.blocked.is_some() || after.passed_over,
        // It waits for longer than SQS can delay a message.
        (Queued, Scheduled) => after.parked,
        (Queued | Scheduled | Waiting | Retrying, Failed) => after.dead_lettered,
        (Failed, Scheduled) => !before.dead_lettered || after.note.is_some(),
        (Failed, Running | Cancelled) => before.dead_lettered,
        // Its schedule took it back, and makes it again.
        (Cancelled, Scheduled | Cancelled) => before.withdrawn,
        // Its batch had no time left for the suspect of a redriven letter.
        (Failed, Queued | Retrying) => before.dead_lettered && after.passed_over,
        _ => false,
    };
    let changed = before.status != after.status || before.claim != after.claim;
    // A cleanup takes the details of a job that has ended, and nothing else.
    let is_trim = after.trimmed && !before.trimmed;
    holds("status never goes backwards", may || !changed && (is_trim || !before.status.is_finished()), || {
        format!("{}: {} after {}", after.id(), after.status, before.status)
    })
}

pub(super) fn every_write_is_the_next_revision(before: Option<&JobRecord>, after: &JobRecord) -> Holds {
    let follows = before.is_none_or(|before| after.revision.follows(before.revision));
    holds("no write is lost under another", follows, || {
        format!("{}: {:?} after {:?}", after.id(), after.revision, before.map(|before| before.revision))
    })
}

pub(super) fn no_older_attempt_overwrites_a_result(before: Option<&JobRecord>, after: &JobRecord) -> Holds {
    let claim = |record: &JobRecord| record.claim.as_ref().map(|claim| claim.id.clone());
    let is_fenced = before.is_none_or(|before| {
        before.status == JobStatus::Running && claim(before).is_some() && claim(before) == claim(after)
    });
    holds("G2: no older attempt overwrites a result", is_fenced, || {
        format!("{} is settled by {:?} over {before:?}", after.id(), after.claim)
    })
}

/// A dead letter counts as failed. It is counted after it was sent, so a fault in between leaves it uncounted.
pub(super) fn counters_equal_what_happened(
    counted: &BTreeMap<String, Counters>,
    happened: &BTreeMap<String, Counters>,
    letters: &BTreeMap<String, u64>,
    is_faultless: bool,
) -> Holds {
    let names: BTreeSet<&String> = counted.keys().chain(happened.keys()).chain(letters.keys()).collect();
    let figures = |of: Option<&Counters>, failed: u64| {
        let one = of.copied().unwrap_or_default();
        [one.completed, one.failed + failed, one.cancelled, one.retried]
    };
    let is_right = |name: &&String| {
        let counted = figures(counted.get(*name), 0);
        let letters = letters.get(*name).copied().unwrap_or_default();
        let most = figures(happened.get(*name), letters);
        let least = figures(happened.get(*name), if is_faultless { letters } else { 0 });
        (0..4).all(|at| (least[at]..=most[at]).contains(&counted[at]))
    };
    holds("the counters equal what happened", names.iter().all(is_right), || {
        format!("counted {counted:?}, settled {happened:?}, dead letters {letters:?}")
    })
}

pub(super) fn settings_are_written_if_they_differ(writes: u32) -> Holds {
    // By a worker, and then by a tick.
    holds("the deployment's settings are written only if they differ", writes <= 2, || {
        format!("they were written {writes} times")
    })
}

pub(super) fn the_dispatchers_settings_hold(
    stored: Option<&NotedSettings>,
    expected: &DeployedSettings,
    has_written: bool,
) -> Holds {
    let is_right = stored.is_some_and(|noted| noted.settings == *expected);
    holds("what the dispatcher stored holds for all callers", is_right || !has_written, || {
        format!("the dispatcher has {expected:?}, stored are {stored:?}")
    })
}

pub(super) fn a_record_is_kept_as_the_deployment_says(record: &JobRecord, allowed: &[Retention]) -> Holds {
    let end = |retention: &Retention| retention.end_of(record.status, record.completed_at?);
    let is_right = record.expires_at.is_some()
        && (allowed.is_empty() || allowed.iter().any(|retention| end(retention) == record.expires_at));
    holds("a finished job is kept as long as the deployment says", is_right, || {
        format!(
            "{} ended {:?} as {}, and is kept until {:?}",
            record.id(),
            record.completed_at,
            record.status,
            record.expires_at
        )
    })
}

pub(super) fn a_batch_names_an_item_once(once: bool) -> Holds {
    // BatchExecuteStatement rejects the whole call, so one such id would delay its batch mates.
    holds("G7: a batch of statements names an item once", once, || "a batch names an item twice".to_owned())
}

/// SQS counts whole seconds, so a delay ends at the end of its last second.
pub(super) fn g4_delays_end_within_two_seconds(id: &JobId, job: &JobWatch, now: DateTime<Utc>) -> Holds {
    let late = job.due.map_or(TimeDelta::zero(), |due| now - due);
    holds("G4: without faults a delay ends within 2 s of its second", late <= TimeDelta::seconds(3), || {
        format!("{id} starts {late} late")
    })
}

pub(super) fn a_tick_ends_before_its_deadline(now: DateTime<Utc>, is_late: bool) -> Holds {
    holds("G8: a tick ends before its deadline", !is_late, || format!("it has not at {now}"))
}

/// The expired lease would look like a crash.
pub(super) fn g3_no_claim_is_forgotten(job: Option<&JobId>) -> Holds {
    holds("G3: a claim that is not started is released", job.is_none(), || {
        format!("the batch was answered in time, and {job:?} stays claimed")
    })
}

pub(super) fn g3_a_suspect_runs_alone(id: &JobId, is_alone: bool) -> Holds {
    holds("G3: a job that crashed in company next runs alone", is_alone, || {
        format!("{id} is a suspect, and runs among others")
    })
}

pub(super) fn g8_no_attempt_is_cut_short_by_the_answer(job: Option<&JobId>) -> Holds {
    holds("G8: a job starts only where its timeout fits", job.is_none(), || {
        format!("the batch was answered while {job:?} was claimed")
    })
}

pub(super) fn requests_stay_within_the_budget(requests: u64, allowed: u64) -> Holds {
    holds("requests stay within the budget", requests <= allowed, || {
        format!("{requests} requests, at most {allowed} are allowed")
    })
}

pub(super) fn the_control_is_read_once_in_five_seconds(is_worker: bool, since: Option<Duration>) -> Holds {
    let is_soon = is_worker && since.is_some_and(|since| since < Duration::from_secs(5));
    holds("an environment reads the control once in five seconds", !is_soon, || {
        format!("it was read again after {since:?}")
    })
}

pub(super) fn of_jobs_with_one_key_one_is_under_way(key: &str, begun: &BTreeSet<JobId>) -> Holds {
    holds("of jobs with one unique key at most one is under way", begun.len() <= 1, || {
        format!("{key}: {begun:?} have begun and have not ended")
    })
}

pub(super) fn a_duplicate_names_a_job_that_has_its_key(
    record: &JobRecord,
    holder: Option<&JobRecord>,
) -> Holds {
    let is_it = holder.is_some_and(|holder| {
        holder.id() != record.id() && holder.definition.unique_key == record.definition.unique_key
    });
    holds("a job that ends as a duplicate names one that has its key", is_it, || {
        format!("{} ended with {:?}, and that is {holder:?}", record.id(), record.note)
    })
}
