//! The payload of a record: in it, or apart in pieces.

use lambda_jobs_core::job::PayloadPlace;
use lambda_jobs_core::{JobId, JobRecord, Payload, Retention};

use super::encode::Attributes;
use super::job_pk;
use crate::dynamodb::pieces::{self, NewPayload, Pieces};
use crate::dynamodb::requests::Value;
use crate::dynamodb::text;

/// The payload of a new record.
pub(in crate::dynamodb::jobs) struct RecordPayload {
    payload: Payload,
    /// Where it goes if it is too large for the record.
    pub(in crate::dynamodb::jobs) place: Option<PayloadPlace>,
}

impl RecordPayload {
    pub(in crate::dynamodb::jobs) fn of(record: &JobRecord, retention: &Retention) -> Self {
        let payload = record.definition.spec.payload.clone();
        let place = pieces::place(payload.as_str(), retention.payload_until(record));
        Self { payload, place }
    }

    /// What to write apart from the record.
    pub(in crate::dynamodb::jobs) fn apart(&self, id: &JobId) -> Option<NewPayload<'_>> {
        let place = self.place.clone()?;
        Some(NewPayload { partition: job_pk(id), json: self.payload.as_str(), place })
    }

    /// The attributes of the record. An empty object, the default, takes none.
    pub(super) fn attributes(&self) -> Attributes {
        let is_inline = self.place.is_none() && self.payload != Payload::default();
        let inline = is_inline.then(|| text(self.payload.as_str()).into());
        let mut place = self.place.as_ref().map(pieces::attributes).unwrap_or_default();
        let mut apart = |name| (name, place.remove(name).map(Value::from));
        let [key, bytes, until] = ["payloadKey", "payloadBytes", "payloadUntil"].map(&mut apart);
        vec![("payload", inline), key, bytes, until]
    }
}

/// The pieces of a job's payload.
pub(in crate::dynamodb::jobs) fn pieces_of(id: &JobId, place: &PayloadPlace) -> Pieces {
    Pieces { partition: job_pk(id), place: place.clone() }
}
