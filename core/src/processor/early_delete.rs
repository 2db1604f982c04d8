//! Deleting messages of settled jobs while their batch goes on.
//!
//! Lambda deletes a batch's messages when all of it has ended. Until then they count as in flight, and a fair
//! queue goes by that. Beside one slow job, the tenants of its batch mates would look as busy as the slow one,
//! and the next environment would get its jobs instead of theirs. So a message in a group is deleted as soon as
//! its job is settled, if a job of another group still runs. An earlier delete of any other message would
//! change nothing and cost a request.

use super::SqsBatch;
use super::job::Ended;
use super::slots::Slots;
use crate::ports::{Receipt, ReceivedMessage};

/// A message that is worth an early delete once its job is settled.
pub(super) struct Grouped {
    message_id: String,
    receipt: Receipt,
}

/// The messages of these jobs that are in a group, if a job of another group still runs.
pub(super) fn grouped(ended: &[Ended], slots: &Slots) -> Vec<Grouped> {
    let is_beside_others = |ended: &&Ended| slots.has_others_than(ended.job.tenant());
    let messages = ended.iter().filter(is_beside_others).map(|ended| &ended.job.received);
    messages.filter(|received| received.group.is_some()).map(Grouped::of).collect()
}

impl Grouped {
    fn of(received: &ReceivedMessage) -> Self {
        let receipt = Receipt { queue: received.queue, receipt_handle: received.receipt_handle.clone() };
        Self { message_id: received.message_id.clone(), receipt }
    }
}

impl SqsBatch<'_> {
    /// Deletes those of these messages that are acked. If a delete fails, the answer to the batch deletes the message.
    pub(super) async fn delete_early(&self, messages: Vec<Grouped>) {
        let acked = messages.into_iter().filter(|message| self.state.is_acked(&message.message_id));
        let receipts: Vec<Receipt> = acked.map(|message| message.receipt).collect();
        if receipts.is_empty() {
            return;
        }
        for error in self.processor.queue.delete(&receipts).await.into_iter().filter_map(Result::err) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a message of a job that has ended is deleted with its batch");
        }
    }
}
