//! A schedule as its owner defined it.

use std::ops::Deref;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Cadence, Gap, Missed, Overlap, Repeat, Zone};
use crate::clock::whole_second;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_NAME_BYTES, MAX_RETRIES, MAX_TAGS, MAX_TIMEOUT, MAX_WORD_BYTES};
use crate::job::{JobDefinition, JobId, JobSpec, JobType, NewJob, Queue, Retention, ScheduleId};
use crate::message::JobMessage;

/// The job that each occurrence of a schedule makes.
#[derive(Clone, Debug, PartialEq)]
pub struct JobTemplate {
    /// Its handler, its payload and its settings.
    pub spec: JobSpec,
    /// Its queue; if absent, its handler, its family or its priority decides.
    pub queue: Option<Queue>,
}

/// The largest message of an occurrence, in bytes: a schedule with its job is one item of the store.
const MAX_MESSAGE_BYTES: usize = 200 * 1024;

impl JobTemplate {
    /// A job for the handler of this name, with a default for everything else.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { spec: JobSpec::new(name), queue: None }
    }

    fn check(&self, id: &ScheduleId) -> Result<(), Invalid> {
        let JobSpec { name, max_retries, timeout, tags, tenant, .. } = &self.spec;
        let expected = format!("the name of a job, 1 to {MAX_NAME_BYTES} bytes");
        check_text("name", name, MAX_NAME_BYTES, expected)?;
        if let Some(retries) = max_retries.filter(|retries| *retries > MAX_RETRIES) {
            return Err(Invalid::new("maxRetries", format!("an integer from 0 to {MAX_RETRIES}"), retries));
        }
        timeout.map_or(Ok(()), check_timeout)?;
        if tags.len() > MAX_TAGS || tags.iter().any(|tag| tag.len() > MAX_WORD_BYTES) {
            let expected = format!("at most {MAX_TAGS} texts of at most {MAX_WORD_BYTES} bytes each");
            return Err(Invalid::new("tags", expected, format!("{tags:?}")));
        }
        if let Some(tenant) = tenant {
            check_text("tenant", tenant, MAX_WORD_BYTES, format!("1 to {MAX_WORD_BYTES} bytes of text"))?;
        }
        let bytes = self.message_bytes(id);
        if bytes > MAX_MESSAGE_BYTES {
            let expected = format!(
                "a job whose message has at most {MAX_MESSAGE_BYTES} bytes; send a reference to its data"
            );
            return Err(Invalid::new("payload", expected, format!("{bytes} bytes")));
        }
        Ok(())
    }

    /// The size of an occurrence's message.
    fn message_bytes(&self, schedule: &ScheduleId) -> usize {
        let due_at = DateTime::UNIX_EPOCH;
        let Ok(id) = schedule.job_at(due_at) else { return usize::MAX };
        let definition = JobDefinition {
            job_type: JobType::Recurring,
            run_at: Some(due_at),
            // It has a key if the schedule skips it while another occurrence is unfinished.
            unique_key: Some(schedule.unique_key()),
            edition: Some(1 << 52),
            ..JobDefinition::of(id, self.spec.clone())
        };
        let message =
            JobMessage { definition, due_at, recorded: true, deferred: false, payload_stored: false };
        message.encoded_len()
    }
}

fn check_text(field: &str, text: &str, max_bytes: usize, expected: String) -> Result<(), Invalid> {
    if (1..=max_bytes).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::text(field, expected, text))
}

fn check_timeout(timeout: Duration) -> Result<(), Invalid> {
    if !timeout.is_zero() && timeout <= MAX_TIMEOUT {
        return Ok(());
    }
    let expected = format!(
        "1 to {} ms, the most that Lambda grants; split the work into several jobs or let one enqueue the next",
        MAX_TIMEOUT.as_millis()
    );
    Err(Invalid::new("timeout", expected, format!("{} ms", timeout.as_millis())))
}

/// The fields of a schedule; [`Schedule::new`] checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSpec {
    /// Its identity.
    pub id: ScheduleId,
    /// The job that each occurrence makes.
    pub job: JobTemplate,
    /// When it fires.
    pub cadence: Cadence,
    /// The time zone of a cron.
    pub zone: Zone,
    /// What happens to a local time that a clock change skips.
    pub gap: Gap,
    /// What happens to a local time that occurs twice.
    pub repeat: Repeat,
    /// What happens to an occurrence while the last one is unfinished.
    pub overlap: Overlap,
    /// What happens to missed occurrences.
    pub missed: Missed,
    /// How old a missed occurrence may be to be made still, 1 s to [`Schedule::MAX_WINDOW`].
    pub window: Duration,
    /// Whether it fires.
    pub enabled: bool,
    /// The first instant at which it may fire, in whole seconds; a rate counts from it.
    pub start: Option<DateTime<Utc>>,
    /// The last instant at which it may fire, in whole seconds.
    pub end: Option<DateTime<Utc>>,
}

impl ScheduleSpec {
    /// An enabled schedule in UTC with the default policies.
    #[must_use]
    pub fn new(id: ScheduleId, job: JobTemplate, cadence: Cadence) -> Self {
        Self {
            id,
            job,
            cadence,
            zone: Zone::UTC,
            gap: Gap::default(),
            repeat: Repeat::default(),
            overlap: Overlap::default(),
            missed: Missed::default(),
            window: Schedule::MAX_WINDOW,
            enabled: true,
            start: None,
            end: None,
        }
    }
}

/// A checked schedule. Its spec can be read; to change it, make a new schedule.
///
/// ```
/// use lambda_jobs_core::schedule::{JobTemplate, Schedule, ScheduleSpec};
///
/// let spec = ScheduleSpec::new("daily".parse()?, JobTemplate::new("digest"), "0 0 8 * * *".parse()?);
/// let london = Schedule::new(ScheduleSpec { zone: "Europe/London".parse()?, ..spec })?;
/// assert_eq!(london.zone.name(), "Europe/London");
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(ScheduleSpec);

impl Schedule {
    /// The longest window for missed occurrences. An older occurrence may have run and been forgotten: no tombstone
    /// would stop it from running again.
    pub const MAX_WINDOW: Duration = Retention::MIN;

    /// Checks what the types don't rule out.
    pub fn new(spec: ScheduleSpec) -> Result<Self, Invalid> {
        spec.job.check(&spec.id).map_err(|error| error.inside("job"))?;
        let longest = Self::MAX_WINDOW.as_millis();
        if !(1_000..=longest).contains(&spec.window.as_millis()) {
            let expected = format!("1000 to {longest} ms (15 days, as long as finished jobs are remembered)");
            return Err(Invalid::new("window", expected, format!("{} ms", spec.window.as_millis())));
        }
        for (field, bound) in [("start", spec.start), ("end", spec.end)] {
            if let Some(bound) = bound.filter(|at| !(0..=253_402_300_799).contains(&at.timestamp())) {
                return Err(Invalid::new(field, "an instant of the years 1970 to 9999", bound));
            }
        }
        let (start, end) = (spec.start.map(whole_second), spec.end.map(whole_second));
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            let expected = format!("an instant not before the start, {}", start.to_rfc3339());
            return Err(Invalid::new("end", expected, end.to_rfc3339()));
        }
        Ok(Self(ScheduleSpec { start, end, ..spec }))
    }

    /// Its fields, for making a changed schedule.
    #[must_use]
    pub fn into_spec(self) -> ScheduleSpec {
        self.0
    }

    /// The job id of the occurrence at this instant; see [`ScheduleId::job_at`].
    pub fn job_id(&self, instant: DateTime<Utc>) -> Result<JobId, Invalid> {
        self.id.job_at(instant)
    }

    /// The job of the occurrence at this instant, due then.
    pub fn job(&self, instant: DateTime<Utc>) -> Result<NewJob, Invalid> {
        let JobTemplate { spec, queue } = self.0.job.clone();
        Ok(NewJob {
            id: Some(self.job_id(instant)?),
            run_at: Some(whole_second(instant)),
            queue,
            job_type: Some(JobType::Recurring),
            ..NewJob::of(spec)
        })
    }
}

impl Deref for Schedule {
    type Target = ScheduleSpec;

    fn deref(&self) -> &ScheduleSpec {
        &self.0
    }
}
