//! What `webhooks` takes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use lambda_jobs_core::JobId;
use lambda_jobs_core::families::webhook::ports::{DeliveryStatus, Headers, Method};
use lambda_jobs_core::families::webhook::{EndpointId, EndpointSpec, RateLimit, RetrySchedule};
use serde_json::Value;

use super::Target;

/// Webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Where webhooks go.
    #[command(subcommand)]
    Endpoints(EndpointsCommand),
    /// Send an event to every endpoint that wants it; prints its deliveries and their jobs.
    Publish(PublishArgs),
    /// List deliveries, the latest first; reads the whole table.
    Deliveries(DeliveriesArgs),
    /// List the attempts at a delivery, the first first.
    Attempts(OneDelivery),
    /// Send a delivery once more that has ended, under the same id.
    Replay(OneDelivery),
    /// Send everything once more that failed at an endpoint since an instant.
    Recover(RecoverArgs),
    /// Put a delivery to a URL that is no endpoint's, and enqueue its job; prints the job's id.
    Deliver(DeliverArgs),
}

/// Endpoints.
#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// List all endpoints, without their secrets.
    List {
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Make an endpoint, or change the one that has this id: all that is not given is as by default.
    /// The secret of a new one is shown this once.
    Put(Box<PutEndpointArgs>),
    /// Forget an endpoint, and its secrets; what is still due to it is cancelled.
    Delete(OneEndpoint),
    /// Make a new secret, which is shown this once; the old one signs too until the overlap is over. At most five are in
    /// use at once.
    RotateSecret(RotateArgs),
    /// Let an endpoint get webhooks again.
    Enable(OneEndpoint),
    /// Keep webhooks from an endpoint; what is still due to it fails.
    Disable(OneEndpoint),
}

/// One endpoint.
#[derive(Clone, Debug, Args)]
pub struct OneEndpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// An endpoint to make or change.
#[derive(Clone, Debug, Args)]
pub struct PutEndpointArgs {
    /// Its id.
    pub id: EndpointId,
    /// Where its webhooks go.
    #[arg(long)]
    pub url: String,
    /// Which events it wants, such as "invoice.paid,user.*"; "*" is all.
    #[arg(long, value_name = "TYPES", value_delimiter = ',', required = true)]
    pub event_types: Vec<String>,
    /// Whose it is: it gets the events of this tenant alone.
    #[arg(long)]
    pub tenant: Option<String>,
    /// What it is, for a person to read.
    #[arg(long)]
    pub description: Option<String>,
    /// A header to send along; may be repeated. Its value is never shown again.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// How many deliveries it gets in how long, such as "100/1m".
    #[arg(long, value_name = "N/DURATION", value_parser = rate)]
    pub rate: Option<RateLimit>,
    /// When failed deliveries are tried again: short (as jobs are), or long (for three days).
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule, default_value = "short")]
    pub retry: RetrySchedule,
    /// How often a delivery is tried at most; by default 4 times by the short schedule, 10 by the long one.
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// How they are sent: POST, PUT or PATCH.
    #[arg(long, value_parser = method, default_value = "POST")]
    pub method: Method,
    /// How often a refusal (a client error) is confirmed by another try before it is believed: 0 to 10 times; twice by
    /// default.
    #[arg(long, value_name = "N")]
    pub confirmations: Option<u32>,
    /// Where it is kept.
    #[command(flatten)]
    pub target: Target,
}

/// Whose secret is replaced, and for how long the old one signs.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// The endpoint.
    #[command(flatten)]
    pub endpoint: OneEndpoint,
    /// For how long the old secret signs too, such as "1h"; "0s" ends it at once.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = overlap)]
    pub overlap: Duration,
}

/// An event to publish.
#[derive(Clone, Debug, Args)]
pub struct PublishArgs {
    /// Its type, by which endpoints choose, such as invoice.paid.
    #[arg(value_name = "TYPE")]
    pub event_type: String,
    /// What is sent, as JSON.
    #[arg(long, value_parser = super::json, default_value = "{}")]
    pub payload: Value,
    /// Whose it is.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Its id, of at most 150 bytes: publishing it twice delivers it once.
    #[arg(long)]
    pub id: Option<JobId>,
    /// How long from now it becomes due, such as "90s" or "1h 30m"; up to 366 days.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub delay: Option<Duration>,
    /// Where it goes.
    #[command(flatten)]
    pub target: Target,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Args)]
pub struct DeliveriesArgs {
    /// To this endpoint only.
    #[arg(long, value_name = "ID")]
    pub endpoint: Option<EndpointId>,
    /// Of this status only: pending, processing, delivered, failed or cancelled.
    #[arg(long, value_parser = status)]
    pub status: Option<DeliveryStatus>,
    /// At most this many.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Where they are.
    #[command(flatten)]
    pub target: Target,
}

/// One delivery.
#[derive(Clone, Debug, Args)]
pub struct OneDelivery {
    /// Its id, which its receiver knows as `webhook-id`.
    #[arg(value_name = "DELIVERY")]
    pub id: String,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// What to send once more.
#[derive(Clone, Debug, Args)]
pub struct RecoverArgs {
    /// The endpoint.
    #[command(flatten)]
    pub endpoint: OneEndpoint,
    /// From when on: an instant such as 2026-11-23T08:00:00Z, or how long ago, such as "2h".
    #[arg(long, value_name = "INSTANT|DURATION", value_parser = since)]
    pub since: DateTime<Utc>,
}

/// A delivery to make.
#[derive(Clone, Debug, Args)]
pub struct DeliverArgs {
    /// Where it goes.
    pub url: String,
    /// What is sent, as JSON.
    #[arg(long, value_parser = super::json, default_value = "{}")]
    pub payload: Value,
    /// How often it is tried at most.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=101))]
    pub max_attempts: u32,
    /// Where it is kept.
    #[command(flatten)]
    pub target: Target,
}

impl PutEndpointArgs {
    /// The endpoint that is meant. What it may be is for the core to say; headers are only taken apart.
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

/// A value may be a secret, and is in no message, not even where it is given in another way than expected.
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

/// The longest overlap: receivers that have not changed their secret by then will not.
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
