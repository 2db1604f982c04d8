//! Breakers as an operator sees them, and opens and closes them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError, TRIES};
use crate::breaker::{Breaker, Counts};
use crate::job::BreakerName;
use crate::ports::VersionedOutcome;
use crate::protection::event;
use crate::versioned::VersionedState;

/// A breaker, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerView {
    /// Its name.
    pub name: BreakerName,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether an operator keeps it so.
    pub forced: bool,
    /// The calls of the last while, as they were when its state was written last: the failures, and of the
    /// successes those that somebody wrote with one.
    pub counts: Counts,
    /// How often in a row it has opened.
    pub openings: u32,
    /// When the next call is let through to see, where none is now; `None` where it is closed, or an operator keeps
    /// it open.
    pub next_probe_at: Option<DateTime<Utc>>,
    /// How many jobs wait in its line for an instant that they were given since it opened.
    pub deferred_jobs: u64,
    /// How many batches wait for answers of what it protects, which does not answer promptly; where few may call it,
    /// other jobs wait for a place, and are not counted.
    pub waiting_batches: usize,
}

impl BreakerView {
    fn of(breaker: &Breaker, now: DateTime<Utc>) -> Self {
        Self {
            name: breaker.name.clone(),
            state: breaker.phase.as_str(),
            since: breaker.since,
            forced: breaker.is_forced(),
            counts: breaker.window.total(breaker.written_at, Duration::MAX),
            openings: breaker.openings,
            next_probe_at: breaker.next_probe_at(),
            deferred_jobs: breaker.deferred(now),
            waiting_batches: breaker.inside(now),
        }
    }
}

impl JobManager {
    /// All breakers of which there is anything to say, by name. One that never failed and whose dependency answers
    /// promptly is not among them.
    pub async fn breakers(&self) -> Result<Vec<BreakerView>, ManagerError> {
        let breakers = self.ports.breakers.list().await?;
        let now = self.ports.clock.now();
        let told =
            breakers.iter().filter(|breaker| is_remembered(breaker, now) && !breaker.is_uneventful(now));
        Ok(told.map(|breaker| BreakerView::of(breaker, now)).collect())
    }

    /// One breaker; closed where nothing is known of it.
    pub async fn breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        let found = self.stored_breaker(name).await?;
        let now = self.ports.clock.now();
        let breaker = found.filter(|breaker| is_remembered(breaker, now));
        Ok(BreakerView::of(&breaker.unwrap_or_else(|| Breaker::new(name.clone(), now)), now))
    }

    /// Opens a breaker, for as long as nobody closes or resets it: no calls are made, and jobs that need it wait.
    /// Workers notice within 2 s. One that nobody has heard of can be opened too, ahead of an outage.
    pub async fn open_breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        self.change_breaker(name, Breaker::forced_open).await
    }

    /// Closes a breaker, for as long as nobody opens or resets it: calls are made, whatever fails.
    pub async fn close_breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        self.change_breaker(name, Breaker::forced_closed).await
    }

    /// Closes a breaker and lets it go: it forgets what it counted, and opens by its policy again.
    pub async fn reset_breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        self.change_breaker(name, Breaker::reset).await
    }

    async fn change_breaker(
        &self,
        name: &BreakerName,
        change: impl Fn(Breaker, DateTime<Utc>) -> Breaker,
    ) -> Result<BreakerView, ManagerError> {
        let mut found = self.stored_breaker(name).await?;
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let breaker = found.unwrap_or_else(|| Breaker::new(name.clone(), now));
            let before = breaker.phase;
            let mut next = change(breaker, now);
            next.writer = self.ports.entropy.next_u64();
            match self.ports.breakers.save(std::slice::from_ref(&next)).await.pop() {
                Some(Ok(VersionedOutcome::Conflict(other))) => found = other.map(|other| *other),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(VersionedOutcome::Saved)) | None => {
                    if let Some(event) = event(before, &next, now) {
                        self.ports.events.publish(&[event]).await;
                    }
                    return Ok(BreakerView::of(&next, now));
                }
            }
        }
        Err(ManagerError::BreakerContended(name.clone()))
    }

    async fn stored_breaker(&self, name: &BreakerName) -> Result<Option<Breaker>, ManagerError> {
        let names = [name.as_str().to_owned()];
        Ok(self.ports.breakers.load(&names).await?.into_iter().flatten().next())
    }
}

fn is_remembered(breaker: &Breaker, now: DateTime<Utc>) -> bool {
    breaker.expires_at().is_none_or(|end| end > now)
}
