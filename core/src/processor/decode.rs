//! Decoding: which job is in a message, and which handler runs it?

use super::SqsBatch;
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

impl SqsBatch<'_> {
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
            return Decoded::Unprocessable(UnprocessableMessage::unreadable(received, reason));
        }
    };
    let checked = match registry.get(&message.definition.spec.name).cloned() {
        None => Err(unregistered(&message.definition.spec.name, registry)),
        Some(handler) => {
            let unique = handler.check_unique(&message.definition).map_err(|error| error.to_string());
            unique.map(|()| handler)
        }
    };
    match checked {
        Ok(handler) => Decoded::Job(Job { received, message, handler }),
        Err(reason) => Decoded::Unprocessable(UnprocessableMessage::refused(received, message, reason)),
    }
}

fn unregistered(name: &str, registry: &JobRegistry) -> String {
    let mut names: Vec<&str> = registry.names().collect();
    names.sort_unstable();
    format!("name: no handler is registered for {name:?}; registered are: {}", names.join(", "))
}
