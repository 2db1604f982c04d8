//! The guarantees of breakers and limits.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::facts::{Holds, JobWatch, Via};
use crate::simulation::invariants::holds;
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus};
use lambda_jobs_core::limit::{Lease, Rate};

/// How long after a breaker opened a worker may still not know.
pub(in crate::simulation) const CACHED: Duration = Duration::from_secs(2);

pub(in crate::simulation) fn g6_no_call_after_it_opened(
    job: &JobId,
    breaker: &str,
    opened: Duration,
    now: Duration,
) -> Holds {
    let in_time = now <= opened + CACHED;
    holds("G6: no call starts later than 2 s after its breaker opened", in_time, || {
        format!("{job} calls {breaker} {:?} after it opened", now.saturating_sub(opened))
    })
}

pub(in crate::simulation) fn g6_half_open_lets_one_probe_through(
    job: &JobId,
    breaker: &str,
    other: Option<&JobId>,
) -> Holds {
    holds("G6: half-open lets one probe through", other.is_none(), || {
        format!("{job} calls {breaker} while {other:?} does so as its probe")
    })
}

/// Clocks may differ, and each instant comes from some environment's clock.
pub(in crate::simulation) fn g6_no_probe_before_its_time(
    breaker: &str,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
    skew: TimeDelta,
) -> Holds {
    holds(
        "G6: no probe before the breaker's instant, or the last one's lease, is over",
        now >= from - skew,
        || format!("a probe of {breaker} begins at {now}, the last one's lease, or its time, is {from}"),
    )
}

/// The calls of a dependency that failed since it last answered.
#[derive(Debug, Default)]
pub(in crate::simulation) struct FailuresInARow {
    /// When each failed, and in which worker.
    pub(in crate::simulation) failures: Vec<(usize, Duration)>,
    /// Whether it had answered since its breaker closed.
    pub(in crate::simulation) has_answered: bool,
}

/// A failure takes a moment to be written, and another until every worker knows it. It may leave the window 1/30 early.
/// If the dependency had answered, each worker may keep one failure back, and twice as many may be needed.
pub(in crate::simulation) fn a_breaker_opens_at_its_threshold(
    breaker: &str,
    row: &FailuresInARow,
    threshold: u32,
    within: Duration,
    now: Duration,
) -> Holds {
    let known = now.saturating_sub(CACHED + Duration::from_secs(1));
    let since = now.saturating_sub(within * 29 / 30);
    let counted: Vec<usize> = row
        .failures
        .iter()
        .filter(|(_, at)| (since..known).contains(at))
        .map(|(worker, _)| *worker)
        .collect();
    let workers = counted.iter().collect::<BTreeSet<_>>().len();
    let threshold = threshold as usize;
    let most = if row.has_answered { threshold * 2 + workers } else { threshold };
    holds("without faults a breaker opens at its threshold", counted.len() < most, || {
        format!(
            "{breaker} is called after {} failures in a row within {within:?}, {most} open it",
            counted.len()
        )
    })
}

/// By the calls that the breaker knows of when it opens.
pub(in crate::simulation) fn a_host_that_mostly_answers_is_not_shut_out(
    breaker: &Breaker,
    threshold: u32,
    within: Duration,
) -> Holds {
    let known = breaker.window.total(breaker.written_at, within);
    let in_a_row = breaker.window.failures_in_a_row(breaker.written_at, within);
    let mostly_answers = known.failures * 3 <= known.calls && in_a_row < u64::from(threshold);
    holds("a host that mostly answers is not shut out", !mostly_answers, || {
        format!("{} opens after {known:?}, of which {in_a_row} failed in a row", breaker.name)
    })
}

/// A worker that opens a breaker has told of its successes.
pub(in crate::simulation) fn successes_count(
    breaker: &Breaker,
    has_seen_success: bool,
    within: Duration,
) -> Holds {
    let known = breaker.window.total(breaker.written_at, within);
    holds("without faults successes count", !has_seen_success || known.calls > known.failures, || {
        format!("{} opens after {known:?}, and its writer has seen successes", breaker.name)
    })
}

/// A call that its job's timeout cuts short has failed too.
pub(in crate::simulation) fn what_is_no_failure_does_not_count_as_one(
    breaker: &Breaker,
    failed: u64,
    within: Duration,
) -> Holds {
    let known = breaker.window.total(breaker.written_at, within);
    holds("without faults what is no failure does not count as one", known.failures <= failed, || {
        format!("{} knows of {known:?}, and {failed} calls failed", breaker.name)
    })
}

/// A hold that the fleet was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulation) struct Told {
    pub(in crate::simulation) tenant: Option<String>,
    /// When it was written, or asked for.
    pub(in crate::simulation) at: Duration,
    pub(in crate::simulation) until: DateTime<Utc>,
}

pub(in crate::simulation) fn g6_no_call_before_a_hold_ends(
    job: &JobId,
    breaker: &str,
    tenant: Option<&str>,
    holds_told: &[Told],
    (now, wall): (Duration, DateTime<Utc>),
) -> Holds {
    let is_about = |told: &&Told| told.tenant.is_none() || told.tenant.as_deref() == tenant;
    let broken = |told: &&Told| now > told.at + CACHED && wall < told.until;
    let broken = holds_told.iter().filter(is_about).find(broken);
    holds("G6: no call starts before the wish of its dependency ends", broken.is_none(), || {
        format!("{job} calls {breaker} at {wall}, and {broken:?}")
    })
}

pub(in crate::simulation) fn of_those_who_wait_one_comes_with_the_probe(
    breaker: &str,
    first: &JobId,
    job: &JobId,
) -> Holds {
    holds("of those who wait for a breaker one comes with the probe", first == job, || {
        format!("{job} comes back with the probe of {breaker}, and so does {first}")
    })
}

pub(in crate::simulation) fn g3_a_deferral_spends_no_attempt(
    before: Option<&JobRecord>,
    after: &JobRecord,
) -> Holds {
    let is_unspent = after.failures == before.map_or(0, |before| before.failures);
    holds("G3: a deferral spends no attempt", is_unspent && after.status.is_waiting(), || {
        format!(
            "{} waits for {:?}, is {} and has failed {} times",
            after.id(),
            after.blocked,
            after.status,
            after.failures
        )
    })
}

pub(in crate::simulation) fn g2_what_runs_is_not_deferred_by_others(
    via: Via,
    before: Option<&JobRecord>,
) -> Holds {
    let running = before.filter(|before| before.status == JobStatus::Running);
    holds("G2: what runs is not deferred by others", via == Via::Settle || running.is_none(), || {
        format!("deferred while it runs: {running:?}")
    })
}

/// Except if it was cancelled meanwhile.
pub(in crate::simulation) fn g3_who_is_refused_waits_unspent(
    before: Option<&JobRecord>,
    after: &JobRecord,
) -> Holds {
    let is_unspent = after.failures == before.map_or(0, |before| before.failures);
    let waits = after.status.is_waiting() && after.blocked.is_some() && is_unspent;
    holds("G3: who is refused a call waits unspent", waits || after.status == JobStatus::Cancelled, || {
        format!("{} was refused, is {} and has failed {} times", after.id(), after.status, after.failures)
    })
}

pub(in crate::simulation) fn g3_every_failure_was_one(record: &JobRecord, job: &JobWatch) -> Holds {
    let happened = job.failed + job.blames;
    let excused = record.status == JobStatus::Cancelled || !job.is_guarded;
    holds("G3: an attempt is spent by a failure alone", excused || record.failures <= happened, || {
        format!("{} has failed {} times, and {happened} failures were seen", record.id(), record.failures)
    })
}

pub(in crate::simulation) fn who_waits_for_a_breaker_starts_soon_after_it_can(
    job: &JobId,
    healed: Duration,
    now: Duration,
    bound: Duration,
) -> Holds {
    holds("without faults who waits for a breaker starts soon after it can", now <= healed + bound, || {
        format!(
            "{job} starts {:?} after its dependency healed, or it was deferred",
            now.saturating_sub(healed)
        )
    })
}

pub(in crate::simulation) fn no_more_run_at_once_than_a_limit_allows(
    tenant: &str,
    at_once: usize,
    allowed: u32,
) -> Holds {
    let is_within = u32::try_from(at_once).is_ok_and(|at_once| at_once <= allowed);
    holds("no more jobs run at once than a limit allows", is_within, || {
        format!("{at_once} of {tenant} run at once, {allowed} are allowed")
    })
}

/// `starts` holds, for each job, the instants of its batch and of its start, ordered by start: its token was taken in
/// between. A clock that is ahead makes tokens appear early.
pub(in crate::simulation) fn no_more_start_in_a_time_than_a_limit_allows(
    tenant: &str,
    starts: &[(Duration, Duration)],
    rate: Rate,
    skew: Duration,
) -> Holds {
    let Some((_, until)) = starts.last().copied() else { return Ok(()) };
    let interval =
        rate.interval().num_nanoseconds().and_then(|nanos| u128::try_from(nanos).ok()).unwrap_or(1);
    let allowed = |from: Duration| {
        let time = until.saturating_sub(from) + skew;
        u128::from(rate.most_at_once()) + time.as_nanos() / interval.max(1)
    };
    let taken = |from: Duration| starts.iter().filter(|(begun, _)| *begun >= from).count() as u128;
    let broken = starts.iter().map(|(begun, _)| *begun).find(|from| taken(*from) > allowed(*from));
    holds("no more jobs start in a time than a limit allows", broken.is_none(), || {
        let from = broken.unwrap_or_default();
        format!("{} of {tenant} start from {from:?} to {until:?}, {} are allowed", taken(from), allowed(from))
    })
}

pub(in crate::simulation) fn who_calls_what_is_not_prompt_has_a_lease(
    job: &JobId,
    breaker: &str,
    has_lease: bool,
) -> Holds {
    holds("who calls what does not answer promptly has a lease", has_lease, || {
        format!("{job} calls {breaker}, and its batch has no lease")
    })
}

pub(in crate::simulation) fn no_more_batches_have_leases_than_may(breaker: &Breaker, allowed: u32) -> Holds {
    let live = |lease: &&Lease| lease.lease_until > breaker.written_at;
    let count = breaker.bulkhead.leases.iter().filter(live).count();
    let is_within = u32::try_from(count).is_ok_and(|count| count <= allowed);
    holds("no more batches call what does not answer promptly than may", is_within, || {
        format!("a batch enters {}, and {count} hold leases, {allowed} may", breaker.name)
    })
}

pub(in crate::simulation) fn every_lease_is_returned(of: &str, leases: &[Lease]) -> Holds {
    holds("without faults every lease is returned", leases.is_empty(), || {
        format!("{of}: {leases:?} are held, and all jobs have ended")
    })
}

pub(in crate::simulation) fn who_needs_no_breaker_and_no_limit_pays_nothing(requests: u64) -> Holds {
    holds("jobs without breakers and limits pay nothing for them", requests == 0, || {
        format!("{requests} requests were made for breakers and limits, and no job has any")
    })
}
