//! Why a request fails, in the words of both protocols.

use axum::http::StatusCode;
use lambda_jobs_core::sqs::SqsError;

use super::{LogError, MAX_REQUEST_BYTES};

/// The longest message of an error, in characters. It may hold what the client sent.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Refused(#[from] SqsError),
    #[error("The action {action} is not valid for this endpoint. Expected one of: {expected}.")]
    UnknownAction { action: String, expected: String },
    #[error("The request body of {action} can't be read: {error}.")]
    Unreadable { action: String, error: serde_json::Error },
    #[error("The request is not a form of names and values: {0}.")]
    NotAForm(String),
    #[error("The request has {bytes} bytes. Expected at most {MAX_REQUEST_BYTES}.")]
    TooLong { bytes: usize },
    #[error("The queues could not be kept: {0}.")]
    NotKept(String),
    #[error("The request was interrupted.")]
    Interrupted,
}

impl Fault {
    /// The message holds the causes, because a person who runs a local stack sees the client's side first.
    pub(super) fn not_kept(error: &LogError) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::NotKept(text)
    }

    /// What the client is told.
    pub(super) fn message(&self) -> String {
        let mut text = self.to_string();
        if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE_CHARS) {
            text.truncate(end);
            text.push_str("...");
        }
        text
    }

    pub(super) const fn shape(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.shape(),
            Self::UnknownAction { .. } => "com.amazon.coral.service#UnknownOperationException",
            Self::Unreadable { .. } | Self::NotAForm(_) | Self::TooLong { .. } => {
                "com.amazon.coral.service#SerializationException"
            }
            Self::NotKept(_) | Self::Interrupted => "com.amazon.coral.service#InternalFailure",
        }
    }

    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::UnknownAction { .. } => "InvalidAction",
            Self::Unreadable { .. } | Self::NotAForm(_) | Self::TooLong { .. } => "SerializationException",
            Self::NotKept(_) | Self::Interrupted => "InternalFailure",
        }
    }

    /// The HTTP status, and whose fault it is in SQS's words.
    pub(super) const fn blame(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotKept(_) | Self::Interrupted => (StatusCode::INTERNAL_SERVER_ERROR, "Receiver"),
            _ => (StatusCode::BAD_REQUEST, "Sender"),
        }
    }
}
