//! One machine's link to the schedules, and to the unique keys.

use std::time::Duration;

use async_trait::async_trait;

use crate::simulation::faults::Fault;
use crate::simulation::link::{Link, Party, only};
use crate::simulation::world::at_once;
use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    Advance, DueSchedules, KeyClaim, KeyOutcome, ScheduleStore, ServiceError, StoredSchedule, UniqueKeys,
};

/// How far the index of schedules may lag behind: mostly for less than a change covers, and rarely for minutes.
const MAX_LAG_MS: [u64; 2] = [20_000, 240_000];

/// What is made by a tick that read the schedules of so long ago is covered by every change since.
const COVERED_LAG: Duration = Duration::from_millis(MAX_LAG_MS[0]);

#[async_trait]
impl ScheduleStore for Link {
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError> {
        self.asked(|| {
            let written = at_once(self.world.schedules.put(stored, replacing))?;
            if written {
                let now = self.world.now();
                self.tell(|| format!("puts {}, edition {}", stored.schedule.id, stored.state.edition));
                self.world.state().watch.schedule_put(stored, now);
                self.world.schedules_changed();
            }
            Ok(written)
        })
        .await
    }

    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError> {
        self.asked(|| at_once(self.world.schedules.get(id))).await
    }

    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError> {
        self.asked(|| at_once(self.world.schedules.list())).await
    }

    async fn delete(&self, id: &ScheduleId, revision: u64) -> Result<bool, ServiceError> {
        self.asked(|| {
            let deleted = at_once(self.world.schedules.delete(id, revision))?;
            if deleted {
                self.tell(|| format!("deletes {id}"));
                self.world.schedules_changed();
            }
            Ok(deleted)
        })
        .await
    }

    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError> {
        let lag = {
            let mut state = self.world.state();
            let longest = *state.dice.pick(&MAX_LAG_MS);
            let lag = state.dice.millis(0..longest);
            state.strikes(Fault::SchedulesLag, 4).then_some(lag)
        };
        self.asked(|| match lag {
            None => at_once(self.world.schedules.due(query)),
            Some(lag) => {
                self.tell(|| format!("reads the schedules of {lag:?} ago"));
                if let Party::Dispatcher(tick) = self.party
                    && lag > COVERED_LAG
                {
                    self.world.state().watch.lagging.insert(tick);
                }
                let mut items = self.world.schedules_before(lag);
                items.retain(|stored| stored.state.due_at().is_some_and(|due_at| due_at <= query.until));
                Ok(Page { items, cursor: None })
            }
        })
        .await
    }

    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>> {
        let effect = || {
            let answers = at_once(self.world.schedules.advance(advances));
            let now = self.world.now();
            for (advance, answer) in advances.iter().zip(&answers) {
                if matches!(answer, Ok(true)) {
                    self.world.state().watch.schedule_advanced(&advance.id, &advance.state, now);
                }
            }
            self.world.schedules_changed();
            Ok(answers)
        };
        let all = self.asked(effect).await;
        all.unwrap_or_else(|_| {
            advances.iter().map(|_| Err(ServiceError::new("call the store", "it timed out"))).collect()
        })
    }
}

#[async_trait]
impl UniqueKeys for Link {
    async fn hold(&self, claims: &[KeyClaim]) -> Vec<Result<KeyOutcome, ServiceError>> {
        let one = |claim: &KeyClaim| {
            let outcome = only(at_once(self.world.unique.hold(std::slice::from_ref(claim))));
            self.tell(|| match &outcome {
                Ok(KeyOutcome::Taken(hold)) => {
                    format!("asks for key {} for {}: {} has it", hold.key, claim.hold.job, hold.job)
                }
                _ => format!("takes key {} for {}", claim.hold.key, claim.hold.job),
            });
            outcome
        };
        self.ask(claims, |claim| &claim.hold.job, one).await
    }
}
