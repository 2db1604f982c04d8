//! Decoding: which job is in a message, and which handler runs it?

use super::Batch;
use super::dead_letters::UnprocessableMessage;
use super::job::Job;
use crate::handler::JobRegistry;
use crate::message::JobMessage;
use crate::ports::ReceivedMessage;

/// A message after decoding.
pub(super) enum Decoded {
    Job(Job),
    /// No worker can run it.
    Unprocessable(UnprocessableMessage),
}

impl Batch<'_> {
    /// Decodes messages, in their order.
    pub(super) fn decode(&self, messages: Vec<ReceivedMessage>) -> Vec<Decoded> {
        messages.into_iter().map(|received| decode(received, &self.processor.registry)).collect()
    }
}

fn decode(received: ReceivedMessage, registry: &JobRegistry) -> Decoded {
    let message = match JobMessage::decode_shared(&received.body, &received.message_id, received.sent_at) {
        Ok(message) => message,
        Err(error) => {
            let reason = error.to_string();
            return Decoded::Unprocessable(UnprocessableMessage {
                received,
                message: None,
                handler: None,
                reason,
            });
        }
    };
    let Some(handler) = registry.get(&message.definition.spec.name).cloned() else {
        let reason = unregistered(&message.definition.spec.name, registry);
        return Decoded::Unprocessable(UnprocessableMessage {
            received,
            message: Some(message),
            handler: None,
            reason,
        });
    };
    if let Err(error) = handler.check_unique(&message.definition) {
        let reason = error.to_string();
        return Decoded::Unprocessable(UnprocessableMessage {
            received,
            message: Some(message),
            handler: None,
            reason,
        });
    }
    Decoded::Job(Job { received, message, handler })
}

fn unregistered(name: &str, registry: &JobRegistry) -> String {
    let mut names: Vec<&str> = registry.names().collect();
    names.sort_unstable();
    format!("name: no handler is registered for {name:?}; registered are: {}", names.join(", "))
}
