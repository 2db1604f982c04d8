//! The changes of a call, for a caller that keeps the queues on disk.
//!
//! The model holds everything in memory. A caller that writes each change before it answers loses nothing in a crash,
//! and writes only what changed: one record for a queue, one for a message.

use super::{Message, QueueState};

/// One record to write or to remove.
///
/// Only the id identifies a message's record. A redrive writes the same record with another queue, so a crash can't
/// lose the message between its removal and its arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A queue is new or changed.
    QueueStored(QueueState),
    /// A queue is gone. Earlier changes removed its messages.
    QueueRemoved {
        /// The queue's name.
        name: String,
    },
    /// A message is new or changed.
    MessageStored(Box<Message>),
    /// A message is gone.
    MessageRemoved {
        /// The message's id.
        id: String,
        /// The queue that held it.
        queue: String,
    },
}

/// All stored records, in any order, for [`Sqs::restore`](super::Sqs::restore).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The queues.
    pub queues: Vec<QueueState>,
    /// The messages of all queues.
    pub messages: Vec<Message>,
}

impl Snapshot {
    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.messages.is_empty()
    }
}
