//! Log lines: JSON on a function, plain text on a terminal.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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
        .with_env_filter(filter(default_level))
        .with_writer(writer)
        .finish()
}

/// Writes readable lines to standard error, at this level unless `RUST_LOG` sets another.
pub fn init_terminal(default_level: &str) {
    let text = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter(default_level))
        .finish();
    let _ = tracing::subscriber::set_global_default(text);
}

fn filter(default_level: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level))
}
