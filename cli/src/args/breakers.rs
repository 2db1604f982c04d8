//! The arguments of `breakers`.

use clap::{Args, Subcommand};
use lambda_jobs_core::job::BreakerName;

use super::Target;

/// The breaker commands.
#[derive(Debug, Subcommand)]
pub enum BreakersCommand {
    /// List every breaker that has opened, counted a failure or holds its calls, with its state and counts.
    List {
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Open a breaker: its jobs wait, and make no calls, until `close` or `reset`.
    Open(OneBreaker),
    /// Close a breaker: its jobs run, however many calls fail, until `open` or `reset`.
    Close(KnownBreaker),
    /// Close a breaker, and let it open again on failures.
    Reset(OneBreaker),
}

/// One breaker.
#[derive(Clone, Debug, Args)]
pub struct OneBreaker {
    /// The breaker's name, such as webhook-example.com, or webhook-example.com:8443 for a port that is not the scheme's
    /// own.
    pub name: BreakerName,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}

/// One breaker that should exist.
#[derive(Clone, Debug, Args)]
pub struct KnownBreaker {
    /// Which one.
    #[command(flatten)]
    pub breaker: OneBreaker,
    /// Do it even if no breaker of this name has counted a failure yet.
    #[arg(long)]
    pub even_if_unknown: bool,
}
