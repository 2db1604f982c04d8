//! The record in an item. What it does not know, it ignores: a later release may have written it.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_core::job::{Claim, ClaimId, JobSpec, Revision, StoredPayload};
use lambda_jobs_core::ports::FinishedJob;
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, JobStatus, Payload};
use serde_json::Value as Json;

use super::attempts;
use super::texts::{Definition, Outcome, Past, Run};
use crate::dynamodb::{Item, pieces, seconds, text_of};

/// The record in an item, without its payload.
pub(in crate::dynamodb::jobs) fn decode_head(item: Item) -> Result<JobRecord, String> {
    let mut fields = Fields::of(item)?;
    record(&mut fields, Payload::null()).map_err(|reason| fields.unreadable(&reason))
}

/// The record in an item. Its payload is `null` if it is apart.
pub(in crate::dynamodb::jobs) fn decode(item: Item) -> Result<JobRecord, String> {
    let mut fields = Fields::of(item)?;
    let payload = fields.payload();
    payload.and_then(|payload| record(&mut fields, payload)).map_err(|reason| fields.unreadable(&reason))
}

/// The finished record in an item, as a cleanup needs it.
pub(in crate::dynamodb::jobs) fn decode_finished(item: Item) -> Result<FinishedJob, String> {
    let mut fields = Fields::of(item)?;
    finished(&mut fields).map_err(|reason| fields.unreadable(&reason))
}

fn finished(fields: &mut Fields) -> Result<FinishedJob, String> {
    let outcome = fields.text_in("outcome", Outcome::read)?;
    Ok(FinishedJob {
        status: fields.status()?,
        completed_at: outcome.completed_at.ok_or("outcome: expected when the job ended")?,
        revision: fields.revision()?,
        dead_lettered: outcome.details.dead_lettered,
        trimmed: fields.flag("trimmed")?,
        expires_at: fields.expiry()?,
        payload_place: pieces::place_in(&fields.item),
        id: fields.id.clone(),
    })
}

fn record(fields: &mut Fields, payload: Payload) -> Result<JobRecord, String> {
    let job: Definition = fields.text_in("job", |text| serde_json::from_str(text))?;
    let run = fields.text_in("run", Run::read)?;
    let outcome = fields.text_in("outcome", Outcome::read)?;
    let past: Past = fields.text_in("past", |text| serde_json::from_str(text))?;
    let created_at = fields.instant("created")?.ok_or("created: expected an instant, got nothing")?;
    let (status, trimmed) = (fields.status()?, fields.flag("trimmed")?);
    let claim = |(id, lease_until)| Claim { id: ClaimId::from(id), lease_until, alone: run.alone };
    Ok(JobRecord {
        definition: JobDefinition {
            id: fields.id.clone(),
            spec: JobSpec {
                name: fields.text("name")?.ok_or("name: expected a text, got nothing")?,
                payload,
                priority: job.priority.unwrap_or_default(),
                max_retries: job.max_retries,
                timeout: job.timeout.map(Duration::from_millis),
                tags: job.tags,
                tenant: job.tenant,
            },
            job_type: job.job_type.unwrap_or_default(),
            delay: job.delay.map(Duration::from_millis),
            run_at: job.run_at.map(|at| at.0),
            unique_key: fields.text("uniqueKey")?,
            unique_for: job.unique_for.map(Duration::from_millis),
            breakers: job.breakers,
            traceparent: job.traceparent,
            edition: fields.number("edition")?,
            enqueue_call: job.enqueue_call,
            batch: job.batch,
            gathers: job.gathers,
        },
        queue: job.queue.unwrap_or(Definition::QUEUE),
        status,
        revision: fields.revision()?,
        created_at,
        due_at: fields.instant("due")?.unwrap_or(created_at),
        failures: past.failures,
        snoozes: past.snoozes,
        claim: fields.text("claim")?.zip(run.lease_until).map(claim),
        started_at: run.started_at,
        completed_at: outcome.completed_at,
        execution_time: outcome.execution_time,
        result: fields.result(status == JobStatus::Completed && !trimmed)?,
        error: fields.text("error")?,
        note: outcome.details.note,
        blocked: outcome.details.blocked,
        isolated: fields.flag("isolated")?,
        passed_over: outcome.details.passed_over,
        dead_lettered: outcome.details.dead_lettered,
        cancel_requested: fields.flag("cancelRequested")?,
        parked: outcome.details.parked,
        trimmed,
        stored: StoredPayload { place: pieces::place_in(&fields.item), is_missing: false },
        withdrawn: past.withdrawn,
        expires_at: fields.expiry()?,
        // Nothing is decided by them, so a job can be read whatever another release wrote here.
        past_attempts: fields.text_in("attempts", attempts::read).unwrap_or_default(),
    })
}

/// The attributes of a record's item.
struct Fields {
    pk: String,
    id: JobId,
    item: Item,
}

impl Fields {
    fn of(item: Item) -> Result<Self, String> {
        let pk = text_of(&item, "pk").to_owned();
        let id = pk
            .strip_prefix("job#")
            .ok_or_else(|| format!("item {pk:?} is no job"))?
            .parse()
            .map_err(|error| format!("item {pk:?}: {error}"))?;
        Ok(Self { pk, id, item })
    }

    fn unreadable(&self, reason: &str) -> String {
        format!("item {:?}: {reason}", self.pk)
    }

    fn take<T>(
        &mut self,
        name: &str,
        kind: &str,
        read: fn(AttributeValue) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.item.remove(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| format!("{name}: expected {kind}, got another type"))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        self.take(name, "a text", |value| match value {
            AttributeValue::S(text) => Some(text),
            _ => None,
        })
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        Ok(self.take(name, "a boolean", |value| value.as_bool().ok().copied())?.unwrap_or_default())
    }

    fn digits(&mut self, name: &str) -> Result<Option<String>, String> {
        self.take(name, "a number", |value| match value {
            AttributeValue::N(digits) => Some(digits),
            _ => None,
        })
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(digits) = self.digits(name)? else { return Ok(None) };
        let number = digits.parse();
        number.map(Some).map_err(|_| format!("{name}: expected a whole number, got {digits:?}"))
    }

    fn instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, String> {
        let Some(digits) = self.digits(name)? else { return Ok(None) };
        let instant = seconds::read(&digits);
        instant.map(Some).ok_or_else(|| format!("{name}: expected seconds since 1970, got {digits:?}"))
    }

    /// What a text of JSON says; nothing, if there is none.
    fn text_in<T: Default, E: Display>(
        &mut self,
        name: &str,
        read: fn(&str) -> Result<T, E>,
    ) -> Result<T, String> {
        let Some(text) = self.text(name)? else { return Ok(T::default()) };
        read(&text).map_err(|error| format!("{name}: {error}"))
    }

    fn status(&mut self) -> Result<JobStatus, String> {
        let status = self.text("status")?.unwrap_or_default();
        let known = JobStatus::ALL.into_iter().find(|known| known.as_str() == status);
        known.ok_or_else(|| format!("status: expected the status of a job, got {status:?}"))
    }

    fn revision(&mut self) -> Result<Revision, String> {
        Ok(Revision(self.number("rev")?.ok_or("rev: expected a number, got nothing")?))
    }

    fn expiry(&mut self) -> Result<Option<DateTime<Utc>>, String> {
        Ok(self.number("expiresAt")?.and_then(|seconds| DateTime::from_timestamp(seconds, 0)))
    }

    /// The result. A completed job without one returned `null`.
    fn result(&mut self, is_usual: bool) -> Result<Option<Json>, String> {
        match self.text("result")? {
            Some(json) => serde_json::from_str(&json).map(Some).map_err(|error| format!("result: {error}")),
            None => Ok(is_usual.then_some(Json::Null)),
        }
    }

    /// The payload in the record; `null` if there is none any more, or if it is apart.
    fn payload(&mut self) -> Result<Payload, String> {
        if let Some(json) = self.text("payload")? {
            return json.parse().map_err(|error: lambda_jobs_core::Invalid| error.to_string());
        }
        let is_gone = self.item.contains_key("payloadKey") || self.item.contains_key("trimmed");
        Ok(if is_gone { Payload::null() } else { Payload::default() })
    }
}
