//! Everything that leaves the process, as JSON: messages, responses to callers, stored items.
//!
//! Callers, stored items and older workers rely on these shapes, whatever the types behind them are called. The test
//! compares each with a file in `kept/`. The values here come from JSON or from the library's own work, and seldom from
//! the fields of a type, so the test stays the same while types change.

mod jobs;
pub(crate) mod kept;
mod operators;
mod protection;
mod schedules;
mod sqs;
mod webhooks;

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use lambda_jobs_core::message::JobMessage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use kept::Shapes;

/// An instant with a digit in every place.
fn now() -> DateTime<Utc> {
    at("2026-11-23T08:00:00.123456789Z")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A message as its worker reads it.
fn message(body: &Value) -> JobMessage {
    JobMessage::decode(&body.to_string(), "message-1", now()).unwrap()
}

/// A message with every field that a sender can set.
fn full_message() -> Value {
    json!({
        "version": 1,
        "id": "invoice-42",
        "name": "send-invoice",
        "type": "scheduled",
        "payload": { "invoice": 42, "lines": [1.5, null, true, "ü"] },
        "priority": 2,
        "maxRetries": 7,
        "delay": 1500,
        "runAt": "2026-11-23T09:30:00.250Z",
        "timeout": 60_000,
        "tags": ["billing", "nightly"],
        "tenant": "acme",
        "uniqueKey": "invoice/42",
        "uniqueFor": 3_600_000,
        "breakers": ["mail", "billing"],
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "enqueueCall": "0193576f00000001",
    })
}

impl Shapes {
    /// Adds a serialized value, and reads it back.
    #[must_use]
    fn both<T>(self, name: &str, value: &T) -> Self
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let json = serde_json::to_value(value).unwrap();
        assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value, "{name}");
        self.written(name, value)
    }

    /// Adds JSON from another writer, as this release serializes it again.
    #[must_use]
    fn read<T: Serialize + DeserializeOwned>(self, name: &str, json: Value) -> Self {
        let value: T = serde_json::from_value(json).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.written(name, &value)
    }
}
