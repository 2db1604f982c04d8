//! A schedule in JSON, as a user writes it:
//! `{id, cron | rate, zone, gap, repeat, overlap, missed, window, enabled, start, end, job: {name, payload, ...}}`.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Cadence, Cron, Interval, JobTemplate, Schedule, ScheduleSpec};
use crate::invalid::Invalid;
use crate::job::{Priority, Queue, millis};

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
    pub fn from_json(value: Value) -> Result<Self, Invalid> {
        read(value, Unknown::Refuse)
    }
}

/// Reads a stored schedule. Ignores unknown fields, which a newer release wrote.
impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(Value::deserialize(from)?, Unknown::Ignore).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Value::from(self).serialize(to)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Unknown {
    Refuse,
    Ignore,
}

fn read(value: Value, unknown: Unknown) -> Result<Schedule, Invalid> {
    let mut fields = Fields::of("schedule", value)?;
    let id = fields.required("id", "the id of a schedule")?.parse()?;
    let cadence = cadence(&mut fields)?;
    let job = Fields::of("job", fields.take("job").unwrap_or_default())?;
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
    if let Some(enabled) = fields.read("enabled", "true or false", Value::as_bool)? {
        spec.enabled = enabled;
    }
    spec.start = fields.instant("start")?;
    spec.end = fields.instant("end")?;
    fields.finish("fields", unknown)?;
    Schedule::new(spec)
}

fn cadence(fields: &mut Fields) -> Result<Cadence, Invalid> {
    match (fields.text("cron")?, fields.text("rate")?) {
        (Some(cron), None) => Ok(Cadence::Cron(Box::new(cron.parse::<Cron>()?))),
        (None, Some(rate)) => Ok(Cadence::Rate(rate.parse::<Interval>()?)),
        (None, None) => Err(Invalid::new("cron", "an expression here or in rate", "nothing")),
        (Some(_), Some(rate)) => {
            Err(Invalid::text("rate", "nothing where cron is set: one of the two", &rate))
        }
    }
}

fn job_template(mut fields: Fields, unknown: Unknown) -> Result<JobTemplate, Invalid> {
    let mut job = JobTemplate::new(fields.required("name", "the name of a job")?);
    if let Some(payload) = fields.take("payload") {
        job.spec.payload = payload;
    }
    let priority = |value: &Value| Priority::new(value.as_u64()?).ok();
    if let Some(priority) = fields.read("priority", "an integer from 1 (most urgent) to 10", priority)? {
        job.spec.priority = priority;
    }
    let retries = |value: &Value| u32::try_from(value.as_u64()?).ok();
    job.spec.max_retries = fields.read("maxRetries", "an integer from 0 to 100", retries)?;
    job.spec.timeout = fields.millis("timeout")?;
    let words = |value: &Value| {
        value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    job.spec.tags = fields.read("tags", "a list of texts", words)?.unwrap_or_default();
    job.spec.tenant = fields.text("tenant")?;
    let queue = |value: &Value| Queue::deserialize(value).ok();
    job.queue = fields.read("queue", "high, normal, low or webhooks", queue)?;
    fields.finish("fields", unknown)?;
    Ok(job)
}

/// The unread fields of an object. `null` counts as absent.
struct Fields {
    rest: Map<String, Value>,
    read: Vec<&'static str>,
}

impl Fields {
    fn of(name: &str, value: Value) -> Result<Self, Invalid> {
        match value {
            Value::Object(rest) => Ok(Self { rest, read: Vec::new() }),
            other => Err(Invalid::new(name, "a JSON object", other)),
        }
    }

    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.read.push(field);
        self.rest.remove(field).filter(|value| !value.is_null())
    }

    fn read<T>(
        &mut self,
        field: &'static str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        let Some(value) = self.take(field) else { return Ok(None) };
        parse(&value).map(Some).ok_or_else(|| Invalid::new(field, expected, &value))
    }

    fn text(&mut self, field: &'static str) -> Result<Option<String>, Invalid> {
        self.read(field, "text", |value| value.as_str().map(str::to_owned))
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
        self.read(field, "whole milliseconds", |value| value.as_u64().map(Duration::from_millis))
    }

    fn instant(&mut self, field: &'static str) -> Result<Option<DateTime<Utc>>, Invalid> {
        self.read(field, "an RFC 3339 instant such as 2026-11-23T08:00:00Z", |value| {
            DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|instant| instant.to_utc())
        })
    }

    fn finish(self, name: &str, unknown: Unknown) -> Result<(), Invalid> {
        match self.rest.keys().next() {
            Some(field) if unknown == Unknown::Refuse => {
                let expected = format!("no others than {}", self.read.join(", "));
                Err(Invalid::text(name, expected, field))
            }
            _ => Ok(()),
        }
    }
}

impl From<&Schedule> for Value {
    fn from(schedule: &Schedule) -> Self {
        let mut object = Map::new();
        let mut put = |field: &str, value: Self| object.insert(field.to_owned(), value);
        put("id", schedule.id.as_str().into());
        match &schedule.cadence {
            Cadence::Cron(cron) => put("cron", cron.to_string().into()),
            Cadence::Rate(interval) => put("rate", interval.to_string().into()),
        };
        put("zone", schedule.zone.name().into());
        put("gap", schedule.gap.as_str().into());
        put("repeat", schedule.repeat.as_str().into());
        put("overlap", schedule.overlap.as_str().into());
        put("missed", schedule.missed.as_str().into());
        put("window", millis::of(schedule.window).into());
        put("enabled", schedule.enabled.into());
        for (field, bound) in [("start", schedule.start), ("end", schedule.end)] {
            if let Some(instant) = bound {
                put(field, instant.to_rfc3339_opts(SecondsFormat::Secs, true).into());
            }
        }
        put("job", Self::from(&schedule.job));
        Self::Object(object)
    }
}

impl From<&JobTemplate> for Value {
    fn from(template: &JobTemplate) -> Self {
        let job = &template.spec;
        let mut object = Map::new();
        let mut put = |field: &str, value: Self| object.insert(field.to_owned(), value);
        put("name", job.name.as_str().into());
        put("payload", job.payload.clone());
        put("priority", job.priority.get().into());
        if let Some(retries) = job.max_retries {
            put("maxRetries", retries.into());
        }
        if let Some(timeout) = job.timeout {
            put("timeout", millis::of(timeout).into());
        }
        if !job.tags.is_empty() {
            put("tags", job.tags.clone().into());
        }
        if let Some(tenant) = &job.tenant {
            put("tenant", tenant.as_str().into());
        }
        if let Some(queue) = template.queue {
            put("queue", serde_json::to_value(queue).unwrap_or_default());
        }
        Self::Object(object)
    }
}
