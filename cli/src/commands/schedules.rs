//! `schedules`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::ports::StoredSchedule;
use lambda_jobs_core::schedule::{MAX_PREVIEW, Preview, Schedule, preview};
use lambda_jobs_core::{Invalid, Payload};
use lambda_jobs_infra::SystemClock;
use serde::Serialize;
use serde_json::json;

use super::{Failure, connect, exit};
use crate::args::{BackfillArgs, PreviewArgs, PutScheduleArgs, SchedulesCommand, Target};
use crate::output;

/// Runs a schedule command.
pub(super) async fn run(command: SchedulesCommand) -> Result<ExitCode, Failure> {
    match command {
        SchedulesCommand::List { target } => list(&target).await,
        SchedulesCommand::Put(args) => put(&args).await,
        SchedulesCommand::Delete { id, target } => delete(&id, &target).await,
        SchedulesCommand::Preview(args) => show_preview(&args).await,
        SchedulesCommand::Backfill(args) => backfill(&args).await,
    }
}

async fn list(target: &Target) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    let schedules = manager.schedules().await?;
    let now = Utc::now();
    if target.json {
        output::json(&schedules.iter().map(|stored| as_json(stored, now)).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["schedule", "when", "zone", "job", "enabled", "last", "next"]);
    for StoredSchedule { schedule, state } in &schedules {
        table.add_row([
            schedule.id.to_string(),
            schedule.cadence.to_string(),
            schedule.zone.name().to_owned(),
            output::plain(&schedule.job.spec.name, 40),
            if schedule.enabled { "yes".to_owned() } else { "no".to_owned() },
            state.last_run(schedule, now).map_or_else(|| "-".to_owned(), seconds),
            schedule.next_run(now).map_or_else(|| "-".to_owned(), seconds),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn put(args: &PutScheduleArgs) -> Result<ExitCode, Failure> {
    let schedule = match &args.file {
        None => written(&args.fields()?)?,
        Some(file) => {
            let named = |error: &dyn std::fmt::Display| format!("file {}: {error}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
            Schedule::with_id(&args.id.parse()?, &text).map_err(|error| named(&error))?
        }
    };
    let (_, manager) = connect(&args.target).await?;
    let stored = manager.put_schedule(schedule).await?;
    let now = Utc::now();
    if args.target.json {
        output::json(&as_json(&stored, now))?;
    } else {
        let next = stored.schedule.next_run(now).map_or_else(|| "never".to_owned(), seconds);
        output::line(&format!("{}: next {next}", stored.schedule.id))?;
    }
    warn(&preview(&stored.schedule, now, 10));
    Ok(ExitCode::SUCCESS)
}

async fn delete(id: &str, target: &Target) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(target).await?;
    manager.delete_schedule(&id.parse()?).await?;
    if target.json {
        output::json(&json!({ "id": id, "deleted": true }))?;
    } else {
        output::line(&format!("{id}: deleted"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_preview(args: &PreviewArgs) -> Result<ExitCode, Failure> {
    let from = args.from.unwrap_or_else(Utc::now);
    let (schedule, shown) = if let Some(id) = &args.id {
        let (_, manager) = connect(&args.target).await?;
        let (stored, shown) = manager.preview_schedule(&id.parse()?, from, args.count).await?;
        (stored.schedule, shown)
    } else {
        let mut fields = args.times.fields();
        fields.insert("id", json!("preview").into());
        fields.insert("job", json!({ "name": "preview" }).into());
        let schedule = written(&fields)?;
        let shown = preview(&schedule, from, args.count);
        (schedule, shown)
    };
    if args.target.json {
        output::json(&shown.occurrences)?;
    } else {
        let mut table = output::table(&["local", "utc", "note"]);
        for item in &shown.occurrences {
            let note = item.note.as_ref().map(ToString::to_string).unwrap_or_default();
            table.add_row([item.local.to_string(), seconds(item.utc), note]);
        }
        output::line(&table.to_string())?;
    }
    warn(&shown);
    if args.count > MAX_PREVIEW && shown.occurrences.len() == MAX_PREVIEW {
        let count = args.count;
        eprintln!(
            "warning: count: shows {MAX_PREVIEW}, the most that a preview shows, and not {count}; go on with --from"
        );
    }
    if !schedule.enabled {
        eprintln!("warning: the schedule is disabled: none of these occurrences runs while it is");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints warnings to standard error, so that a script reads the answer alone.
fn warn(shown: &Preview) {
    for warning in &shown.warnings {
        eprintln!("warning: {warning}");
    }
}

async fn backfill(args: &BackfillArgs) -> Result<ExitCode, Failure> {
    let (_, manager) = connect(&args.target).await?;
    // The manager checks it by this clock, which counts whole milliseconds.
    let to = args.to.unwrap_or_else(|| SystemClock::new().now());
    let answers = manager.backfill(&args.id.parse()?, args.from, to).await?;
    let (mut enqueued, mut duplicates, mut errors) = (Vec::new(), 0, Vec::new());
    for answer in answers {
        match answer {
            Ok(job) if job.duplicate => duplicates += 1,
            Ok(job) => enqueued.push(job.job_id.to_string()),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if args.target.json {
        output::json(&json!({ "enqueued": enqueued, "duplicates": duplicates, "errors": errors }))?;
    } else {
        enqueued.iter().try_for_each(|id| output::line(id))?;
        eprintln!("{} enqueued, {duplicates} existed already", enqueued.len());
        for error in &errors {
            eprintln!("error: {error}");
        }
    }
    Ok(exit(errors.is_empty()))
}

/// The schedule with these fields.
fn written(fields: &BTreeMap<&str, Payload>) -> Result<Schedule, Invalid> {
    Payload::of(fields)?.as_str().parse()
}

/// A schedule and its state, as they are printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(flatten)]
    schedule: &'a Schedule,
    last_run: Option<String>,
    next_run: Option<String>,
}

fn as_json(stored: &StoredSchedule, now: DateTime<Utc>) -> Listed<'_> {
    Listed {
        schedule: &stored.schedule,
        last_run: stored.state.last_run(&stored.schedule, now).map(seconds),
        next_run: stored.schedule.next_run(now).map(seconds),
    }
}

fn seconds(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
