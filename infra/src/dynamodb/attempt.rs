//! What one try of one write came to, whichever way it was sent.

use lambda_jobs_core::ports::StoreError;

use super::Item;
use super::client::Dynamo;
use super::write::{Outcome, Write};
use crate::address::{Failure, Fate};

/// What one try came to.
pub(super) enum Attempt {
    /// It is decided.
    Done(Result<Outcome, StoreError>),
    /// It had no effect, and is worth another try.
    Unheard(StoreError),
    /// It may have had its effect, and is worth another try if it can be repeated.
    Unknown(StoreError),
    /// The endpoint does not know the call.
    Unsupported,
}

impl Attempt {
    pub(super) const fn written(item: Option<Item>) -> Self {
        Self::Done(Ok(Outcome::Written(item)))
    }

    pub(super) const fn refused(item: Option<Item>) -> Self {
        Self::Done(Ok(Outcome::Refused { item, resent: false }))
    }

    /// What a failed call, or a failed statement, means for this write.
    pub(super) fn failed(dynamo: &Dynamo, doing: &str, write: &Write, failure: &Failure) -> Self {
        let error = dynamo.store_error(doing, &write.table, failure);
        match failure.fate {
            Fate::Refused => Self::Done(Err(error)),
            Fate::Unheard => Self::Unheard(error),
            Fate::Unknown => Self::Unknown(error),
        }
    }
}

/// Whether this failure means that the endpoint does not know the call.
pub(super) fn is_unsupported(failure: &Failure) -> bool {
    let codes = ["UnknownOperation", "InvalidAction", "NotImplemented", "UnsupportedOperation"];
    codes.iter().any(|code| failure.code.contains(code))
        || (failure.code == "InternalFailure" && failure.reason.contains("not implemented"))
}
