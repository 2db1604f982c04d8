//! Storing payloads that copies have no room for: the record goes before the copy that relies on it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::job::{JobId, JobRecord, Retention};
use crate::ports::{InsertOutcome, JobStore, ServiceError};

/// Makes sure that the records of these jobs have their payloads. Returns the jobs whose records do.
pub(crate) async fn store_payloads(
    store: &dyn JobStore,
    records: Vec<JobRecord>,
    now: DateTime<Utc>,
) -> HashSet<JobId> {
    let (mut seen, mut stored) = (HashSet::new(), HashSet::new());
    let records: Vec<JobRecord> =
        records.into_iter().filter(|record| seen.insert(record.id().clone())).collect();
    if records.is_empty() {
        return stored;
    }
    let ids: Vec<JobId> = records.iter().map(|record| record.id().clone()).collect();
    let found = match store.heads(&ids).await {
        Ok(found) => found,
        Err(error) => {
            warn(&error);
            return stored;
        }
    };
    let mut new = Vec::new();
    for (record, found) in records.into_iter().zip(found) {
        match found {
            None => new.push(record),
            Some(found)
                if found.definition.spec.name == record.definition.spec.name && has_payload(&found, now) =>
            {
                stored.insert(record.definition.id);
            }
            Some(_) => {}
        }
    }
    let outcomes = if new.is_empty() { Vec::new() } else { store.insert(&new).await };
    for (record, outcome) in new.into_iter().zip(outcomes) {
        match outcome {
            Ok(InsertOutcome::Inserted) => drop(stored.insert(record.definition.id)),
            // Another writer was faster: the message comes back and finds out.
            Ok(InsertOutcome::Exists) => {}
            Err(error) => warn(&error),
        }
    }
    stored
}

/// Whether a record has its payload still. In a long pause it expires, because the message has the payload too.
fn has_payload(record: &JobRecord, now: DateTime<Utc>) -> bool {
    record.has_payload() && record.stored.place.as_ref().is_none_or(|place| place.until > now)
}

/// Keeps the payloads of waiting jobs that would expire soon: only their records have them, and messages of a paused
/// queue wait for ever.
pub(crate) async fn keep_payloads(store: &dyn JobStore, ids: &[JobId], now: DateTime<Utc>) {
    if ids.is_empty() {
        return;
    }
    let found = match store.heads(ids).await {
        Ok(found) => found,
        Err(error) => return warn(&error),
    };
    let expires_soon = |record: &JobRecord| {
        let place = record.stored.place.as_ref();
        record.status.is_waiting() && place.is_some_and(|place| place.until < now + Retention::MIN)
    };
    let mut seen = HashSet::new();
    let waiting =
        found.into_iter().flatten().filter(|record| expires_soon(record) && seen.insert(record.id().clone()));
    let waiting: Vec<JobRecord> = waiting.map(|record| record.still_waiting(now)).collect();
    if waiting.is_empty() {
        return;
    }
    for error in store.replace_all(&waiting).await.into_iter().filter_map(Result::err) {
        warn(&error);
    }
}

fn warn(error: &ServiceError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a large payload can't be stored or kept");
}
