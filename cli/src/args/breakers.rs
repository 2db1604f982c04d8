//! What `breakers` takes.

use clap::{Args, Subcommand};
use lambda_jobs_core::job::BreakerName;

use super::Target;

/// Breakers.
#[derive(Debug, Subcommand)]
pub enum BreakersCommand {
    /// List those that have ever opened or counted a failure, with what each stands at.
    List {
        /// Where they are.
        #[command(flatten)]
        target: Target,
    },
    /// Open one: no calls are made and its jobs wait, until `close` or `reset`.
    Open(OneBreaker),
    /// Close one: calls are made whatever fails, until `open` or `reset`.
    Close(OneBreaker),
    /// Close one, and let it open by itself again.
    Reset(OneBreaker),
}

/// One breaker.
#[derive(Clone, Debug, Args)]
pub struct OneBreaker {
    /// Its name, such as webhook-example.com.
    pub name: BreakerName,
    /// Where it is.
    #[command(flatten)]
    pub target: Target,
}
