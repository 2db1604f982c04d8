//! How a child of a batch ended, for whoever folds the results.

use serde_json::Value;

use super::Ending;
use crate::job::JobId;

/// A child of a batch that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildResult {
    /// Its number in the batch.
    pub number: u32,
    /// The job.
    pub id: JobId,
    /// How it ended.
    pub ending: Ending,
    /// What its handler returned, if that is kept.
    pub result: Option<Value>,
    /// Why it failed, if that is kept.
    pub error: Option<String>,
}
