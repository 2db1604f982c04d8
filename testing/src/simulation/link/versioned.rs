//! One machine's link to the breakers and limits of the fleet.
//!
//! Their calls fail like any other call to the store. The number of these calls depends on dependencies and limits, not
//! on jobs, so they are counted separately.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::simulation::invariants;
use crate::simulation::link::{Fate, Link, unanswered};
use crate::simulation::world::at_once;
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::ports::{ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::versioned::VersionedState;

impl Link {
    /// Draws the fault of a call for a shared state. Its effect or its response may be late, so a read state may be
    /// outdated on arrival.
    async fn shared<T>(&self, effect: impl FnOnce() -> T) -> Result<T, Fate> {
        let answer = match self.shared_fate().await {
            Fate::Done => Ok(effect()),
            Fate::AnswerLost => {
                effect();
                Err(Fate::AnswerLost)
            }
            fate => Err(fate),
        };
        self.linger().await;
        self.travel().await;
        answer
    }

    async fn load_shared<T: VersionedState>(
        &self,
        store: &dyn VersionedStore<T>,
        names: &[String],
    ) -> Result<Vec<Option<T>>, ServiceError> {
        self.shared(|| at_once(store.load(names))).await.unwrap_or_else(|fate| Err(error(&fate)))
    }

    async fn save_shared<T: VersionedState>(
        &self,
        store: &dyn VersionedStore<T>,
        states: &[T],
        see: impl Fn(Option<&T>, &T) + Send + Sync,
    ) -> Vec<Result<VersionedOutcome<T>, ServiceError>> {
        let names: HashSet<String> = states.iter().map(T::name).collect();
        self.world.state().watch.check(invariants::a_batch_names_an_item_once(names.len() == states.len()));
        let save = |state: &T| {
            if self.partly() {
                return Err(unanswered());
            }
            let found = |name| at_once(store.load(&[name])).ok().and_then(|mut found| found.pop().flatten());
            let before = found(state.name());
            let outcome = at_once(store.save(std::slice::from_ref(state))).pop();
            if let Some(after) = found(state.name())
                && before.as_ref() != Some(&after)
            {
                see(before.as_ref(), &after);
            }
            outcome.unwrap_or_else(|| Err(unanswered()))
        };
        let saved = self.shared(|| states.iter().map(save).collect()).await;
        saved.unwrap_or_else(|fate| states.iter().map(|_| Err(error(&fate))).collect())
    }

    async fn list_shared<T: VersionedState>(
        &self,
        store: &dyn VersionedStore<T>,
    ) -> Result<Vec<T>, ServiceError> {
        self.shared(|| at_once(store.list())).await.unwrap_or_else(|fate| Err(error(&fate)))
    }
}

fn error(fate: &Fate) -> ServiceError {
    match fate {
        Fate::Throttled => ServiceError::new("call the store", "throttled").throttled(),
        Fate::Done | Fate::NoEffect | Fate::AnswerLost => unanswered(),
    }
}

#[async_trait]
impl VersionedStore<Breaker> for Link {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<Breaker>>, ServiceError> {
        self.load_shared(&*self.world.breakers, names).await
    }

    async fn save(&self, states: &[Breaker]) -> Vec<Result<VersionedOutcome<Breaker>, ServiceError>> {
        let see = |before: Option<&Breaker>, after: &Breaker| {
            let leases = || match (after.bulkhead.is_prompt, after.bulkhead.leases.len()) {
                (true, _) => "prompt".to_owned(),
                (false, held) => format!("{held} leases held"),
            };
            self.tell(|| format!("writes breaker {}: {:?}, {}", after.name, after.phase, leases()));
            let now = self.world.clock.monotonic();
            self.world.state().watch.breaker_written(self.worker(), before, after, now);
        };
        self.save_shared(&*self.world.breakers, states, see).await
    }

    async fn list(&self) -> Result<Vec<Breaker>, ServiceError> {
        self.list_shared(&*self.world.breakers).await
    }
}

#[async_trait]
impl VersionedStore<LimitState> for Link {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<LimitState>>, ServiceError> {
        self.load_shared(&*self.world.limits, names).await
    }

    async fn save(&self, states: &[LimitState]) -> Vec<Result<VersionedOutcome<LimitState>, ServiceError>> {
        let see = |_: Option<&LimitState>, after: &LimitState| {
            let leases = || after.leases.iter().map(|lease| lease.jobs).sum::<u32>();
            self.tell(|| format!("writes limit {}: {} leases held", after.key, leases()));
        };
        self.save_shared(&*self.world.limits, states, see).await
    }

    async fn list(&self) -> Result<Vec<LimitState>, ServiceError> {
        self.list_shared(&*self.world.limits).await
    }
}
