//! What `schedules` takes.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Target;

/// Jobs that are made again and again.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// List all schedules, with their last and next occurrences.
    List {
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Make a schedule, or change the one that has this id.
    Put(Box<PutScheduleArgs>),
    /// Delete a schedule; what it made ahead of its time is cancelled.
    Delete {
        /// Its id.
        id: String,
        /// Where it is.
        #[command(flatten)]
        target: Target,
    },
    /// Show the next occurrences, and where a change of the clocks or a short month touches them.
    Preview(PreviewArgs),
    /// Enqueue the occurrences of a range that were missed; none is made twice.
    Backfill(BackfillArgs),
}

/// When a schedule has its occurrences.
#[derive(Clone, Debug, Args)]
pub struct TimesArgs {
    /// Five or six fields, seconds first where there are six: "0 8 * * 1-5" or "0 0 8 * * 1-5".
    #[arg(long, value_name = "EXPR", conflicts_with = "rate")]
    pub cron: Option<String>,
    /// An interval: "rate(5 minutes)", "rate(1 hour)", "rate(1 day)".
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// The zone whose local time a cron goes by, such as Europe/London; UTC where absent.
    #[arg(long)]
    pub zone: Option<String>,
    /// What becomes of a local time that a change of the clocks skips: skip, or next (the default).
    #[arg(long)]
    pub gap: Option<String>,
    /// What becomes of a local time that comes twice: first (the default), or both.
    #[arg(long)]
    pub repeat: Option<String>,
    /// The first instant at which it may fire, such as 2026-11-23T08:00:00Z.
    #[arg(long)]
    pub start: Option<String>,
    /// The last instant at which it may fire.
    #[arg(long)]
    pub end: Option<String>,
}

/// A schedule to make or change.
#[derive(Clone, Debug, Args)]
pub struct PutScheduleArgs {
    /// Its id; the job of an occurrence is called `<id>@<instant>`.
    pub id: String,
    /// When.
    #[command(flatten)]
    pub times: TimesArgs,
    /// The schedule as a JSON file, all of it but the id, instead of flags.
    #[arg(long, conflicts_with_all = ["cron", "rate", "job"])]
    pub file: Option<PathBuf>,
    /// The name of the job's handler.
    #[arg(long, required_unless_present = "file")]
    pub job: Option<String>,
    /// What the handler is given, as JSON.
    #[arg(long, value_parser = super::json)]
    pub payload: Option<Value>,
    /// 1 (most urgent) to 10.
    #[arg(long)]
    pub priority: Option<u64>,
    /// Retries after the first attempt.
    #[arg(long)]
    pub max_retries: Option<u64>,
    /// How long one attempt may take, such as "10s".
    #[arg(long, value_parser = millis)]
    pub timeout: Option<u64>,
    /// A word to find its jobs by; may be repeated.
    #[arg(long = "tag")]
    pub tags: Vec<String>,
    /// Whose jobs they are.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The queue, whatever the priority: high, normal, low or webhooks.
    #[arg(long)]
    pub queue: Option<String>,
    /// What becomes of an occurrence while the last one is unfinished: allow (the default), or skip.
    #[arg(long)]
    pub overlap: Option<String>,
    /// What becomes of occurrences that were missed: skip, latest (the default), or all.
    #[arg(long)]
    pub missed: Option<String>,
    /// How far back missed occurrences are made, such as "1h"; 15 days at most, and by default.
    #[arg(long, value_parser = millis)]
    pub window: Option<u64>,
    /// Keep it, and don't fire it.
    #[arg(long)]
    pub disabled: bool,
    /// Where it is kept.
    #[command(flatten)]
    pub target: Target,
}

/// Which occurrences to show.
#[derive(Clone, Debug, Args)]
pub struct PreviewArgs {
    /// A stored schedule; without it, one by --cron or --rate.
    #[arg(conflicts_with_all = ["cron", "rate", "zone", "gap", "repeat", "start", "end"])]
    pub id: Option<String>,
    /// When.
    #[command(flatten)]
    pub times: TimesArgs,
    /// From when on, such as 2027-03-27T00:00:00Z; now where absent.
    #[arg(long)]
    pub from: Option<DateTime<Utc>>,
    /// How many.
    #[arg(long, default_value_t = 10)]
    pub count: usize,
    /// Where it is kept.
    #[command(flatten)]
    pub target: Target,
}

/// Which occurrences to make.
#[derive(Clone, Debug, Args)]
pub struct BackfillArgs {
    /// The schedule.
    pub id: String,
    /// The first instant, at most 15 days ago.
    #[arg(long)]
    pub from: DateTime<Utc>,
    /// The last instant; now where absent.
    #[arg(long)]
    pub to: Option<DateTime<Utc>>,
    /// Where it is kept.
    #[command(flatten)]
    pub target: Target,
}

impl TimesArgs {
    /// The fields of the schedule's JSON that these are.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let given = [
            ("cron", &self.cron),
            ("rate", &self.rate),
            ("zone", &self.zone),
            ("gap", &self.gap),
            ("repeat", &self.repeat),
            ("start", &self.start),
            ("end", &self.end),
        ];
        let text = |(name, value): (&str, &Option<String>)| {
            value.as_ref().map(|value| (name.to_owned(), Value::from(value.as_str())))
        };
        given.into_iter().filter_map(text).collect()
    }
}

impl PutScheduleArgs {
    /// The schedule's JSON; one rule reads it, wherever a schedule comes from.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = self.times.fields();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                fields.insert(name.to_owned(), value);
            }
        };
        put("id", self.id.as_str().into());
        put("overlap", self.overlap.as_deref().into());
        put("missed", self.missed.as_deref().into());
        put("window", self.window.into());
        put("enabled", (!self.disabled).into());
        put(
            "job",
            json!({
                "name": self.job, "payload": self.payload, "priority": self.priority,
                "maxRetries": self.max_retries, "timeout": self.timeout, "tags": self.tags,
                "tenant": self.tenant, "queue": self.queue,
            }),
        );
        fields
    }
}

fn millis(text: &str) -> Result<u64, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    u64::try_from(duration.as_millis()).map_err(|error| error.to_string())
}
