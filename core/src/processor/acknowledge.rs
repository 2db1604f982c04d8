//! Deleting what has ended in a batch that goes on.
//!
//! Lambda deletes a batch's messages when all of it has ended. Until then they count as in flight, and a fair queue
//! goes by that: beside one slow job, the messages of everybody else in its batch would make them look as busy as the
//! slow one, and the next environment would be given its jobs instead of theirs.

use super::attempt::Ended;
use super::slots::Slots;
use super::{JobProcessor, Ledger};
use crate::ports::Receipt;

/// A message in a group, by its id.
pub(super) type Grouped = (String, Receipt);

/// The messages of these jobs that are in groups, where a job of another group runs on. To delete others earlier would
/// change nothing for anybody, and cost a request.
pub(super) fn in_groups(ended: &[Ended], slots: &Slots) -> Vec<Grouped> {
    let is_beside_others = |ended: &&Ended| slots.has_others_than(ended.message.definition.tenant.as_deref());
    let ended = ended.iter().filter(is_beside_others).map(|ended| &ended.received);
    let grouped = ended.filter(|received| received.group.is_some());
    let receipt = |queue, receipt_handle: &String| Receipt { queue, receipt_handle: receipt_handle.clone() };
    grouped
        .map(|received| (received.message_id.clone(), receipt(received.queue, &received.receipt_handle)))
        .collect()
}

impl JobProcessor {
    /// Deletes those of these messages that nobody needs any more. The answer to the batch lets go of them as well, so
    /// one that is not deleted now is deleted then.
    pub(super) async fn acknowledge(&self, messages: Vec<Grouped>, ledger: &Ledger) {
        let released = messages.into_iter().filter(|(id, _)| ledger.is_released(id));
        let receipts: Vec<Receipt> = released.map(|(_, receipt)| receipt).collect();
        if receipts.is_empty() {
            return;
        }
        for error in self.queue.delete(&receipts).await.into_iter().filter_map(Result::err) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a message of a job that has ended is deleted with its batch");
        }
    }
}
