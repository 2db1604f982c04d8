//! A schedule as it was asked for.

use std::ops::Deref;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Cadence, Gap, Missed, Overlap, Repeat, Zone};
use crate::clock::whole_second;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_NAME_BYTES, MAX_RETRIES, MAX_TIMEOUT};
use crate::job::{JobDefinition, JobId, JobType, NewJob, Priority, Queue, Retention, ScheduleId};
use crate::message::{JobMessage, MAX_BODY_BYTES};

const MAX_TAGS: usize = 50;
const MAX_WORD_BYTES: usize = 128;

/// The job that each occurrence of a schedule makes.
#[derive(Clone, Debug, PartialEq)]
pub struct JobTemplate {
    /// The name of its handler.
    pub name: String,
    /// What the handler is given; `{}` by default.
    pub payload: Value,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it may be tried again; the handler's own where absent.
    pub max_retries: Option<u32>,
    /// How long one attempt may take; the handler's own where absent.
    pub timeout: Option<Duration>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whose job it is.
    pub tenant: Option<String>,
    /// The queue it waits in; its handler's, its family's or its priority's where absent.
    pub queue: Option<Queue>,
}

impl JobTemplate {
    /// A job for the handler of this name, with a default for everything else.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            payload: Value::Object(serde_json::Map::new()),
            priority: Priority::default(),
            max_retries: None,
            timeout: None,
            tags: Vec::new(),
            tenant: None,
            queue: None,
        }
    }

    fn check(&self, id: &ScheduleId) -> Result<(), Invalid> {
        let printable = |text: &str| !text.chars().any(char::is_control);
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !printable(&self.name) {
            let expected = format!("the name of a job, 1 to {MAX_NAME_BYTES} bytes");
            return Err(Invalid::text("name", expected, &self.name));
        }
        if let Some(retries) = self.max_retries.filter(|retries| *retries > MAX_RETRIES) {
            let expected = format!("an integer from 0 to {MAX_RETRIES}");
            return Err(Invalid::new("maxRetries", expected, retries));
        }
        if let Some(timeout) = self.timeout.filter(|timeout| timeout.is_zero() || *timeout > MAX_TIMEOUT) {
            let expected = format!(
                "1 to {} ms, the most that Lambda grants; split the work into several jobs or let one \
                 enqueue the next",
                MAX_TIMEOUT.as_millis()
            );
            return Err(Invalid::new("timeout", expected, format!("{} ms", timeout.as_millis())));
        }
        if self.tags.len() > MAX_TAGS || self.tags.iter().any(|tag| tag.len() > MAX_WORD_BYTES) {
            let expected = format!("at most {MAX_TAGS} texts of at most {MAX_WORD_BYTES} bytes each");
            return Err(Invalid::new("tags", expected, format!("{:?}", self.tags)));
        }
        if let Some(tenant) = self
            .tenant
            .as_ref()
            .filter(|tenant| tenant.is_empty() || tenant.len() > MAX_WORD_BYTES || !printable(tenant))
        {
            let expected = format!("1 to {MAX_WORD_BYTES} bytes of text");
            return Err(Invalid::text("tenant", expected, tenant));
        }
        let bytes = self.message_bytes(id);
        if bytes > MAX_BODY_BYTES {
            let expected = format!(
                "a job whose message has at most {MAX_BODY_BYTES} bytes; send a reference to its data"
            );
            return Err(Invalid::new("payload", expected, format!("{bytes} bytes")));
        }
        Ok(())
    }

    /// How large the message of an occurrence is.
    fn message_bytes(&self, schedule: &ScheduleId) -> usize {
        let Ok(id) = schedule.job_at(DateTime::UNIX_EPOCH) else { return usize::MAX };
        let unique_key = schedule.unique_key();
        let definition = JobDefinition {
            id,
            name: self.name.clone(),
            job_type: JobType::Recurring,
            payload: self.payload.clone(),
            priority: self.priority,
            max_retries: self.max_retries,
            delay: None,
            run_at: Some(DateTime::UNIX_EPOCH),
            timeout: self.timeout,
            tags: self.tags.clone(),
            tenant: self.tenant.clone(),
            // It has one if it is skipped while another is unfinished.
            unique_key: Some(unique_key),
            unique_for: None,
            breakers: Vec::new(),
            traceparent: None,
        };
        JobMessage { definition, due_at: DateTime::UNIX_EPOCH, recorded: true, deferred: false }
            .encode()
            .len()
    }
}

/// What a schedule is made of; [`Schedule::new`] checks it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSpec {
    /// Its identity.
    pub id: ScheduleId,
    /// The job that each occurrence makes.
    pub job: JobTemplate,
    /// When its occurrences are.
    pub cadence: Cadence,
    /// The zone whose local time a cron goes by.
    pub zone: Zone,
    /// What becomes of a local time that a change of the clocks skips.
    pub gap: Gap,
    /// What becomes of a local time that comes twice.
    pub repeat: Repeat,
    /// What becomes of an occurrence while the last one is unfinished.
    pub overlap: Overlap,
    /// What becomes of occurrences that could not be made in time.
    pub missed: Missed,
    /// How far back missed occurrences are made, 1 s to [`Schedule::MAX_WINDOW`].
    pub window: Duration,
    /// Whether it fires at all.
    pub enabled: bool,
    /// The first instant it may fire at, in whole seconds; a rate counts from it.
    pub start: Option<DateTime<Utc>>,
    /// The last instant it may fire at, in whole seconds.
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

/// A schedule that was checked: what it is made of can be read, and changed by making a new one.
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
    /// The longest window for missed occurrences. An older occurrence may have been made and forgotten: no
    /// tombstone of it need be left that would keep it from running again.
    pub const MAX_WINDOW: Duration = Retention::MIN;

    /// Checks what the types can't say.
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

    /// What it is made of, to make another of it.
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
        let JobTemplate { name, payload, priority, max_retries, timeout, tags, tenant, queue } =
            self.0.job.clone();
        let id = Some(self.job_id(instant)?);
        let run_at = Some(whole_second(instant));
        Ok(NewJob {
            id,
            name,
            payload,
            priority,
            max_retries,
            delay: None,
            run_at,
            timeout,
            tags,
            tenant,
            unique_key: None,
            unique_for: None,
            unique_when_due: false,
            breakers: Vec::new(),
            queue,
            job_type: Some(JobType::Recurring),
        })
    }
}

impl Deref for Schedule {
    type Target = ScheduleSpec;

    fn deref(&self) -> &ScheduleSpec {
        &self.0
    }
}
