//! The rules of batches: at most ten entries, each with an id of its own.
//!
//! SQS refuses a malformed batch whole, and otherwise refuses single entries. These are the rules of form; the
//! entries themselves go through the single operations, one after the other.

use std::collections::BTreeSet;

use super::{SqsError, limits};

/// Checks the number of entries and their ids; `entry` is the kind of entry, as SQS names it.
///
/// ```
/// use lambda_jobs_core::sqs::batch;
///
/// assert!(batch::check_ids(["a", "b"], "SendMessageBatchRequestEntry").is_ok());
/// let error = batch::check_ids(["a", "a"], "SendMessageBatchRequestEntry").unwrap_err();
/// assert_eq!(error.code(), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
/// ```
pub fn check_ids<'a>(ids: impl IntoIterator<Item = &'a str>, entry: &'static str) -> Result<(), SqsError> {
    let ids: Vec<&str> = ids.into_iter().collect();
    if ids.is_empty() {
        return Err(SqsError::EmptyBatchRequest { entry });
    }
    if ids.len() > limits::MAX_BATCH {
        return Err(SqsError::TooManyEntriesInBatchRequest { count: ids.len() });
    }
    if let Some(id) = ids.iter().find(|id| !is_id(id)) {
        return Err(SqsError::InvalidBatchEntryId { id: (*id).to_owned() });
    }
    let mut seen = BTreeSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(SqsError::BatchEntryIdsNotDistinct { id: (*id).to_owned() }),
        None => Ok(()),
    }
}

/// Checks that messages of these sizes, in bytes, fit into one batch.
pub fn check_size(sizes: impl IntoIterator<Item = usize>) -> Result<(), SqsError> {
    match sizes.into_iter().sum() {
        size if size > limits::MAX_MESSAGE_BYTES => {
            Err(SqsError::BatchRequestTooLong { size, limit: limits::MAX_MESSAGE_BYTES })
        }
        _ => Ok(()),
    }
}

fn is_id(id: &str) -> bool {
    (1..=limits::MAX_NAME_CHARS).contains(&id.len())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(ids: &[&str]) -> Option<&'static str> {
        check_ids(ids.iter().copied(), "Entry").err().map(|error| error.code())
    }

    #[test]
    fn each_rule_has_its_code() {
        assert_eq!(code(&[]), Some("AWS.SimpleQueueService.EmptyBatchRequest"));
        assert_eq!(code(&["a"; 11]), Some("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"));
        assert_eq!(code(&["a", ""]), Some("AWS.SimpleQueueService.InvalidBatchEntryId"));
        assert_eq!(code(&["a.b"]), Some("AWS.SimpleQueueService.InvalidBatchEntryId"));
        assert_eq!(code(&["a", "b", "a"]), Some("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"));
        assert_eq!(code(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]), None);
        assert_eq!(check_size([limits::MAX_MESSAGE_BYTES]), Ok(()));
        assert!(check_size([limits::MAX_MESSAGE_BYTES, 1]).is_err());
    }
}
