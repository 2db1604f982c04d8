//! When a breaker opens, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::trip::{Share, Trip};
use crate::bulkhead::BulkheadTerms;
use crate::invalid::Invalid;
use crate::job::millis;

/// When a breaker opens, and how it recovers. A value is always valid.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::breaker::BreakerPolicy;
///
/// let policy = BreakerPolicy::default()
///     .failure_rate(50, 20)?
///     .slow_calls(Duration::from_secs(10), 80, 20)?
///     .recovery(Duration::from_secs(30))?
///     .growing(2, Duration::from_secs(300))?;
/// assert_eq!(policy.recovery_after(1), Duration::from_secs(30));
/// assert_eq!(policy.recovery_after(3), Duration::from_secs(120));
/// assert_eq!(policy.recovery_after(9), Duration::from_secs(300));
/// assert_eq!(
///     BreakerPolicy::default().failure_count(0).unwrap_err().to_string(),
///     "failure threshold: expected 1 to 1000, got 0",
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    trip: Trip,
    window: Duration,
    slow: Option<SlowCalls>,
    bulkhead: Option<BulkheadTerms>,
    recovery: Duration,
    growth: u32,
    longest_recovery: Duration,
    expected_errors: Vec<String>,
}

/// Which calls are slow, and how many of them are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowCalls {
    /// A call that takes longer is slow, whether it succeeds or fails.
    pub longer_than: Duration,
    /// How many slow calls open the breaker.
    pub share: Share,
}

/// The longest recovery timeout. A job waits for a breaker as a message, on the ramp behind the probe, and SQS holds
/// a message for 15 minutes.
pub const MAX_RECOVERY: Duration = Duration::from_mins(10);
/// The longest window.
const MAX_WINDOW: Duration = Duration::from_hours(24);
/// The longest call: a function ends after that.
const LONGEST_CALL: Duration = Duration::from_mins(15);
/// The largest number of failures or calls in a policy.
const MAX_CALLS: u32 = 1_000;
/// The largest factor by which a recovery timeout may grow.
const MAX_GROWTH: u32 = 10;
/// How many expected errors there can be, and how long each, in bytes.
const MAX_EXPECTED: (usize, usize) = (50, 200);

impl BreakerPolicy {
    /// Opens at this many failures within the window, 1 to 1,000, if the dependency hardly answers any more:
    /// [`Trip::Count`] says when.
    pub fn failure_count(mut self, failures: u32) -> Result<Self, Invalid> {
        self.trip = Trip::Count(whole("failure threshold", failures, MAX_CALLS)?);
        Ok(self)
    }

    /// Opens when this percentage of the calls in the window failed, and the window holds at least so many calls.
    pub fn failure_rate(mut self, percent: u8, min_calls: u32) -> Result<Self, Invalid> {
        self.trip = Trip::Rate(share("failure rate", percent, min_calls)?);
        Ok(self)
    }

    /// Also opens when this percentage of the calls in the window took longer than `longer_than`, 1 ms to 15 min, and
    /// the window holds at least so many calls.
    pub fn slow_calls(mut self, longer_than: Duration, percent: u8, min_calls: u32) -> Result<Self, Invalid> {
        let share = share("slow call rate", percent, min_calls)?;
        let longer_than = between("slow call", longer_than, Duration::from_millis(1), LONGEST_CALL)?;
        self.slow = Some(SlowCalls { longer_than, share });
        Ok(self)
    }

    /// Keeps a dependency that does not answer from holding up everything else.
    ///
    /// Every batch calls a dependency that answers promptly, without a limit and at no cost. If the dependency has not
    /// answered within `prompt` yet (1 ms to 15 min), or two batches wait for it in vain, only `batches` batches of the
    /// whole fleet call it at once (1 to 1,000). The jobs of other batches wait for a lease, which spends no attempt.
    ///
    /// An error is an answer too, unless the job's own timeout cut the call short: `prompt` has to be shorter than that
    /// timeout. A handler that declares the breaker and does not call through it never gets an answer. Its bulkhead
    /// stays closed.
    pub fn bulkhead(mut self, prompt: Duration, batches: u32) -> Result<Self, Invalid> {
        let prompt = between("prompt answer", prompt, Duration::from_millis(1), LONGEST_CALL)?;
        self.bulkhead = Some(BulkheadTerms { prompt, batches: whole("batches", batches, MAX_CALLS)? });
        Ok(self)
    }

    /// The monitoring period: how far back failures count, 1 s to 24 h.
    pub fn window(mut self, window: Duration) -> Result<Self, Invalid> {
        self.window = between("monitoring period", window, Duration::from_secs(1), MAX_WINDOW)?;
        Ok(self)
    }

    /// How long it stays open before a probe, 1 s to 10 min.
    pub fn recovery(mut self, recovery: Duration) -> Result<Self, Invalid> {
        self.recovery = between("recovery timeout", recovery, Duration::from_secs(1), MAX_RECOVERY)?;
        self.longest_recovery = self.longest_recovery.max(self.recovery);
        Ok(self)
    }

    /// Multiplies the recovery timeout each time the breaker opens again, up to `longest`. Once the breaker has been
    /// closed for a whole window, the timeout is back at its first value.
    pub fn growing(mut self, factor: u32, longest: Duration) -> Result<Self, Invalid> {
        self.growth = whole("recovery growth", factor, MAX_GROWTH)?;
        self.longest_recovery = between("longest recovery timeout", longest, self.recovery, MAX_RECOVERY)?;
        Ok(self)
    }

    /// Errors whose text contains one of these don't count: the dependency answered as it should.
    pub fn expecting<T: Into<String>>(
        mut self,
        errors: impl IntoIterator<Item = T>,
    ) -> Result<Self, Invalid> {
        let errors: Vec<String> = errors.into_iter().map(Into::into).collect();
        let (most, longest) = MAX_EXPECTED;
        if errors.len() > most {
            let expected = format!("at most {most} texts");
            return Err(Invalid::new("expected errors", expected, format!("{} texts", errors.len())));
        }
        if let Some(wrong) = errors.iter().find(|text| !(1..=longest).contains(&text.len())) {
            let expected = format!("texts of 1 to {longest} bytes");
            return Err(Invalid::new("expected errors", expected, format!("{} bytes", wrong.len())));
        }
        self.expected_errors = errors;
        Ok(self)
    }

    /// When it opens.
    #[must_use]
    pub const fn trip(&self) -> Trip {
        self.trip
    }

    /// When it opens because calls are slow.
    #[must_use]
    pub const fn slow(&self) -> Option<SlowCalls> {
        self.slow
    }

    /// How many batches call it while it does not answer promptly; `None` if nothing bounds them.
    #[must_use]
    pub const fn bulkhead_terms(&self) -> Option<BulkheadTerms> {
        self.bulkhead
    }

    /// How far back failures count.
    #[must_use]
    pub const fn monitoring_period(&self) -> Duration {
        self.window
    }

    /// How long it stays open when it opens for the `openings`-th time in a row, from 1.
    #[must_use]
    pub fn recovery_after(&self, openings: u32) -> Duration {
        let factor = self.growth.checked_pow(openings.saturating_sub(1)).unwrap_or(u32::MAX);
        self.recovery.saturating_mul(factor).min(self.longest_recovery)
    }

    /// Whether an error of this text is one of those that don't count.
    #[must_use]
    pub fn is_expected(&self, error: &str) -> bool {
        self.expected_errors.iter().any(|text| error.contains(text.as_str()))
    }

    /// Whether a call of this length is slow.
    #[must_use]
    pub fn is_slow(&self, took: Duration) -> bool {
        self.slow.is_some_and(|slow| took > slow.longer_than)
    }

    /// Whether it opens by a share of the calls alone. Then successes may open it too: they make the calls enough.
    #[must_use]
    pub const fn opens_by_share(&self) -> bool {
        matches!(self.trip, Trip::Rate(_)) || self.slow.is_some()
    }
}

impl Default for BreakerPolicy {
    /// Opens when at least 5 calls, and at least [half](Trip::Count) of the calls, failed within 5 minutes. Recovers after
    /// 60 s, always the same; every error counts.
    fn default() -> Self {
        let recovery = Duration::from_mins(1);
        Self {
            trip: Trip::Count(5),
            window: Duration::from_mins(5),
            slow: None,
            bulkhead: None,
            recovery,
            growth: 1,
            longest_recovery: recovery,
            expected_errors: Vec::new(),
        }
    }
}

/// A breaker's configuration in JSON.
///
/// ```
/// use lambda_jobs_core::breaker::{BreakerConfig, BreakerPolicy};
///
/// let config: BreakerConfig = serde_json::from_str(r#"{"failureThreshold":3,"expectedErrors":["NotFound"]}"#)?;
/// let policy = BreakerPolicy::try_from(config)?;
/// assert_eq!(policy, BreakerPolicy::default().failure_count(3)?.expecting(["NotFound"])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BreakerConfig {
    /// How many failures within the monitoring period open it at least, by [`Trip::Count`].
    pub failure_threshold: u32,
    /// How long it stays open, in milliseconds.
    #[serde(with = "millis")]
    pub recovery_timeout: Duration,
    /// How far back failures count, in milliseconds.
    #[serde(with = "millis")]
    pub monitoring_period: Duration,
    /// Errors whose text contains one of these don't count.
    pub expected_errors: Vec<String>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            recovery_timeout: Duration::from_mins(1),
            monitoring_period: Duration::from_mins(5),
            expected_errors: Vec::new(),
        }
    }
}

impl TryFrom<BreakerConfig> for BreakerPolicy {
    type Error = Invalid;

    fn try_from(config: BreakerConfig) -> Result<Self, Invalid> {
        Self::default()
            .failure_count(config.failure_threshold)?
            .window(config.monitoring_period)?
            .recovery(config.recovery_timeout)?
            .expecting(config.expected_errors)
    }
}

fn whole(field: &'static str, number: u32, most: u32) -> Result<u32, Invalid> {
    if (1..=most).contains(&number) {
        Ok(number)
    } else {
        Err(Invalid::new(field, format!("1 to {most}"), number.to_string()))
    }
}

fn share(field: &'static str, percent: u8, min_calls: u32) -> Result<Share, Invalid> {
    if !(1..=100).contains(&percent) {
        return Err(Invalid::new(field, "1 to 100 percent".to_owned(), format!("{percent} percent")));
    }
    if !(1..=MAX_CALLS).contains(&min_calls) {
        let expected = format!("a minimum of 1 to {MAX_CALLS} calls");
        return Err(Invalid::new(field, expected, format!("{min_calls} calls")));
    }
    Ok(Share { percent, min_calls })
}

fn between(
    field: &'static str,
    time: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, Invalid> {
    if (least..=most).contains(&time) {
        Ok(time)
    } else {
        Err(Invalid::new(field, format!("{least:?} to {most:?}"), format!("{time:?}")))
    }
}
