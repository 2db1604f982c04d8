//! Log lines: JSON on a function, plain text on a terminal.
//!
//! `RUST_LOG` sets levels, in all (`debug`) and by module (`info,lambda_jobs_core=debug`). Filters by span have no effect:
//! they need an engine for regular expressions.

use std::io::IsTerminal;

use lambda_jobs_core::Invalid;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::attempt_log::AttemptLogs;

/// Writes JSON lines to standard output, at level `info` unless `RUST_LOG` sets another, and logs the place of every
/// panic. Does nothing if a subscriber is set already.
pub fn init_json() {
    // A subscriber that the process set itself stays.
    if tracing::subscriber::set_global_default(json(std::io::stdout, "info")).is_ok() {
        // The default hook writes several lines of plain text. The job's own line holds the panic's message.
        std::panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            tracing::error!(location, "panicked");
        }));
        warn_of_levels("info");
    }
}

/// A subscriber that writes one JSON object a line: `timestamp`, `level`, `message` and the event's own
/// fields, and in `span` the job of a handler's own lines.
pub fn json<W>(writer: W, default_level: &str) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(LevelFilter::TRACE)
        .with_writer(writer)
        .finish()
        .with(AttemptLogs)
        .with(levels(default_level))
}

/// Writes readable lines to standard error, at this level unless `RUST_LOG` sets another.
pub fn init_terminal(default_level: &str) {
    let text = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(LevelFilter::TRACE)
        .finish()
        .with(AttemptLogs)
        .with(levels(default_level));
    if tracing::subscriber::set_global_default(text).is_ok() {
        warn_of_levels(default_level);
    }
}

fn levels(default_level: &str) -> Targets {
    let default = || default_level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    set_levels().ok().flatten().unwrap_or_else(default)
}

/// Says that `RUST_LOG` can't be read, if so.
fn warn_of_levels(default_level: &str) {
    if let Err(invalid) = set_levels() {
        tracing::warn!(error = %invalid, level = default_level, "RUST_LOG is ignored");
    }
}

fn set_levels() -> Result<Option<Targets>, Invalid> {
    std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty())
        .map(|text| parsed(&text))
        .transpose()
}

fn parsed(text: &str) -> Result<Targets, Invalid> {
    text.parse()
        .map_err(|_| Invalid::text("RUST_LOG", "levels such as debug or info,lambda_jobs_core=debug", text))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_are_set_in_all_and_by_module() {
        let levels = parsed("warn,lambda_jobs_core=debug").unwrap();
        assert!(levels.would_enable("lambda_jobs_core::processor", &Level::DEBUG));
        assert!(!levels.would_enable("lambda_jobs_core::processor", &Level::TRACE));
        assert!(!levels.would_enable("hyper", &Level::INFO));
        assert!(!parsed("off").unwrap().would_enable("hyper", &Level::ERROR));
    }

    #[test]
    fn what_is_no_level_is_refused() {
        let expected = r#"RUST_LOG: expected levels such as debug or info,lambda_jobs_core=debug, got "info,lambda_jobs_core=loud""#;
        assert_eq!(parsed("info,lambda_jobs_core=loud").unwrap_err().to_string(), expected);
    }
}
