//! Keeps payloads as long as their records.
//!
//! A payload that is apart from its record expires by itself, at an instant that the record knows. A transition that
//! makes the record outlive it moves that instant first. Only jobs that wait for months pay for that: DynamoDB charges
//! the change of a piece like a new one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use lambda_jobs_core::JobRecord;
use lambda_jobs_core::job::PayloadPlace;
use lambda_jobs_core::ports::ServiceError;

use super::record::{RecordPayload, pieces_of};
use super::store::DynamoJobStore;
use crate::dynamodb::number;
use crate::dynamodb::requests::Update;

/// The update, which also notes until when the payload is kept if that has changed.
pub(super) fn kept_until(update: Update, until: Option<DateTime<Utc>>) -> Update {
    match until {
        Some(until) => update.set("payloadUntil", number(until.timestamp())),
        None => update,
    }
}

impl DynamoJobStore {
    /// Prolongs payloads that would not live as long as these records. Returns their new ends by position.
    pub(super) async fn prolong(
        &self,
        records: &[&JobRecord],
    ) -> HashMap<usize, Result<DateTime<Utc>, ServiceError>> {
        let mut prolonged = HashMap::new();
        for (at, record) in records.iter().enumerate() {
            let Some(until) = self.retention.prolonged(record) else { continue };
            match self.prolong_one(record, until).await {
                Ok(true) => drop(prolonged.insert(at, Ok(until))),
                Ok(false) => {}
                Err(error) => drop(prolonged.insert(at, Err(error))),
            }
        }
        prolonged
    }

    /// Whether the payload is kept until then from now on.
    async fn prolong_one(&self, record: &JobRecord, until: DateTime<Utc>) -> Result<bool, ServiceError> {
        let own = RecordPayload::of(record, &self.retention);
        let Some(place) = record.stored.place.as_ref().or(own.place.as_ref()) else { return Ok(false) };
        let place = PayloadPlace { until, ..place.clone() };
        if self.dynamo.prolong_pieces(self.jobs(), &pieces_of(record.id(), &place), until).await? {
            return Ok(true);
        }
        // The payload expired before, but the record's owner may have it from the message.
        let payload = own.apart(record.id()).filter(|own| own.place.key == place.key);
        let Some(mut payload) = payload else {
            tracing::error!(job_id = %record.id(), "a job's payload is missing");
            return Ok(false);
        };
        payload.place.until = until;
        let failed = self.dynamo.put_pieces(self.jobs(), &[payload]).await;
        failed.into_values().next().map_or(Ok(true), Err)
    }
}
