//! Log lines as JSON on a function, for people on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Writes JSON lines to standard output, at level `info` unless `RUST_LOG` says otherwise. Does nothing
/// where a subscriber is set already.
pub fn init_json() {
    let json = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_env_filter(filter())
        .finish();
    // Somebody else's subscriber stays: theirs is the process.
    let _ = tracing::subscriber::set_global_default(json);
}

/// Writes readable lines to standard error, at level `warn` unless `RUST_LOG` says otherwise.
pub fn init_terminal(default_level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level));
    let text = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter)
        .finish();
    let _ = tracing::subscriber::set_global_default(text);
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))
}
