//! Early acks: deletes the messages of jobs that ended while their batch goes on.

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use lambda_jobs_core::ports::{Receipt, ServiceError};

use super::batch::{Sized, parts};
use super::client::SqsClient;
use super::send::{Answers, all_failed, in_order, some_failed};

/// Deletes messages, and returns the outcomes in order.
pub(super) async fn delete_all(client: &SqsClient, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
    let queues: Vec<String> = receipts.iter().map(|receipt| client.names().queue(receipt.queue)).collect();
    let sized: Vec<Sized<'_>> =
        queues.iter().enumerate().map(|(at, queue)| Sized { at, queue, bytes: 0 }).collect();
    let mut answers = Vec::new();
    // One after the other, because all messages of a batch come from one queue and fit into a call or two.
    for (queue, part) in parts(&sized) {
        answers.push(delete_part(client, &queue, part, receipts).await);
    }
    in_order(receipts.len(), answers)
}

async fn delete_part(client: &SqsClient, queue: &str, part: Vec<usize>, receipts: &[Receipt]) -> Answers {
    let failed = |reason: String| ServiceError::new(format!("delete from queue {queue}"), reason);
    let url = match client.url(queue).await {
        Ok(url) => url,
        Err(error) => return all_failed(&part, || failed(error.to_string())),
    };
    let entry = |at: &usize| {
        DeleteMessageBatchRequestEntry::builder()
            .id(at.to_string())
            .receipt_handle(&receipts[*at].receipt_handle)
            .build()
    };
    let entries: Vec<_> = match part.iter().map(entry).collect() {
        Ok(entries) => entries,
        Err(error) => return all_failed(&part, || failed(error.to_string())),
    };
    match client.client().delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
        Ok(output) => some_failed(&part, &output.failed, &format!("delete from queue {queue}")),
        Err(error) => all_failed(&part, || client.shared_error("delete from", queue, &error)),
    }
}
