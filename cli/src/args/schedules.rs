//! The arguments of `schedules`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use lambda_jobs_core::Payload;
use serde::Serialize;
use serde_json::Value;

use super::{PayloadSource, Target};

/// The schedule commands.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// List all schedules, with their last and next occurrences.
    List {
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Create a schedule, or replace the one with this id.
    Put(Box<PutScheduleArgs>),
    /// Delete a schedule, and cancel the jobs that it enqueued ahead of time.
    Delete {
        /// The schedule's id.
        id: String,
        /// Where it is.
        #[command(flatten)]
        target: Target,
    },
    /// Show the next occurrences, and those that a clock change or a short month moves or skips.
    Preview(PreviewArgs),
    /// Enqueue the missed occurrences of a time range; none is enqueued twice.
    Backfill(BackfillArgs),
}

/// When a schedule fires.
#[derive(Clone, Debug, Args)]
pub struct TimesArgs {
    /// A cron expression of five fields, or six with seconds first: "0 8 * * 1-5" or "0 0 8 * * 1-5".
    #[arg(long, value_name = "EXPR", conflicts_with = "rate")]
    pub cron: Option<String>,
    /// An interval, such as "rate(5 minutes)", "rate(1 hour)" or "rate(1 day)".
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// The time zone of the cron expression, such as Europe/London; by default UTC.
    #[arg(long)]
    pub zone: Option<String>,
    /// When a clock change skips a local time: skip the occurrence, or fire at the next valid time (next, the default).
    #[arg(long)]
    pub gap: Option<String>,
    /// When a clock change repeats a local time: fire at the first (the default), or at both.
    #[arg(long)]
    pub repeat: Option<String>,
    /// Fire no earlier than this time, such as 2026-11-23T08:00:00Z.
    #[arg(long)]
    pub start: Option<String>,
    /// Fire no later than this time.
    #[arg(long)]
    pub end: Option<String>,
}

/// The options that a file replaces.
const FIELDS: [&str; 18] = [
    "cron",
    "rate",
    "zone",
    "gap",
    "repeat",
    "start",
    "end",
    "job",
    "payload",
    "priority",
    "max_retries",
    "timeout",
    "tags",
    "tenant",
    "queue",
    "overlap",
    "missed",
    "window",
];

/// A schedule to create or replace.
#[derive(Clone, Debug, Args)]
pub struct PutScheduleArgs {
    /// The schedule's id. Each occurrence enqueues a job with the id `<id>@<instant>`.
    pub id: String,
    /// When it fires.
    #[command(flatten)]
    pub times: TimesArgs,
    /// Read the whole schedule, except the id, from this JSON file instead of flags.
    #[arg(long, conflicts_with_all = FIELDS)]
    pub file: Option<PathBuf>,
    /// The name of the handler that runs its jobs.
    #[arg(long, required_unless_present = "file")]
    pub job: Option<String>,
    /// The input of the handler, as JSON; @FILE reads it from a file, and - from standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub payload: Option<PayloadSource>,
    /// The priority of its jobs, from 1 (most urgent) to 10.
    #[arg(long)]
    pub priority: Option<u64>,
    /// How often a job is retried. By default the handler decides, then the settings.
    #[arg(long)]
    pub max_retries: Option<u64>,
    /// The timeout of one attempt, such as "10s". By default the handler decides, then the settings.
    #[arg(long, value_parser = millis)]
    pub timeout: Option<u64>,
    /// A tag of its jobs; may be repeated.
    #[arg(long = "tag")]
    pub tags: Vec<String>,
    /// The tenant that its jobs belong to.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The queue of its jobs: high, normal, low or webhooks. By default the priority decides.
    #[arg(long)]
    pub queue: Option<String>,
    /// When the last occurrence is unfinished: allow another (the default), or skip it.
    #[arg(long)]
    pub overlap: Option<String>,
    /// Which missed occurrences to enqueue afterwards: none (skip), the latest (the default), or all.
    #[arg(long)]
    pub missed: Option<String>,
    /// How far back to enqueue missed occurrences, such as "1h"; at most 15 days, which is the default.
    #[arg(long, value_parser = millis)]
    pub window: Option<u64>,
    /// Store the schedule without firing it.
    #[arg(long, conflicts_with = "file")]
    pub disabled: bool,
    /// Where to find it.
    #[command(flatten)]
    pub target: Target,
}

/// Which occurrences to show.
#[derive(Clone, Debug, Args)]
pub struct PreviewArgs {
    /// The id of a stored schedule. Without it, give --cron or --rate.
    #[arg(conflicts_with_all = ["cron", "rate", "zone", "gap", "repeat", "start", "end"])]
    pub id: Option<String>,
    /// When it fires.
    #[command(flatten)]
    pub times: TimesArgs,
    /// Show occurrences from this time on, such as 2027-03-27T00:00:00Z; by default from now.
    #[arg(long)]
    pub from: Option<DateTime<Utc>>,
    /// How many occurrences to show, at most 1000.
    #[arg(long, default_value_t = 10)]
    pub count: usize,
    /// Where to find it.
    #[command(flatten)]
    pub target: Target,
}

/// Which occurrences to enqueue.
#[derive(Clone, Debug, Args)]
pub struct BackfillArgs {
    /// The schedule's id.
    pub id: String,
    /// The begin of the range, at most 15 days ago.
    #[arg(long)]
    pub from: DateTime<Utc>,
    /// The end of the range; by default now.
    #[arg(long)]
    pub to: Option<DateTime<Utc>>,
    /// Where to find it.
    #[command(flatten)]
    pub target: Target,
}

impl TimesArgs {
    /// These options as fields of a schedule's JSON.
    pub(crate) fn fields(&self) -> BTreeMap<&'static str, Payload> {
        let given = [
            ("cron", &self.cron),
            ("rate", &self.rate),
            ("zone", &self.zone),
            ("gap", &self.gap),
            ("repeat", &self.repeat),
            ("start", &self.start),
            ("end", &self.end),
        ];
        let text = |(name, value): (&'static str, &Option<String>)| {
            value.as_ref().map(|value| (name, Value::from(value.as_str()).into()))
        };
        given.into_iter().filter_map(text).collect()
    }
}

impl PutScheduleArgs {
    /// The schedule's JSON. Core reads and checks it, as it does for a schedule from a file.
    pub(crate) fn fields(&self) -> Result<BTreeMap<&'static str, Payload>, String> {
        let mut fields = self.times.fields();
        let mut put = |name, value: Value| {
            if !value.is_null() {
                fields.insert(name, value.into());
            }
        };
        put("id", self.id.as_str().into());
        put("overlap", self.overlap.as_deref().into());
        put("missed", self.missed.as_deref().into());
        put("window", self.window.into());
        put("enabled", (!self.disabled).into());
        let job = Payload::of(&self.job_fields()?).map_err(|error| error.to_string())?;
        fields.insert("job", job);
        Ok(fields)
    }

    fn job_fields(&self) -> Result<JobFields<'_>, String> {
        Ok(JobFields {
            name: self.job.as_deref(),
            payload: self.payload.as_ref().map(PayloadSource::read).transpose()?,
            priority: self.priority,
            max_retries: self.max_retries,
            timeout: self.timeout,
            tags: &self.tags,
            tenant: self.tenant.as_deref(),
            queue: self.queue.as_deref(),
        })
    }
}

/// The JSON of a schedule's job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobFields<'a> {
    name: Option<&'a str>,
    payload: Option<Payload>,
    priority: Option<u64>,
    max_retries: Option<u64>,
    timeout: Option<u64>,
    tags: &'a [String],
    tenant: Option<&'a str>,
    queue: Option<&'a str>,
}

fn millis(text: &str) -> Result<u64, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    u64::try_from(duration.as_millis()).map_err(|error| error.to_string())
}
