//! The arguments of `webhooks`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use lambda_jobs_core::JobId;
use lambda_jobs_core::families::webhook::ports::{DeliveryStatus, Headers, Method};
use lambda_jobs_core::families::webhook::{EndpointId, EndpointSpec, RateLimit, RetrySchedule, WebhookUrl};

use super::{PageArgs, PayloadSource, Target};

/// The webhook commands.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Manage endpoints: the URLs that receive webhooks.
    #[command(subcommand)]
    Endpoints(EndpointsCommand),
    /// Send an event to every endpoint that wants it. Prints each delivery and its job.
    Publish(PublishArgs),
    /// List deliveries, latest first, among 10,000 stored items at a time.
    Deliveries(DeliveriesArgs),
    /// List the attempts of a delivery, earliest first.
    Attempts(OneDelivery),
    /// Send a finished delivery again, under the same id.
    Replay(OneDelivery),
    /// Send again all deliveries to an endpoint that failed since a given time.
    Recover(RecoverArgs),
    /// Send one webhook to any URL, without an endpoint. Prints the job's id.
    Deliver(DeliverArgs),
}

/// The endpoint commands.
#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// List all endpoints, without their secrets.
    List {
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Create an endpoint, or replace the one with this id. Options that you leave out get their defaults. The command
    /// prints the secret of a new endpoint, and never shows it again.
    Put(Box<PutEndpointArgs>),
    /// Delete an endpoint and its secrets, and cancel its open deliveries.
    Delete(OneEndpoint),
    /// Create a new secret for an endpoint. The command prints it, and never shows it again. The old secret signs too
    /// until the overlap ends. An endpoint has at most five secrets at once.
    RotateSecret(RotateArgs),
    /// Send webhooks to a disabled endpoint again.
    Enable(OneEndpoint),
    /// Stop sending webhooks to an endpoint. Its open deliveries fail.
    Disable(OneEndpoint),
}

/// One endpoint.
#[derive(Clone, Debug, Args)]
pub struct OneEndpoint {
    /// The endpoint's id.
    pub id: EndpointId,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// An endpoint to create or replace.
#[derive(Clone, Debug, Args)]
pub struct PutEndpointArgs {
    /// The endpoint's id.
    pub id: EndpointId,
    /// The URL that receives the webhooks.
    #[arg(long)]
    pub url: WebhookUrl,
    /// The event types to send, such as "invoice.paid,user.*"; "*" means all.
    #[arg(long, value_name = "TYPES", value_delimiter = ',', required = true)]
    pub event_types: Vec<String>,
    /// Send only events of this tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// A description for people.
    #[arg(long)]
    pub description: Option<String>,
    /// An HTTP header to add to each request; may be repeated. Its value is never shown again.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// The most deliveries in a time, such as "100/1m".
    #[arg(long, value_name = "N/DURATION", value_parser = rate)]
    pub rate: Option<RateLimit>,
    /// How to retry failed deliveries: short (like jobs), or long (for three days).
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule, default_value = "short")]
    pub retry: RetrySchedule,
    /// The most attempts of a delivery; by default 4 for short, 10 for long.
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// The HTTP method: POST, PUT or PATCH.
    #[arg(long, value_parser = method, default_value = "POST")]
    pub method: Method,
    /// How many further attempts must confirm a refusal (a 4xx answer) before the delivery fails, 0 to 10; by default
    /// 2.
    #[arg(long, value_name = "N")]
    pub confirmations: Option<u32>,
    /// Where to find it.
    #[command(flatten)]
    pub target: Target,
}

/// An endpoint, and how long its old secret signs.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// The endpoint.
    #[command(flatten)]
    pub endpoint: OneEndpoint,
    /// How long the old secret signs too, such as "1h"; "0s" ends it now.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = overlap)]
    pub overlap: Duration,
}

/// An event to publish.
#[derive(Clone, Debug, Args)]
pub struct PublishArgs {
    /// The event's type, such as invoice.paid.
    #[arg(value_name = "TYPE")]
    pub event_type: String,
    /// The body to send, as JSON; @FILE reads it from a file, and - from standard input.
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    pub payload: PayloadSource,
    /// The tenant that the event belongs to.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The event's id, at most 150 bytes. Publishing the same id twice delivers once. By default a new id.
    #[arg(long)]
    pub id: Option<JobId>,
    /// Deliver after this time, such as "90s" or "1h 30m"; at most 366 days.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
    /// Where to publish it.
    #[command(flatten)]
    pub target: Target,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Args)]
pub struct DeliveriesArgs {
    /// List deliveries to this endpoint only.
    #[arg(long, value_name = "ID")]
    pub endpoint: Option<EndpointId>,
    /// List deliveries of this status only: pending, processing, delivered, failed or cancelled.
    #[arg(long, value_parser = status)]
    pub status: Option<DeliveryStatus>,
    /// The most deliveries to list.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Which page to show.
    #[command(flatten)]
    pub page: PageArgs,
    /// Where they are.
    #[command(flatten)]
    pub target: Target,
}

/// One delivery.
#[derive(Clone, Debug, Args)]
pub struct OneDelivery {
    /// The delivery's id, which its receiver gets as the header `webhook-id`.
    #[arg(value_name = "DELIVERY")]
    pub id: String,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// What to send again.
#[derive(Clone, Debug, Args)]
pub struct RecoverArgs {
    /// The endpoint.
    #[command(flatten)]
    pub endpoint: OneEndpoint,
    /// A time such as 2026-11-23T08:00:00Z, or how long ago, such as "2h".
    #[arg(long, value_name = "INSTANT|DURATION", value_parser = since)]
    pub since: DateTime<Utc>,
}

/// A webhook to send.
#[derive(Clone, Debug, Args)]
pub struct DeliverArgs {
    /// The URL to send to.
    pub url: WebhookUrl,
    /// The body to send, as JSON; @FILE reads it from a file, and - from standard input.
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    pub payload: PayloadSource,
    /// The most attempts.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=101))]
    pub max_attempts: u32,
    /// Where to find it.
    #[command(flatten)]
    pub target: Target,
}

impl PutEndpointArgs {
    /// The endpoint that these options describe. This splits the headers; core checks everything else.
    pub(crate) fn spec(&self) -> Result<EndpointSpec, String> {
        let given = self.clone();
        Ok(EndpointSpec {
            url: given.url,
            event_types: given.event_types,
            tenant: given.tenant,
            description: given.description,
            method: given.method,
            headers: headers(&given.headers)?,
            rate_limit: given.rate,
            retry: given.retry,
            max_attempts: given.max_attempts,
            confirmations: given.confirmations,
        })
    }
}

/// A value may be a secret, so no message quotes one, even if its header is malformed.
fn headers(given: &[String]) -> Result<Headers, String> {
    let mut headers = Headers::new();
    for header in given {
        let Some((name, value)) = header.split_once('=') else {
            let name = header.split([':', ' ']).next().unwrap_or_default();
            return Err(format!("header: expected NAME=VALUE, got {name:?} without a value"));
        };
        let is_known = headers.keys().any(|known: &String| known.eq_ignore_ascii_case(name));
        if is_known {
            return Err(format!("header: expected each name once, got {name:?} again"));
        }
        headers.insert(name.to_owned(), value.to_owned());
    }
    Ok(headers)
}

fn rate(text: &str) -> Result<RateLimit, String> {
    let read = || {
        let (deliveries, per) = text.split_once('/')?;
        Some(RateLimit { deliveries: deliveries.parse().ok()?, per: humantime::parse_duration(per).ok()? })
    };
    let limit =
        read().ok_or_else(|| format!("rate: expected N/DURATION, such as \"100/1m\", got {text:?}"))?;
    limit.rate().map_err(|error| error.to_string())?;
    Ok(limit)
}

fn schedule(text: &str) -> Result<RetrySchedule, String> {
    match text {
        "short" => Ok(RetrySchedule::Short),
        "long" => Ok(RetrySchedule::Long),
        _ => Err(format!("retry: expected short or long, got {text:?}")),
    }
}

fn method(text: &str) -> Result<Method, String> {
    match text.to_ascii_uppercase().as_str() {
        "POST" => Ok(Method::Post),
        "PUT" => Ok(Method::Put),
        "PATCH" => Ok(Method::Patch),
        _ => Err(format!("method: expected POST, PUT or PATCH, got {text:?}")),
    }
}

fn status(text: &str) -> Result<DeliveryStatus, String> {
    use DeliveryStatus::{Cancelled, Delivered, Failed, Pending, Processing};
    let all = [Pending, Processing, Delivered, Failed, Cancelled];
    all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        format!("status: expected pending, processing, delivered, failed or cancelled, got {text:?}")
    })
}

/// The longest overlap. A receiver that has not changed its secret by then never will.
const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

fn overlap(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(overlap) if overlap <= LONGEST_OVERLAP => Ok(overlap),
        _ => Err(format!("overlap: expected a duration of at most 30 days, such as \"24h\", got {text:?}")),
    }
}

fn since(text: &str) -> Result<DateTime<Utc>, String> {
    let ago = || {
        let ago = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
        Utc::now().checked_sub_signed(ago)
    };
    let instant = text.parse::<DateTime<Utc>>().ok();
    instant.or_else(ago).ok_or_else(|| {
        format!(
            "since: expected an instant such as 2026-11-23T08:00:00Z, or how long ago, such as \"2h\", got {text:?}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        let per = Duration::from_secs(90);
        assert_eq!(rate("10/1m 30s"), Ok(RateLimit { deliveries: 10, per }));
        for wrong in ["10", "10/", "/1s", "10/s", "-1/1s", "1.5/1s"] {
            let expected = format!("rate: expected N/DURATION, such as \"100/1m\", got {wrong:?}");
            assert_eq!(rate(wrong), Err(expected));
        }
        let refused = rate("0/1s").unwrap_err();
        assert!(refused.starts_with("rateLimit: expected a rate, got "), "{refused}");
        assert!(refused.contains("expected 1 to 100000 jobs, got 0"), "{refused}");
    }

    #[test]
    fn headers_are_taken_apart_and_no_value_is_ever_shown() {
        let of = |given: &[&str]| headers(&given.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        let read = of(&["X-Key=a=b", "X-Empty="]).unwrap();
        assert_eq!((read["X-Key"].as_str(), read["X-Empty"].as_str()), ("a=b", ""));
        let wrong = of(&["Authorization: Bearer s3cret"]);
        assert_eq!(
            wrong,
            Err("header: expected NAME=VALUE, got \"Authorization\" without a value".to_owned())
        );
        let twice = of(&["X-Key=s3cret", "x-key=other"]);
        assert_eq!(twice, Err("header: expected each name once, got \"x-key\" again".to_owned()));
    }

    #[test]
    fn since_is_an_instant_or_how_long_ago() {
        let instant = since("2026-11-23T08:00:00+01:00").unwrap();
        assert_eq!(instant.to_rfc3339(), "2026-11-23T07:00:00+00:00");
        let now = Utc::now();
        assert!(since("2h").unwrap() <= now - TimeDelta::hours(1));
        let refused = since("yesterday").unwrap_err();
        assert!(
            refused.starts_with("since: expected an instant") && refused.ends_with("got \"yesterday\""),
            "{refused}"
        );
        assert!(since("99999999999 years").is_err());
    }

    #[test]
    fn every_choice_names_what_was_expected() {
        assert_eq!(schedule("long"), Ok(RetrySchedule::Long));
        assert_eq!(schedule("Long"), Err("retry: expected short or long, got \"Long\"".to_owned()));
        assert_eq!(method("patch"), Ok(Method::Patch));
        assert_eq!(method("GET"), Err("method: expected POST, PUT or PATCH, got \"GET\"".to_owned()));
        assert_eq!(status("failed"), Ok(DeliveryStatus::Failed));
        let expected = "status: expected pending, processing, delivered, failed or cancelled, got \"lost\"";
        assert_eq!(status("lost"), Err(expected.to_owned()));
        assert_eq!(overlap("0s"), Ok(Duration::ZERO));
        let expected = "overlap: expected a duration of at most 30 days, such as \"24h\", got \"1y\"";
        assert_eq!(overlap("1y"), Err(expected.to_owned()));
    }
}
