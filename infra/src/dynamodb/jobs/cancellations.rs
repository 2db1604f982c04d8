//! Cancellation requests for running jobs.
//!
//! A worker asks every few seconds, so the read is cheap: one call for the whole batch, eventually consistent (which
//! costs half), and without a second try for keys that the service left out.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use lambda_jobs_core::JobId;
use lambda_jobs_core::ports::ServiceError;

use super::record::record_key;
use super::store::DynamoJobStore;
use crate::dynamodb::requests::MAX_KEYS;
use crate::dynamodb::text_of;

impl DynamoJobStore {
    pub(super) async fn cancelled_among(&self, ids: &[JobId]) -> Result<HashSet<JobId>, ServiceError> {
        let table = self.jobs();
        let mut found = HashSet::new();
        for part in ids.chunks(MAX_KEYS) {
            let distinct: HashSet<&JobId> = part.iter().collect();
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(distinct.into_iter().map(record_key).collect()))
                .projection_expression("pk, cancelRequested")
                .build()
                .map_err(|error| ServiceError::new(format!("read from table {table}"), error.to_string()))?;
            let call = self.dynamo.client().batch_get_item().request_items(table, wanted);
            let output = call.send().await.map_err(|error| self.dynamo.error("read from", table, error))?;
            let items = output.responses.unwrap_or_default().into_values().flatten();
            let cancelled = items.filter(|item| {
                item.get("cancelRequested").and_then(|flag| flag.as_bool().ok()).is_some_and(|flag| *flag)
            });
            found
                .extend(cancelled.filter_map(|item| text_of(&item, "pk").strip_prefix("job#")?.parse().ok()));
        }
        Ok(found)
    }
}
