//! The core as its users see it: messages in, records and messages out, at a paused clock.

mod guarantees;
mod handlers;
mod manager;
mod processor;
mod webhook;
mod world;
