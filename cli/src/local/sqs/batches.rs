//! The batch actions: each entry succeeds or fails on its own.

use lambda_jobs_core::sqs::{SendRequest, SqsError, batch};

use super::{
    context::{ActionContext, queue_name},
    fault::Fault,
    messages::{change_one, delete_one, request_of, send_one},
    wire::{Batch, BatchReply, Done, Failed, ReceiptEntry, SendEntry, Sent},
};

pub(super) fn send(
    context: &mut ActionContext<'_>,
    request: Batch<SendEntry>,
) -> Result<BatchReply<Sent>, SqsError> {
    let (queue, entries) =
        checked(context, request, "SendMessageBatchRequestEntry", |entry| entry.id.as_deref())?;
    let entries: Vec<(String, Result<SendRequest, SqsError>)> =
        entries.into_iter().map(|entry| (entry.id.clone().unwrap_or_default(), request_of(entry))).collect();
    batch::check_size(entries.iter().filter_map(|(_, entry)| Some(entry.as_ref().ok()?.content.size())))?;
    Ok(reply(entries, |id, entry| {
        let sent = send_one(context, &queue, entry?)?;
        Ok(Sent { id: Some(id), ..sent })
    }))
}

pub(super) fn delete(
    context: &mut ActionContext<'_>,
    request: Batch<ReceiptEntry>,
) -> Result<BatchReply<Done>, SqsError> {
    let (queue, entries) =
        checked(context, request, "DeleteMessageBatchRequestEntry", |entry| entry.id.as_deref())?;
    Ok(reply(with_ids(entries), |id, entry| {
        delete_one(context, &queue, entry.receipt_handle)?;
        Ok(Done { id })
    }))
}

pub(super) fn change_visibility(
    context: &mut ActionContext<'_>,
    request: Batch<ReceiptEntry>,
) -> Result<BatchReply<Done>, SqsError> {
    let kind = "ChangeMessageVisibilityBatchRequestEntry";
    let (queue, entries) = checked(context, request, kind, |entry| entry.id.as_deref())?;
    Ok(reply(with_ids(entries), |id, entry| {
        change_one(context, &queue, entry.receipt_handle, entry.visibility_timeout)?;
        Ok(Done { id })
    }))
}

fn with_ids(entries: Vec<ReceiptEntry>) -> Vec<(String, ReceiptEntry)> {
    entries.into_iter().map(|entry| (entry.id.clone().unwrap_or_default(), entry)).collect()
}

/// The queue, which must exist, and the entries: one to ten, with distinct ids.
fn checked<E>(
    context: &ActionContext<'_>,
    request: Batch<E>,
    kind: &'static str,
    id: impl Fn(&E) -> Option<&str>,
) -> Result<(String, Vec<E>), SqsError> {
    let queue = queue_name(request.queue_url)?;
    context.sqs.queue_state(&queue)?;
    let entries = request.entries.unwrap_or_default().0;
    batch::check_ids(entries.iter().map(|entry| id(entry).unwrap_or_default()), kind)?;
    Ok((queue, entries))
}

fn reply<E, S>(
    entries: Vec<(String, E)>,
    mut one: impl FnMut(String, E) -> Result<S, SqsError>,
) -> BatchReply<S> {
    let mut reply = BatchReply { successful: Vec::new(), failed: Vec::new() };
    for (id, entry) in entries {
        match one(id.clone(), entry) {
            Ok(success) => reply.successful.push(success),
            Err(error) => reply.failed.push(Failed {
                id,
                sender_fault: true,
                code: error.code(),
                message: Fault::from(error).message(),
            }),
        }
    }
    reply
}
