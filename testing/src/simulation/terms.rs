//! The terms of breakers and limits, known before a history begins.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::simulation::outside::Outside;
use lambda_jobs_core::bulkhead::BulkheadTerms;
use lambda_jobs_core::limit::Rate;

/// The limits on the jobs of one handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// How many jobs of one tenant may run at once.
    pub(super) at_once: Option<u32>,
    /// How many jobs of one tenant may start within a period.
    pub(super) rate: Option<Rate>,
}

/// Known before the history begins.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// When the history begins.
    pub(super) start: DateTime<Utc>,
    pub(super) outside: Outside,
    /// Whether anything except time may keep a job waiting.
    pub(super) has_breakers: bool,
    /// By how much clocks may differ.
    pub(super) skew: Duration,
    /// How soon a job that waits for a breaker must start once its dependency is healthy, if that is checked.
    pub(super) recovery: Option<Duration>,
    /// Whether there are no faults, so that everything has to happen in time.
    pub(super) is_quiet: bool,
    /// How many failures open each dependency's breaker, and within which window, if nothing else opens it.
    pub(super) thresholds: Vec<Option<(u32, Duration)>>,
    /// The bulkhead of each dependency: how many batches may call it while it is slow, if bounded.
    pub(super) bulkheads: Vec<Option<BulkheadTerms>>,
    /// The limits on the jobs of each handler that has limits.
    pub(super) allowed: HashMap<&'static str, Allowed>,
}
