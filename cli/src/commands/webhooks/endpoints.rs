//! `webhooks endpoints`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use lambda_jobs_core::families::webhook::{Disabled, DisabledReason, EndpointView, WebhookError};
use serde_json::json;

use super::{Failure, service, time};
use crate::args::{EndpointsCommand, OneEndpoint, PutEndpointArgs, RotateArgs, Target};
use crate::output;

/// Runs an endpoint command.
pub(super) async fn run(command: EndpointsCommand) -> Result<ExitCode, Failure> {
    match command {
        EndpointsCommand::List { target } => list(&target).await,
        EndpointsCommand::Put(args) => put(&args).await,
        EndpointsCommand::Delete(args) => delete(&args).await,
        EndpointsCommand::RotateSecret(args) => rotate(&args).await,
        EndpointsCommand::Enable(OneEndpoint { id, target }) => {
            let enabled = service(&target).await?.enable(&id).await?;
            report(&enabled, &target)
        }
        EndpointsCommand::Disable(OneEndpoint { id, target }) => {
            let disabled = service(&target).await?.disable(&id).await?;
            report(&disabled, &target)
        }
    }
}

async fn list(target: &Target) -> Result<ExitCode, Failure> {
    let endpoints = service(target).await?.endpoints().await?;
    if target.json {
        output::json(&endpoints)?;
        return Ok(ExitCode::SUCCESS);
    }
    if endpoints.is_empty() {
        eprintln!("no endpoints; make one with: lambda-jobs webhooks endpoints put");
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["endpoint", "url", "event types", "tenant", "state", "failing since (utc)", "secrets"];
    let mut table = output::table(&header);
    for endpoint in endpoints {
        table.add_row([
            endpoint.id.to_string(),
            output::plain(&endpoint.spec.url.to_string(), 60),
            output::plain(&endpoint.spec.event_types.join(","), 40),
            output::plain(endpoint.spec.tenant.as_deref().unwrap_or("-"), 30),
            state(endpoint.disabled.as_ref()),
            since(endpoint.failing_since),
            endpoint.secrets.to_string(),
        ]);
    }
    output::line(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn put(args: &PutEndpointArgs) -> Result<ExitCode, Failure> {
    let spec = args.spec()?;
    // Before connecting, so that a mistake is reported even without a connection.
    spec.check().map_err(WebhookError::from)?;
    let endpoint = service(&args.target).await?.put_endpoint(&args.id, spec).await?;
    report(&endpoint, &args.target)
}

async fn rotate(args: &RotateArgs) -> Result<ExitCode, Failure> {
    let OneEndpoint { id, target } = &args.endpoint;
    let endpoint = service(target).await?.rotate_secret(id, Some(args.overlap)).await?;
    report(&endpoint, target)?;
    if !target.json {
        let overlap = humantime::format_duration(args.overlap);
        eprintln!("requests are signed with the old secret too, for {overlap}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn delete(OneEndpoint { id, target }: &OneEndpoint) -> Result<ExitCode, Failure> {
    service(target).await?.delete(id).await?;
    if target.json {
        output::json(&json!({ "id": id, "deleted": true }))?;
    } else {
        output::line(&format!("{id}: deleted"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(endpoint: &EndpointView, target: &Target) -> Result<ExitCode, Failure> {
    if target.json {
        output::json(endpoint)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (id, state) = (&endpoint.id, state(endpoint.disabled.as_ref()));
    let types = output::plain(&endpoint.spec.event_types.join(","), 300);
    let url = output::plain(&endpoint.spec.url.to_string(), 300);
    output::line(&format!("{id}: {types} to {url}, {state}"))?;
    if let Some(secret) = &endpoint.secret {
        output::line(&format!("secret: {}", secret.reveal()))?;
        output::line("This secret is not shown again: give it to the receiver now.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn state(disabled: Option<&Disabled>) -> String {
    let Some(Disabled { at, reason }) = disabled else { return "enabled".to_owned() };
    let why = match reason {
        DisabledReason::Operator => "by an operator",
        DisabledReason::Gone => "the receiver answered 410 Gone",
        DisabledReason::Failing => "every delivery failed",
    };
    format!("disabled since {} UTC: {why}", time(*at))
}

fn since(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), time)
}
