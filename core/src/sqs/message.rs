//! A message, from its send to its last receive.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{MessageAttribute, SqsError, limits, message_attribute::check_text};

/// The sender's content, unchanged for the message's life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageContent {
    /// The body.
    pub body: String,
    /// Message attributes by name, at most ten.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, MessageAttribute>,
    /// The message group (`MessageGroupId`): on standard queues, the tenant, for fair queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The system attribute `AWSTraceHeader`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_header: Option<String>,
}

/// A complete message, as a queue keeps it. A restart needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message's id, the same for its whole life; a redrive keeps it.
    pub id: String,
    /// The queue that holds the message now.
    pub queue: String,
    /// Orders messages that become visible at the same instant; a redrive gives a new number.
    pub sequence: u64,
    /// When it was first sent, UTC. Its retention starts here.
    pub sent_at: DateTime<Utc>,
    /// When it becomes visible, UTC.
    pub visible_at: DateTime<Utc>,
    /// The receive count.
    pub receive_count: u32,
    /// When it was first received, UTC.
    pub first_received_at: Option<DateTime<Utc>>,
    /// When it was last received, UTC.
    pub last_received_at: Option<DateTime<Utc>>,
    /// The ARN of the queue that moved it to this dead-letter queue.
    pub dead_letter_source: Option<String>,
    /// The sender's content.
    pub content: MessageContent,
}

/// A message to send.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::sqs::SendRequest;
///
/// let request = SendRequest { delay: Some(Duration::from_secs(5)), ..SendRequest::new("hello") };
/// assert_eq!(request.content.body, "hello");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendRequest {
    /// The content.
    pub content: MessageContent,
    /// The delay: up to 900 s, in whole seconds (a fraction rounds up); the queue's own delay if absent.
    pub delay: Option<Duration>,
}

impl SendRequest {
    /// A message with this body and nothing else.
    #[must_use]
    pub fn new(body: impl Into<String>) -> Self {
        Self { content: MessageContent { body: body.into(), ..MessageContent::default() }, delay: None }
    }
}

/// A request to receive messages.
///
/// ```
/// use lambda_jobs_core::sqs::ReceiveRequest;
///
/// assert_eq!(ReceiveRequest::default().max, 1);
/// assert_eq!(ReceiveRequest::up_to(10).max, 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveRequest {
    /// The most messages to receive, 1 to 10.
    pub max: usize,
    /// The visibility timeout: up to 43,200 s, in whole seconds; the queue's own timeout if absent.
    pub visibility: Option<Duration>,
}

impl Default for ReceiveRequest {
    fn default() -> Self {
        Self::up_to(1)
    }
}

impl ReceiveRequest {
    /// A request for up to `max` messages, hidden for the queue's own timeout.
    #[must_use]
    pub const fn up_to(max: usize) -> Self {
        Self { max, visibility: None }
    }
}

/// A received message and its receipt handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message; its receive count includes this receive.
    pub message: Message,
    /// The receipt handle, to delete it or to change its visibility timeout.
    pub receipt_handle: String,
}

impl MessageContent {
    /// The size that `MaximumMessageSize` limits, in bytes: the body and the attributes (names, types, values).
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, attribute)| attribute.size(name));
        self.body.len() + attributes.sum::<usize>()
    }

    /// Checks the message for a queue with this `MaximumMessageSize`, in bytes.
    pub fn check(&self, maximum_message_size: usize) -> Result<(), SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::MissingParameter { parameter: "MessageBody" });
        }
        check_text(&self.body, "message body")?;
        if self.attributes.len() > limits::MAX_MESSAGE_ATTRIBUTES {
            let count = self.attributes.len();
            return Err(SqsError::parameter(
                "MessageAttributes",
                format!("of {count} attributes"),
                format!("Number of message attributes [{count}] exceeds the allowed maximum [10]"),
            ));
        }
        self.attributes.iter().try_for_each(|(name, attribute)| attribute.check(name))?;
        self.group.as_deref().map_or(Ok(()), check_group)?;
        match self.size() {
            size if size > maximum_message_size => {
                Err(SqsError::MessageTooLong { size, limit: maximum_message_size })
            }
            _ => Ok(()),
        }
    }
}

fn check_group(group: &str) -> Result<(), SqsError> {
    let fits = (1..=limits::MAX_GROUP_CHARS).contains(&group.len());
    if fits && group.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    let reason = "MessageGroupId must have 1 to 128 alphanumeric and punctuation characters";
    Err(SqsError::parameter("MessageGroupId", group, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(body: &str) -> MessageContent {
        SendRequest::new(body).content
    }

    #[test]
    fn size_counts_body_and_attributes() {
        let mut message = content("12345");
        message.attributes.insert("ab".to_owned(), MessageAttribute::string("xyz"));
        assert_eq!(message.size(), 5 + 2 + 6 + 3);
        assert_eq!(message.check(16), Ok(()));
        assert_eq!(message.check(15), Err(SqsError::MessageTooLong { size: 16, limit: 15 }));
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let limit = limits::MAX_MESSAGE_BYTES;
        assert_eq!(content("").check(limit).unwrap_err().code(), "MissingParameter");
        assert_eq!(content("a\u{0}").check(limit).unwrap_err().code(), "InvalidMessageContents");
        let eleven = (0..11).map(|n| (format!("a{n}"), MessageAttribute::string("x"))).collect();
        let many = MessageContent { attributes: eleven, ..content("x") };
        assert!(many.check(limit).unwrap_err().to_string().contains("[11]"));
        for group in [String::new(), "a b".to_owned(), "g".repeat(129)] {
            let message = MessageContent { group: Some(group), ..content("x") };
            assert!(message.check(limit).unwrap_err().to_string().contains("MessageGroupId"));
        }
    }
}
