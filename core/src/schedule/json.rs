//! A schedule in JSON, as a user writes it:
//! `{id, cron | rate, zone, gap, repeat, overlap, missed, window, enabled, start, end, job: {name, payload, ...}}`.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Cadence, Cron, Interval, JobTemplate, Schedule, ScheduleSpec};
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_RETRIES, MAX_TAGS};
use crate::job::{Payload, Priority, Queue, ScheduleId, millis};
use crate::json::{Object, list, string, whole, with_members, without_mark};

/// The fields of a schedule, in the order in which an error names them.
const FIELDS: [&str; 13] = [
    "id", "cron", "rate", "job", "zone", "gap", "repeat", "overlap", "missed", "window", "enabled", "start",
    "end",
];
/// The fields of its job.
const JOB_FIELDS: [&str; 8] =
    ["name", "payload", "priority", "maxRetries", "timeout", "tags", "tenant", "queue"];

impl Schedule {
    /// Reads a schedule that a user wrote. Durations are in milliseconds, instants in RFC 3339; only `id`,
    /// `cron` or `rate`, and `job.name` are required. An unknown field is an error.
    ///
    /// ```
    /// use lambda_jobs_core::schedule::Schedule;
    /// use serde_json::json;
    ///
    /// let schedule = Schedule::from_json(json!({
    ///     "id": "daily", "cron": "0 0 8 * * *", "zone": "Asia/Kolkata", "job": { "name": "digest" }
    /// }))?;
    /// assert_eq!(schedule.cadence.to_string(), "0 0 8 * * *");
    /// let refused = Schedule::from_json(json!({ "id": "d", "cron": "0 8 * * *", "job": { "name": 7 } }));
    /// assert_eq!(refused.unwrap_err().to_string(), "job: name: expected text, got 7");
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "callers write the value where they pass it")]
    pub fn from_json(value: Value) -> Result<Self, Invalid> {
        value.to_string().parse()
    }

    /// Reads a schedule that a user wrote, under this id, whatever id its text has.
    pub fn with_id(id: &ScheduleId, text: &str) -> Result<Self, Invalid> {
        let id = Value::from(id.as_str()).to_string();
        match with_members(without_mark(text), &[("id", &id)]) {
            Ok(named) => named.parse(),
            Err(_) => text.parse(),
        }
    }
}

/// Reads a schedule that a user wrote, as [`Schedule::from_json`] does, from its text: the payload stays as it is.
impl FromStr for Schedule {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        read(text, Unknown::Refuse)
    }
}

/// Reads a stored schedule. Ignores unknown fields, which a newer release wrote.
impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(from)?;
        read(json.get(), Unknown::Ignore).map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Unknown {
    Refuse,
    Ignore,
}

fn read(text: &str, unknown: Unknown) -> Result<Schedule, Invalid> {
    let mut fields = Fields::of("schedule", without_mark(text), &FIELDS)?;
    let id = fields.required("id", "the id of a schedule")?.parse()?;
    let cadence = cadence(&mut fields)?;
    let job = Fields::of("job", fields.take("job").unwrap_or("null"), &JOB_FIELDS)?;
    let job = job_template(job, unknown).map_err(|error| error.inside("job"))?;
    let mut spec = ScheduleSpec::new(id, job, cadence);
    fields.parse_into("zone", &mut spec.zone)?;
    fields.parse_into("gap", &mut spec.gap)?;
    fields.parse_into("repeat", &mut spec.repeat)?;
    fields.parse_into("overlap", &mut spec.overlap)?;
    fields.parse_into("missed", &mut spec.missed)?;
    if let Some(window) = fields.millis("window")? {
        spec.window = window;
    }
    if let Some(enabled) = fields.read("enabled", "true or false", |text| text.parse().ok())? {
        spec.enabled = enabled;
    }
    spec.start = fields.instant("start")?;
    spec.end = fields.instant("end")?;
    fields.finish(&FIELDS, unknown)?;
    Schedule::new(spec)
}

fn cadence(fields: &mut Fields<'_>) -> Result<Cadence, Invalid> {
    match (fields.text("cron")?, fields.text("rate")?) {
        (Some(cron), None) => Ok(Cadence::Cron(Box::new(cron.parse::<Cron>()?))),
        (None, Some(rate)) => Ok(Cadence::Rate(rate.parse::<Interval>()?)),
        (None, None) => Err(Invalid::new("cron", "an expression here or in rate", "nothing")),
        (Some(_), Some(rate)) => {
            Err(Invalid::text("rate", "nothing where cron is set: one of the two", &rate))
        }
    }
}

fn job_template(mut fields: Fields<'_>, unknown: Unknown) -> Result<JobTemplate, Invalid> {
    let mut job = JobTemplate::new(fields.required("name", "the name of a job")?);
    if let Some(payload) = fields.take("payload") {
        job.spec.payload = payload.parse()?;
    }
    let priority = |text: &str| Priority::new(whole(text)?).ok();
    if let Some(priority) = fields.read("priority", "an integer from 1 (most urgent) to 10", priority)? {
        job.spec.priority = priority;
    }
    let retries = |text: &str| u32::try_from(whole(text)?).ok();
    let expected = format!("an integer from 0 to {MAX_RETRIES}");
    job.spec.max_retries = fields.read("maxRetries", &expected, retries)?;
    job.spec.timeout = fields.millis("timeout")?;
    let words = |text: &str| {
        list(text, MAX_TAGS + 1)?.into_iter().map(|word| Some(string(word)?.into_owned())).collect()
    };
    job.spec.tags = fields.read("tags", "a list of texts", words)?.unwrap_or_default();
    job.spec.tenant = fields.text("tenant")?;
    let queue = |text: &str| serde_json::from_str::<Queue>(text).ok();
    job.queue = fields.read("queue", "high, normal, low or webhooks", queue)?;
    fields.finish(&JOB_FIELDS, unknown)?;
    Ok(job)
}

/// The unread fields of an object. `null` counts as absent.
struct Fields<'a>(Object<'a>);

impl<'a> Fields<'a> {
    fn of(name: &str, text: &'a str, known: &[&'static str]) -> Result<Self, Invalid> {
        let object = match Object::read(text, known) {
            Ok(object) => object,
            Err(error) if error.is_data() => return Err(Invalid::new(name, "a JSON object", text)),
            Err(error) => return Err(Invalid::text(name, format!("a JSON object ({error})"), text)),
        };
        Ok(Self(object))
    }

    fn take(&mut self, field: &'static str) -> Option<&'a str> {
        self.0.take(field)
    }

    fn read<T>(
        &mut self,
        field: &'static str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        let Some(text) = self.take(field) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| Invalid::new(field, expected, text))
    }

    fn text(&mut self, field: &'static str) -> Result<Option<String>, Invalid> {
        self.read(field, "text", |text| Some(string(text)?.into_owned()))
    }

    fn required(&mut self, field: &'static str, expected: &str) -> Result<String, Invalid> {
        self.text(field)?.ok_or_else(|| Invalid::new(field, expected, "nothing"))
    }

    fn parse_into<T: std::str::FromStr<Err = Invalid>>(
        &mut self,
        field: &'static str,
        to: &mut T,
    ) -> Result<(), Invalid> {
        if let Some(text) = self.text(field)? {
            *to = text.parse()?;
        }
        Ok(())
    }

    fn millis(&mut self, field: &'static str) -> Result<Option<Duration>, Invalid> {
        self.read(field, "whole milliseconds", |text| whole(text).map(Duration::from_millis))
    }

    fn instant(&mut self, field: &'static str) -> Result<Option<DateTime<Utc>>, Invalid> {
        self.read(field, "an RFC 3339 instant such as 2026-11-23T08:00:00Z", |text| {
            DateTime::parse_from_rfc3339(&string(text)?).ok().map(|instant| instant.to_utc())
        })
    }

    fn finish(self, known: &[&str], unknown: Unknown) -> Result<(), Invalid> {
        if let Some(field) = self.0.twice() {
            return Err(Invalid::new(field, "one value", "two"));
        }
        match self.0.unknown() {
            Some(field) if unknown == Unknown::Refuse => {
                Err(Invalid::text("fields", format!("no others than {}", known.join(", ")), field))
            }
            _ => Ok(()),
        }
    }
}

/// A schedule, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    zone: &'a str,
    gap: &'a str,
    repeat: &'a str,
    overlap: &'a str,
    missed: &'a str,
    window: u64,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    job: &'a JobTemplate,
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (cron, rate) = match &self.cadence {
            Cadence::Cron(cron) => (Some(cron.to_string()), None),
            Cadence::Rate(interval) => (None, Some(interval.to_string())),
        };
        let seconds = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
        let written = Written {
            id: self.id.as_str(),
            cron,
            rate,
            zone: self.zone.name(),
            gap: self.gap.as_str(),
            repeat: self.repeat.as_str(),
            overlap: self.overlap.as_str(),
            missed: self.missed.as_str(),
            window: millis::of(self.window),
            enabled: self.enabled,
            start: self.start.map(seconds),
            end: self.end.map(seconds),
            job: &self.job,
        };
        written.serialize(to)
    }
}

/// The job of a schedule, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenJob<'a> {
    name: &'a str,
    payload: &'a Payload,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Queue>,
}

impl Serialize for JobTemplate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let job = &self.spec;
        let written = WrittenJob {
            name: &job.name,
            payload: &job.payload,
            priority: job.priority,
            max_retries: job.max_retries,
            timeout: job.timeout.map(millis::of),
            tags: &job.tags,
            tenant: job.tenant.as_deref(),
            queue: self.queue,
        };
        written.serialize(to)
    }
}
