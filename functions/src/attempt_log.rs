//! What a handler says through `tracing`, in the log of its attempt.
//!
//! A worker runs several jobs at once, and an event does not say whose it is. But core polls one job at a time on a
//! thread, and its observer learns which. So an event belongs to the job whose poll its thread is in. What the handler's
//! spawned tasks say is not the attempt's: use [`JobContext::log`](lambda_jobs_core::JobContext::log) there.
//!
//! A value is written as the function's own log line writes it, so what hides in its `Debug` or `Display` form is hidden
//! here too.

use std::cell::RefCell;
use std::fmt::{self, Write};

use lambda_jobs_core::JobId;
use lambda_jobs_core::handler::JobLog;
use lambda_jobs_core::processor::RunObserver;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::watchdog::Watchdog;

/// The crates whose events are not a handler's own, with those whose names go on after an underscore: this project's, and
/// the clients beneath it. Those tell of requests and responses, which may hold secrets.
const OTHERS: [&str; 11] = [
    "lambda_jobs",
    "lambda_runtime",
    "aws",
    "h2",
    "hyper",
    "mio",
    "reqwest",
    "rustls",
    "tokio",
    "tower",
    "want",
];

/// Whether an event is a handler's own.
fn is_own(target: &str) -> bool {
    let own = target.split("::").next().unwrap_or_default();
    let is_of =
        |other: &str| own.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    !OTHERS.iter().any(|other| is_of(other))
}

thread_local! {
    /// The log of the job that this thread polls.
    static POLLED: RefCell<Option<JobLog>> = const { RefCell::new(None) };
}

/// Adds events to the log of the attempt that they come from, if the worker's settings say so. Workers that
/// [`run_worker`](crate::run_worker) runs have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttemptLogs;

impl<S: Subscriber> Layer<S> for AttemptLogs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = POLLED.with_borrow(Clone::clone) else { return };
        let meta = event.metadata();
        if !is_own(meta.target()) {
            return;
        }
        let mut line = Line(meta.level().to_string());
        event.record(&mut line);
        log.add(&line.0);
    }
}

/// An event on one line: its level, its message, and its fields as `name=value`.
struct Line(String);

impl Line {
    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a text fails only if the value's own code does; what it wrote stays.
        let _ = match field.name() {
            "message" => write!(self.0, " {value}"),
            name => write!(self.0, " {name}={value}"),
        };
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.push(field, format_args!("{value}"));
    }
}

/// What a worker's processor reports its polls to.
pub(crate) struct Observer {
    pub(crate) watchdog: Watchdog,
    /// Whether attempts log what their handlers say through `tracing`.
    pub(crate) logs: bool,
}

impl RunObserver for Observer {
    fn entered(&self, job: &JobId, name: &str) {
        self.watchdog.entered(job, name);
    }

    fn logs_to(&self, log: &JobLog) {
        if self.logs {
            POLLED.set(Some(log.clone()));
        }
    }

    fn left(&self) {
        POLLED.set(None);
        self.watchdog.left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_not_the_handlers() {
        for client in
            ["aws_smithy_runtime::client", "hyper_util::client", "rustls::conn", "lambda_jobs_infra"]
        {
            assert!(!is_own(client), "{client}");
        }
        assert!(is_own("my_handlers::mail") && is_own("wanted"));
    }
    use crate::logging;
    use crate::watchdog::OnBlocked;
    use lambda_jobs_core::families::webhook::{WebhookSecret, WebhookUrl};

    /// What a job's log gets from a poll in which a handler says something.
    fn said(logs: bool, say: impl FnOnce()) -> String {
        let observer = Observer { watchdog: Watchdog::start(OnBlocked::Report).unwrap(), logs };
        let log = JobLog::default();
        tracing::subscriber::with_default(logging::json(std::io::sink, "info"), || {
            tracing::info!("before the poll");
            observer.entered(&"job-1".parse().unwrap(), "talks");
            observer.logs_to(&log);
            say();
            observer.left();
            tracing::info!("after the poll");
        });
        log.take().text
    }

    #[test]
    fn what_a_handler_says_while_it_is_polled_is_in_its_log() {
        let say = || {
            tracing::info!(target: "my_handler", rows = 7, name = "a b", "imported");
            tracing::debug!(target: "my_handler", "too quiet for the level");
            let error = std::io::Error::other("no date");
            tracing::warn!(target: "my_handler", error = &error as &dyn std::error::Error, "left out");
            tracing::warn!(target: "lambda_jobs_core::protection", "not the handler's own");
        };
        assert_eq!(said(true, say), "INFO imported rows=7 name=\"a b\"\nWARN left out error=no date\n");
    }

    #[test]
    fn nothing_of_it_is_kept_unless_the_setting_says_so() {
        assert_eq!(said(false, || tracing::info!(target: "my_handler", "imported")), "");
    }

    #[test]
    fn what_is_masked_in_a_log_line_is_masked_here() {
        let secret = WebhookSecret::of(&[7; 32]);
        let url: WebhookUrl = WebhookUrl::from("https://hooks.example/token-1?key=token-2");
        let text = said(true, || {
            tracing::info!(target: "my_handler", ?secret, %url, again = ?url, "sending");
        });
        assert!(
            text.contains("secret=WebhookSecret(...)") && text.contains("url=https://hooks.example/"),
            "{text}"
        );
        assert!(!text.contains("token") && !text.contains(secret.reveal()), "{text}");
    }
}
