//! `webhooks deliveries` and `webhooks attempts`.

use std::process::ExitCode;

use lambda_jobs_core::families::webhook::DeliveryPage;
use lambda_jobs_core::families::webhook::ports::{DeliveryAttempt, DeliveryQuery};
use lambda_jobs_core::paging::Page;
use serde_json::{Value, json};

use super::{Failure, service, time};
use crate::args::{DeliveriesArgs, OneDelivery};
use crate::output;

/// Lists deliveries.
pub(super) async fn list(args: &DeliveriesArgs) -> Result<ExitCode, Failure> {
    let endpoint = args.endpoint.as_ref().map(ToString::to_string);
    let query =
        DeliveryQuery { endpoint, status: args.status, limit: args.limit, cursor: args.page.cursor.clone() };
    let DeliveryPage { items, cursor, complete } = service(&args.target).await?.deliveries(&query).await?;
    if args.page.with_cursor {
        output::json(&json!({ "items": items, "cursor": cursor, "complete": complete }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !complete {
        eprintln!("looked at a part of all deliveries; --cursor continues with the others");
    }
    let Some(found) = output::page("deliveries", Page { items, cursor }, &args.page, &args.target)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if found.is_empty() {
        eprintln!("no deliveries found");
        return Ok(ExitCode::SUCCESS);
    }
    let header =
        ["delivery", "endpoint", "event", "status", "attempts", "answer", "last (utc)", "next (utc)"];
    let mut table = output::table(&[&header[..], &["error"]].concat());
    for delivery in found {
        table.add_row([
            output::plain(&delivery.id, 110),
            output::plain(delivery.webhook_id.as_deref().unwrap_or("-"), 64),
            output::plain(delivery.event_type.as_deref().unwrap_or("-"), 40),
            delivery.status.as_str().to_owned(),
            format!("{}/{}", delivery.attempt_count, delivery.max_attempts),
            or_dash(delivery.response_status.map(|status| status.to_string())),
            or_dash(delivery.last_attempt_at.map(time)),
            or_dash(delivery.next_attempt_at.filter(|_| !delivery.status.is_finished()).map(time)),
            output::plain(&delivery.last_error.unwrap_or_default(), 80),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the attempts at a delivery.
pub(super) async fn attempts(OneDelivery { id, target }: &OneDelivery) -> Result<ExitCode, Failure> {
    let attempts = service(target).await?.attempts(id).await?;
    if target.json {
        output::json(&attempts)?;
        return Ok(ExitCode::SUCCESS);
    }
    if attempts.is_empty() {
        eprintln!("{id}: no attempt yet");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["attempt", "at (utc)", "took", "status", "class", "error", "answer"]);
    for (number, attempt) in attempts.iter().enumerate() {
        table.add_row([
            (number + 1).to_string(),
            time(attempt.at),
            format!("{} ms", attempt.duration.as_millis()),
            or_dash(attempt.response_status.map(|status| status.to_string())),
            or_dash(class(attempt)),
            output::plain(attempt.error.as_deref().unwrap_or("-"), 120),
            output::plain(attempt.response_body.as_deref().unwrap_or_default(), 80),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The class of a failure, by its name in JSON.
fn class(attempt: &DeliveryAttempt) -> Option<String> {
    match serde_json::to_value(attempt.error_class).ok()? {
        Value::String(name) => Some(name),
        _ => None,
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
