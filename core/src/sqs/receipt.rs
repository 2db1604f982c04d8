//! Receipt handles.
//!
//! AWS's handles are opaque. These are readable, which helps in a log. A handle names its queue, its message and its
//! receive. So the model can tell a handle of another queue, or a text that is no handle, from a handle whose message
//! is gone: the first two are errors, the third is a delete with no effect.

use std::fmt;

use super::SqsError;

/// `queue:message-id:receive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) queue: String,
    pub(super) message_id: String,
    pub(super) receive: u32,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.queue, self.message_id, self.receive)
    }
}

impl Receipt {
    /// Reads a handle of this queue.
    pub(super) fn parse(handle: &str, queue: &str) -> Result<Self, SqsError> {
        read(handle).filter(|receipt| receipt.queue == queue).ok_or_else(|| {
            SqsError::ReceiptHandleIsInvalid { handle: handle.to_owned(), queue: queue.to_owned() }
        })
    }
}

fn read(handle: &str) -> Option<Receipt> {
    let mut parts = handle.split(':');
    let (queue, id, receive) = (parts.next()?, parts.next()?, parts.next()?);
    let well_formed = parts.next().is_none() && uuid::Uuid::try_parse(id).is_ok();
    let receive = receive.parse().ok().filter(|count| *count > 0)?;
    well_formed.then(|| Receipt { queue: queue.to_owned(), message_id: id.to_owned(), receive })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_anything_else_is_refused() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let receipt = Receipt { queue: "jobs".to_owned(), message_id: id.to_owned(), receive: 2 };
        assert_eq!(Receipt::parse(&receipt.to_string(), "jobs"), Ok(receipt.clone()));
        for handle in ["", "jobs", "jobs:x:1", &format!("jobs:{id}:0"), &format!("jobs:{id}:1:1")] {
            assert_eq!(
                Receipt::parse(handle, "jobs").unwrap_err().code(),
                "ReceiptHandleIsInvalid",
                "{handle}"
            );
        }
        assert!(Receipt::parse(&receipt.to_string(), "other").is_err());
    }
}
