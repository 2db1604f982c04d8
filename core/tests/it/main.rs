//! The core as its users see it: messages in, records and messages out, with a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets these has failed"
)]
#![allow(clippy::needless_pass_by_value, reason = "payloads are written where they are passed")]

mod attempts;
mod breakers;
mod bulkheads;
mod busy_hosts;
mod cancellation;
mod cleanup;
mod copies;
mod dead_letter_counts;
mod dispatcher;
mod edges;
mod endpoints;
mod explain;
mod fairness;
mod floors;
mod guarantees;
mod handlers;
mod holds;
mod imports;
mod job_batches;
mod large;
mod limits;
mod lists;
mod manager;
mod pace;
mod pause;
mod payloads;
mod processor;
mod progress;
mod protection;
mod running;
mod schedule;
mod schedule_changes;
mod schedules;
mod settings;
mod shapes;
mod simulation;
mod snooze;
mod sqs_batches;
mod suspects;
mod unique;
mod webhook;
mod world;
