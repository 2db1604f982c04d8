//! `schedules`.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::ports::StoredSchedule;
use lambda_jobs_core::schedule::{Preview, Schedule, preview};
use lambda_jobs_infra::SystemClock;
use serde_json::{Value, json};

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
    if target.json {
        output::json(&schedules.iter().map(as_json).collect::<Vec<Value>>())?;
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
            state.last.map_or_else(|| "-".to_owned(), seconds),
            state.next_at.map_or_else(|| "-".to_owned(), seconds),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn put(args: &PutScheduleArgs) -> Result<ExitCode, Failure> {
    let mut fields = match &args.file {
        None => args.fields(),
        Some(file) => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("file {}: {error}", file.display()))?;
            let read = serde_json::from_str(&text);
            read.map_err(|error| format!("file {}: expected a JSON object: {error}", file.display()))?
        }
    };
    fields.insert("id".to_owned(), args.id.as_str().into());
    let schedule = Schedule::from_json(Value::Object(fields))?;
    let (_, manager) = connect(&args.target).await?;
    let stored = manager.put_schedule(schedule).await?;
    if args.target.json {
        output::json(&as_json(&stored))?;
    } else {
        let next = stored.state.next_at.map_or_else(|| "never".to_owned(), seconds);
        output::line(&format!("{}: next {next}", stored.schedule.id))?;
    }
    warn(&preview(&stored.schedule, Utc::now(), 10));
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
    let schedule = if let Some(id) = &args.id {
        let (_, manager) = connect(&args.target).await?;
        manager.schedule(&id.parse()?).await?.schedule
    } else {
        let mut fields = args.times.fields();
        fields.insert("id".to_owned(), "preview".into());
        fields.insert("job".to_owned(), json!({ "name": "preview" }));
        Schedule::from_json(Value::Object(fields))?
    };
    let shown = preview(&schedule, args.from.unwrap_or_else(Utc::now), args.count);
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

fn as_json(stored: &StoredSchedule) -> Value {
    let mut value = Value::from(&stored.schedule);
    value["lastRun"] = stored.state.last.map(seconds).into();
    value["nextRun"] = stored.state.next_at.map(seconds).into();
    value
}

fn seconds(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
