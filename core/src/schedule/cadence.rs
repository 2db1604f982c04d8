//! How often: a cron expression or a rate.

use std::fmt;
use std::str::FromStr;

use super::{Cron, Interval};
use crate::invalid::Invalid;

/// When a schedule fires.
///
/// ```
/// use lambda_jobs_core::schedule::Cadence;
///
/// assert!(matches!("0 0 8 * * *".parse()?, Cadence::Cron(_)));
/// assert!(matches!("rate(5 minutes)".parse()?, Cadence::Rate(_)));
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// At the local times that match.
    Cron(Box<Cron>),
    /// At a fixed interval, counted from the schedule's start, or from 1970 if it has none.
    Rate(Interval),
}

impl FromStr for Cadence {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.trim_start().starts_with("rate(") {
            text.parse().map(Self::Rate)
        } else {
            text.parse().map(Box::new).map(Self::Cron)
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => cron.fmt(f),
            Self::Rate(interval) => write!(f, "rate({interval})"),
        }
    }
}
