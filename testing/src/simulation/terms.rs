//! The terms of breakers and limits, known before a history begins.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::simulation::outside::Outside;
use lambda_jobs_core::bulkhead::BulkheadTerms;
use lambda_jobs_core::limit::Rate;

/// What limits allow of the jobs of one handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// How many of one tenant run at once.
    pub(super) at_once: Option<u32>,
    /// How many of one tenant start in a time.
    pub(super) rate: Option<Rate>,
}

/// Known before the history begins.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// When the history begins.
    pub(super) start: DateTime<Utc>,
    pub(super) outside: Outside,
    /// Whether anything but time may keep a job waiting.
    pub(super) has_breakers: bool,
    /// By how much clocks may differ.
    pub(super) skew: Duration,
    /// How soon who waits for a breaker has to start once its dependency is well, where that is judged.
    pub(super) recovery: Option<Duration>,
    /// How many failures open the breaker of each dependency, and within which time, where that is judged.
    pub(super) thresholds: Vec<Option<(u32, Duration)>>,
    /// How many batches call each dependency that does not answer promptly, where that is bounded.
    pub(super) bulkheads: Vec<Option<BulkheadTerms>>,
    /// What is allowed of the jobs of each handler that has limits.
    pub(super) allowed: HashMap<&'static str, Allowed>,
}
