//! The outcome of one try of one write, in a batch or alone.

use lambda_jobs_core::ports::ServiceError;

use super::client::Dynamo;
use super::write::{Outcome, Write};
use crate::address::{Failure, Fate};
use crate::dynamodb::Item;

/// The outcome of one try.
pub(super) enum Attempt {
    /// The service decided.
    Done(Result<Outcome, ServiceError>),
    /// It had no effect. Another try may succeed.
    Unheard(ServiceError),
    /// It may have had its effect. Another try may succeed, if the write can be repeated.
    Unknown(ServiceError),
    /// The endpoint lacks the call.
    Unsupported,
}

impl Attempt {
    pub(super) const fn written(item: Option<Item>) -> Self {
        Self::Done(Ok(Outcome::Written(item)))
    }

    pub(super) const fn refused(item: Option<Item>) -> Self {
        Self::Done(Ok(Outcome::Refused { item, resent: false }))
    }

    /// The outcome of a failed call or statement for this write.
    pub(super) fn failed(dynamo: &Dynamo, doing: &str, write: &Write, failure: &Failure) -> Self {
        let error = dynamo.store_error(doing, &write.table, failure);
        match failure.fate {
            Fate::Refused => Self::Done(Err(error)),
            Fate::Unheard => Self::Unheard(error),
            Fate::Unknown => Self::Unknown(error),
        }
    }
}

/// Whether this failure means that the endpoint lacks the call.
pub(super) fn is_unsupported(failure: &Failure) -> bool {
    let codes = ["UnknownOperation", "InvalidAction", "NotImplemented", "UnsupportedOperation"];
    codes.iter().any(|code| failure.code.contains(code))
        || (failure.code == "InternalFailure" && failure.reason.contains("not implemented"))
}
