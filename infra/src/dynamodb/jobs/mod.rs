//! Jobs: their records, lists, history and counters.

mod cancellations;
mod counters;
mod due;
mod encoded;
mod history;
mod index;
mod list;
mod look;
mod prolong;
mod pruner;
mod record;
mod settle;
mod store;

pub use store::DynamoJobStore;
