//! One machine's link to the schedules, and to the unique keys.

use async_trait::async_trait;

use crate::simulation::link::{Link, only};
use crate::simulation::world::at_once;
use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    Advance, DueSchedules, KeyClaim, KeyOutcome, ScheduleStore, ServiceError, StoredSchedule, UniqueKeys,
};

#[async_trait]
impl ScheduleStore for Link {
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError> {
        self.asked(|| at_once(self.world.schedules.put(stored, replacing))).await
    }

    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError> {
        self.asked(|| at_once(self.world.schedules.get(id))).await
    }

    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError> {
        self.asked(|| at_once(self.world.schedules.list())).await
    }

    async fn delete(&self, id: &ScheduleId) -> Result<bool, ServiceError> {
        self.asked(|| at_once(self.world.schedules.delete(id))).await
    }

    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError> {
        self.asked(|| at_once(self.world.schedules.due(query))).await
    }

    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>> {
        let all = self.asked(|| Ok(at_once(self.world.schedules.advance(advances)))).await;
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
