//! Breakers, for operators: show, open, close, reset.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{JobManager, ManagerError, TRIES};
use crate::breaker::{Breaker, Counts, Hold};
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
    /// Since when it is in this state.
    pub since: DateTime<Utc>,
    /// Whether an operator forced this state.
    pub forced: bool,
    /// The recent calls, as of the last write of the state. Successes wait for a failure to be written with, except
    /// while the counts look bad.
    pub counts: Counts,
    /// How many times in a row it has opened.
    pub openings: u32,
    /// When the next probe may start; `None` while a probe is under way, while the breaker is closed, or while an
    /// operator keeps it open.
    pub next_probe_at: Option<DateTime<Utc>>,
    /// Until when it holds calls because the dependency asked for that; `None` if it holds none.
    pub held_until: Option<DateTime<Utc>>,
    /// How many jobs wait in its ramps, each until its own instant. A job that can't be called within the next quarter
    /// of an hour is not counted yet: it asks again first.
    pub deferred_jobs: u64,
    /// How many batches hold a lease of its bulkhead, because the dependency does not answer promptly. Jobs that wait
    /// for a lease are not counted.
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
            held_until: breaker.last_hold(now).map(Hold::until),
            deferred_jobs: breaker.deferred(now),
            waiting_batches: breaker.callers(now),
        }
    }
}

impl JobManager {
    /// The breakers that have something to show, by name. A breaker that never failed and whose dependency answers
    /// promptly is left out.
    pub async fn breakers(&self) -> Result<Vec<BreakerView>, ManagerError> {
        let breakers = self.ports.breakers.list().await?;
        let now = self.ports.clock.now();
        let told =
            breakers.iter().filter(|breaker| is_remembered(breaker, now) && !breaker.is_uneventful(now));
        Ok(told.map(|breaker| BreakerView::of(breaker, now)).collect())
    }

    /// One breaker; closed if nothing is known of it.
    pub async fn breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        let found = self.stored_breaker(name).await?;
        let now = self.ports.clock.now();
        let breaker = found.filter(|breaker| is_remembered(breaker, now));
        Ok(BreakerView::of(&breaker.unwrap_or_else(|| Breaker::new(name.clone(), now)), now))
    }

    /// Whether a breaker has a state: it counted a failure, an operator changed it, or it has a bulkhead and was called.
    /// A breaker that only succeeded has none.
    pub async fn knows_breaker(&self, name: &BreakerName) -> Result<bool, ManagerError> {
        let now = self.ports.clock.now();
        Ok(self.stored_breaker(name).await?.is_some_and(|breaker| is_remembered(&breaker, now)))
    }

    /// Opens a breaker until an operator closes or resets it: no calls are made, and jobs that need it wait. Workers
    /// notice within 2 s. An unused breaker can be opened too, ahead of an outage.
    pub async fn open_breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        self.change_breaker(name, Breaker::forced_open).await
    }

    /// Closes a breaker until an operator opens or resets it: calls are made, whatever fails.
    pub async fn close_breaker(&self, name: &BreakerName) -> Result<BreakerView, ManagerError> {
        self.change_breaker(name, Breaker::forced_closed).await
    }

    /// Closes a breaker and ends an operator's hold on it. It forgets its counts, and its policy opens it again.
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
