//! `ReceiveMessage`: its request, one read of the queue, and the messages of the answer.
//!
//! The endpoint does the waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs_core::sqs::{Message, MessageAttribute, ReceiveRequest, Received, SqsError, limits};

use super::{
    context::{ActionContext, queue_name},
    digest,
    wire::{ReceiveMessage, TRACE, WireAttribute, WireMessage},
};

/// A request, checked as far as possible without the queue.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) queue: String,
    request: ReceiveRequest,
    /// How long to wait; the queue's own wait if absent.
    wait: Option<Duration>,
    system: Vec<String>,
    attributes: Vec<String>,
}

/// The result of one read of the queue.
#[derive(Debug)]
pub(super) enum Look {
    /// Messages.
    Found(Vec<WireMessage>),
    /// Nothing.
    Empty {
        /// The queue's own wait.
        queue_wait: Duration,
        /// When the next hidden message becomes visible.
        next: Option<DateTime<Utc>>,
        /// When the queue was read.
        at: DateTime<Utc>,
    },
}

impl Poll {
    pub(super) fn read(request: ReceiveMessage) -> Result<Self, SqsError> {
        let seconds =
            |limit: limits::Limit, value: Option<i64>| value.map(|value| limit.seconds(value)).transpose();
        let max = request.max_number_of_messages.unwrap_or(1);
        let mut system = request.attribute_names.unwrap_or_default().0;
        system.extend(request.message_system_attribute_names.unwrap_or_default().0);
        check_system_names(&system)?;
        Ok(Self {
            queue: queue_name(request.queue_url)?,
            request: ReceiveRequest {
                // A number that is no count is out of range in any case.
                max: usize::try_from(max).unwrap_or(0),
                visibility: seconds(limits::VISIBILITY_TIMEOUT, request.visibility_timeout)?,
            },
            wait: seconds(limits::WAIT_TIME, request.wait_time_seconds)?,
            system,
            attributes: request.message_attribute_names.unwrap_or_default().0,
        })
    }

    pub(super) fn wait(&self, queue_wait: Duration) -> Duration {
        self.wait.unwrap_or(queue_wait)
    }

    pub(super) fn look(&self, context: &mut ActionContext<'_>) -> Result<Look, SqsError> {
        let received = context.sqs.receive(&self.queue, self.request, context.now)?;
        if !received.is_empty() {
            return Ok(Look::Found(received.into_iter().map(|received| self.show(received)).collect()));
        }
        Ok(Look::Empty {
            queue_wait: context.sqs.queue_state(&self.queue)?.attributes.receive_wait,
            next: context.sqs.next_visible_at(&self.queue, context.now)?,
            at: context.now,
        })
    }

    fn show(&self, received: Received) -> WireMessage {
        let Received { message, receipt_handle } = received;
        let wanted: BTreeMap<&String, &MessageAttribute> =
            message.content.attributes.iter().filter(|(name, _)| self.wants_attribute(name)).collect();
        WireMessage {
            receipt_handle,
            md5_of_body: digest::of_body(&message.content.body),
            attributes: system_attributes(&message)
                .into_iter()
                .filter(|(name, _)| self.system.iter().any(|wanted| wanted == "All" || wanted == name))
                .collect(),
            // The digest of the returned attributes, because a client can check no others.
            md5_of_message_attributes: digest::of_attributes(
                wanted.iter().map(|(name, value)| (*name, *value)),
            ),
            message_attributes: wanted
                .into_iter()
                .map(|(name, attribute)| (name.clone(), WireAttribute::write(attribute)))
                .collect(),
            message_id: message.id,
            body: message.content.body,
        }
    }

    /// By name, by `All` or `.*`, or by a prefix as in `trace.*`.
    fn wants_attribute(&self, name: &str) -> bool {
        self.attributes.iter().any(|wanted| {
            wanted == "All"
                || wanted == name
                || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
        })
    }
}

const SYSTEM_NAMES: [&str; 10] = [
    "All",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    TRACE,
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

/// Old clients may ask for queue attributes too; the answer never holds them.
fn check_system_names(names: &[String]) -> Result<(), SqsError> {
    match names.iter().find(|name| !SYSTEM_NAMES.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(SqsError::InvalidAttributeName {
            attribute: unknown.clone(),
            expected: "All, ApproximateFirstReceiveTimestamp, ApproximateReceiveCount, AWSTraceHeader, \
                DeadLetterQueueSourceArn, MessageDeduplicationId, MessageGroupId, SenderId, SentTimestamp, \
                SequenceNumber",
        }),
    }
}

fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let millis = |at: DateTime<Utc>| at.timestamp_millis().to_string();
    let optional = [
        ("ApproximateFirstReceiveTimestamp", message.first_received_at.map(millis)),
        ("MessageGroupId", message.content.group.clone()),
        (TRACE, message.content.trace_header.clone()),
        ("DeadLetterQueueSourceArn", message.dead_letter_source.clone()),
    ];
    let mut attributes: BTreeMap<_, _> =
        optional.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    attributes.insert("ApproximateReceiveCount", message.receive_count.to_string());
    attributes.insert("SentTimestamp", millis(message.sent_at));
    attributes.insert("SenderId", "local".to_owned());
    attributes
}
