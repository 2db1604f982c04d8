//! What all environments share: the control item, schedules, unique keys, and versioned states such as breakers.

mod control;
mod schedules;
mod unique;
mod versioned;

pub use control::DynamoControlStore;
pub use schedules::DynamoSchedules;
pub use unique::DynamoUniqueKeys;
pub use versioned::DynamoVersioned;
