//! The actions on one message: send, delete, change its visibility.

use std::collections::BTreeMap;

use lambda_jobs_core::sqs::{AttributeValue, MessageContent, SendRequest, SqsError, limits};

use super::{
    context::{ActionContext, queue_name},
    wire::{Nothing, OfReceipt, SendEntry, SendMessage, Sent, TRACE, WireAttribute, required},
};

pub(super) fn send(context: &mut ActionContext<'_>, request: SendMessage) -> Result<Sent, SqsError> {
    let queue = queue_name(request.queue_url.clone())?;
    send_one(context, &queue, request_of(request.into())?)
}

pub(super) fn send_one(
    context: &mut ActionContext<'_>,
    queue: &str,
    request: SendRequest,
) -> Result<Sent, SqsError> {
    let message = context.sqs.send(queue, request, context.now)?;
    Ok(Sent::new(message.id, &message.content))
}

pub(super) fn delete(context: &mut ActionContext<'_>, request: OfReceipt) -> Result<Nothing, SqsError> {
    let queue = queue_name(request.queue_url)?;
    delete_one(context, &queue, request.receipt_handle).map(|()| Nothing {})
}

pub(super) fn delete_one(
    context: &mut ActionContext<'_>,
    queue: &str,
    handle: Option<String>,
) -> Result<(), SqsError> {
    context.sqs.delete(queue, &required(handle, "ReceiptHandle")?, context.now)
}

pub(super) fn change_visibility(
    context: &mut ActionContext<'_>,
    request: OfReceipt,
) -> Result<Nothing, SqsError> {
    let queue = queue_name(request.queue_url)?;
    change_one(context, &queue, request.receipt_handle, request.visibility_timeout).map(|()| Nothing {})
}

pub(super) fn change_one(
    context: &mut ActionContext<'_>,
    queue: &str,
    handle: Option<String>,
    timeout: Option<i64>,
) -> Result<(), SqsError> {
    let handle = required(handle, "ReceiptHandle")?;
    let timeout = limits::VISIBILITY_TIMEOUT.seconds(required(timeout, "VisibilityTimeout")?)?;
    context.sqs.change_visibility(queue, &handle, timeout, context.now)
}

impl From<SendMessage> for SendEntry {
    fn from(request: SendMessage) -> Self {
        Self {
            id: None,
            message_body: request.message_body,
            delay_seconds: request.delay_seconds,
            message_attributes: request.message_attributes,
            message_system_attributes: request.message_system_attributes,
            message_group_id: request.message_group_id,
            message_deduplication_id: request.message_deduplication_id,
        }
    }
}

/// The model's request for an entry.
pub(super) fn request_of(entry: SendEntry) -> Result<SendRequest, SqsError> {
    if let Some(value) = entry.message_deduplication_id {
        let reason = "The request include parameter that is not valid for this queue type: only FIFO queues take \
            it, and there are none here. Leave it out, and write the job's id into the message: jobs with one id \
            run once"
            .to_owned();
        return Err(SqsError::InvalidParameterValue { parameter: "MessageDeduplicationId", value, reason });
    }
    let mut attributes = BTreeMap::new();
    for (name, attribute) in entry.message_attributes.unwrap_or_default().0 {
        let attribute = attribute.read(&name)?;
        attributes.insert(name, attribute);
    }
    Ok(SendRequest {
        content: MessageContent {
            body: required(entry.message_body, "MessageBody")?,
            attributes,
            group: entry.message_group_id,
            trace_header: trace_header(entry.message_system_attributes.unwrap_or_default().0)?,
        },
        delay: entry.delay_seconds.map(|seconds| limits::DELAY.seconds(seconds)).transpose()?,
    })
}

fn trace_header(attributes: BTreeMap<String, WireAttribute>) -> Result<Option<String>, SqsError> {
    let mut header = None;
    for (name, attribute) in attributes {
        match attribute.read(&name)?.value {
            AttributeValue::Text(text) if name == TRACE => header = Some(text),
            _ => {
                let reason = format!("the only message system attribute is {TRACE}, of type String");
                let parameter = "MessageSystemAttributes";
                return Err(SqsError::InvalidParameterValue { parameter, value: name, reason });
            }
        }
    }
    Ok(header)
}
