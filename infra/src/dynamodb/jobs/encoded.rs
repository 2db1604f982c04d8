//! What claims and settlements send, without sending it: `benches/instructions` counts what encoding them costs.

use lambda_jobs_core::ports::{ClaimRequest, ServiceError, SettleCall};

use super::store::DynamoJobStore;
use super::{counters, history};
use crate::dynamodb::requests::Write;

impl DynamoJobStore {
    /// The size of the statements that claim these jobs, in bytes.
    #[doc(hidden)]
    #[must_use]
    pub fn encode_claims(&self, requests: &[ClaimRequest]) -> usize {
        requests.iter().map(|request| self.claim_write(request).statement_bytes()).sum()
    }

    /// The size of the statements that settle these jobs, with their history and counters, in bytes.
    #[doc(hidden)]
    pub fn encode_settlements(&self, batch: &SettleCall) -> Result<usize, ServiceError> {
        let settling = batch.settlements.iter().map(|settlement| self.settle_write(settlement, None, None));
        let mut writes: Vec<Write> = settling.collect::<Result<_, _>>()?;
        writes.extend(history::write(self.jobs(), batch, &batch.history(), &self.retention));
        let state = &self.dynamo.tables().state;
        writes.extend(batch.counters().iter().map(|(name, added)| counters::write(state, name, added)));
        Ok(writes.iter().map(Write::statement_bytes).sum())
    }
}
