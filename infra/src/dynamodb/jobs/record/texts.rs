//! The texts of a record.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs_core::job::{BatchPlace, Blocker, BreakerName};
use lambda_jobs_core::{JobDefinition, JobRecord, JobType, Priority, Queue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dynamodb::seconds::{self, Seconds};

/// `job`: what a caller defined, apart from what has an attribute of its own. Times are in milliseconds.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Definition {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) job_type: Option<JobType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<Queue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unique_for: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) breakers: Vec<BreakerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enqueue_call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) batch: Option<BatchPlace>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) gathers: bool,
}

impl Definition {
    /// The queue of a job that names none.
    pub(super) const QUEUE: Queue = Queue::Normal;

    pub(super) fn of(record: &JobRecord) -> Self {
        let JobDefinition { spec, job_type, .. } = &record.definition;
        Self {
            job_type: Some(*job_type).filter(|own| *own != JobType::default()),
            queue: Some(record.queue).filter(|own| *own != Self::QUEUE),
            priority: Some(spec.priority).filter(|own| *own != Priority::default()),
            max_retries: spec.max_retries,
            delay: record.definition.delay.map(millis),
            run_at: record.definition.run_at.map(Seconds),
            timeout: spec.timeout.map(millis),
            tags: spec.tags.clone(),
            tenant: spec.tenant.clone(),
            unique_for: record.definition.unique_for.map(millis),
            breakers: record.definition.breakers.clone(),
            traceparent: record.definition.traceparent.clone(),
            enqueue_call: record.definition.enqueue_call.clone(),
            batch: record.definition.batch.clone(),
            gathers: record.definition.gathers,
        }
    }
}

/// The rest of `outcome`, after when the job ended and how long its last attempt took.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blocked: Option<Blocker>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) passed_over: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) dead_lettered: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) parked: bool,
}

/// `outcome`: how the last attempt ended, or why the job waits.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) completed_at: Option<DateTime<Utc>>,
    pub(super) execution_time: Option<Duration>,
    pub(super) details: Details,
}

impl Outcome {
    pub(super) fn of(record: &JobRecord) -> Self {
        Self {
            completed_at: record.completed_at,
            execution_time: record.execution_time,
            details: Details {
                note: record.note.clone(),
                blocked: record.blocked.clone(),
                passed_over: record.passed_over,
                dead_lettered: record.dead_lettered,
                parked: record.parked,
            },
        }
    }

    /// Its text; `None` if there is nothing to say.
    pub(super) fn write(&self) -> Result<Option<String>, serde_json::Error> {
        if *self == Self::default() {
            return Ok(None);
        }
        let ended = self.completed_at.map_or_else(|| "null".to_owned(), seconds::write);
        let took = self.execution_time.map_or_else(|| "null".to_owned(), |took| millis(took).to_string());
        if self.details == Details::default() {
            return Ok(Some(format!("[{ended},{took}]")));
        }
        Ok(Some(format!("[{ended},{took},{}]", serde_json::to_string(&self.details)?)))
    }

    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let parts = parts(text)?;
        let completed_at: Option<Seconds> = part(&parts, 0)?;
        let took: Option<u64> = part(&parts, 1)?;
        Ok(Self {
            completed_at: completed_at.map(|at| at.0),
            execution_time: took.map(Duration::from_millis),
            details: part(&parts, 2)?.unwrap_or_default(),
        })
    }
}

/// `run`: when the attempt began, how many seconds after that its lease ends, and whether it ran alone.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Run {
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) lease_until: Option<DateTime<Utc>>,
    pub(super) alone: bool,
}

impl Run {
    /// The start of a lease without a start.
    fn start(&self) -> DateTime<Utc> {
        self.started_at.unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Its text; `None` if there was no attempt.
    pub(super) fn write(&self) -> Option<String> {
        let start = self.started_at.map_or_else(|| "null".to_owned(), seconds::write);
        let Some(until) = self.lease_until else {
            return self.started_at.map(|_| format!("[{start}]"));
        };
        let alone = if self.alone { ",true" } else { "" };
        Some(format!("[{start},{}{alone}]", seconds::write_delta(until - self.start())))
    }

    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let parts = parts(text)?;
        let started_at: Option<Seconds> = part(&parts, 0)?;
        let run = Self {
            started_at: started_at.map(|at| at.0),
            lease_until: None,
            alone: part(&parts, 2)?.unwrap_or_default(),
        };
        let lease = parts.get(1).map(|lease| lease.get());
        Ok(Self { lease_until: lease.and_then(|lease| seconds::read_after(run.start(), lease)), ..run })
    }
}

/// `past`: counts that outlive claims.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Past {
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) failures: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) snoozes: u32,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) withdrawn: bool,
}

/// The elements of an array. A later release may write more.
pub(super) fn parts(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    serde_json::from_str(text)
}

/// An element; `None` if it is absent or `null`.
pub(super) fn part<'a, T: Deserialize<'a>>(
    parts: &[&'a RawValue],
    at: usize,
) -> Result<Option<T>, serde_json::Error> {
    parts.get(at).map_or(Ok(None), |part| serde_json::from_str(part.get()))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) const fn is_zero_bytes(bytes: &u64) -> bool {
    *bytes == 0
}
