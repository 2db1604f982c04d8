//! What all environments share: the control item, schedules, unique keys, and versioned states such as breakers.

mod batches;
mod control;
mod running;
mod schedules;
mod unique;
mod versioned;

pub use batches::DynamoBatchNodes;
pub use control::DynamoControlStore;
pub use running::DynamoRunning;
pub use schedules::DynamoSchedules;
pub use unique::DynamoUniqueKeys;
pub use versioned::DynamoVersioned;
