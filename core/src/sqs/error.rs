//! The errors of SQS, in its own words.
//!
//! SDKs choose the typed error by its code, and people read the message. Both are AWS's own where known, so code that
//! was written against the model or the local endpoint meets nothing new on AWS. If AWS's message names neither the
//! value nor the expectation, ours adds them after AWS's sentence.

/// An error that SQS returns.
///
/// ```
/// use lambda_jobs_core::sqs::{SqsError, limits};
///
/// let error = limits::DELAY.seconds(901).unwrap_err();
/// assert_eq!(error.code(), "InvalidParameterValue");
/// assert_eq!(
///     error.to_string(),
///     "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqsError {
    /// No queue has this name.
    #[error("The specified queue does not exist. Queue: {queue}.")]
    QueueDoesNotExist {
        /// The requested name or URL.
        queue: String,
    },
    /// A queue with this name exists, with other attributes.
    #[error(
        "A queue already exists with the same name and a different value for attribute {attribute}. \
         Queue: {queue}, its value: {existing}, the value asked for: {requested}."
    )]
    QueueNameExists {
        /// The queue's name.
        queue: String,
        /// The first attribute that differs.
        attribute: String,
        /// The attribute's value in the existing queue.
        existing: String,
        /// The value in the request.
        requested: String,
    },
    /// A parameter of the request is out of range or malformed.
    #[error("Value {value} for parameter {parameter} is invalid. Reason: {reason}.")]
    InvalidParameterValue {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// A required parameter is missing or empty.
    #[error("The request must contain the parameter {parameter}.")]
    MissingParameter {
        /// The parameter.
        parameter: &'static str,
    },
    /// A queue attribute that SQS doesn't know, or that can't be set.
    #[error("Unknown Attribute {attribute}. Expected one of: {expected}.")]
    InvalidAttributeName {
        /// The name in the request.
        attribute: String,
        /// The expected names.
        expected: &'static str,
    },
    /// A queue attribute's value is out of range or malformed.
    #[error("Invalid value for the parameter {attribute}. Value: {value}. Reason: {expected}.")]
    InvalidAttributeValue {
        /// The attribute.
        attribute: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// The body contains characters that XML 1.0 does not allow.
    #[error(
        "Invalid characters found in the {field}: {found}. Valid unicode characters are \
         #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    InvalidMessageContents {
        /// Where they are.
        field: String,
        /// The first of them.
        found: String,
    },
    /// The message is longer than the queue's maximum.
    #[error(
        "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes. Its size is {size} bytes."
    )]
    MessageTooLong {
        /// The size of the body and the attributes, in bytes.
        size: usize,
        /// The queue's `MaximumMessageSize`, in bytes.
        limit: usize,
    },
    /// Not a receipt handle of this queue.
    #[error("The input receipt handle \"{handle}\" is not a valid receipt handle of queue {queue}.")]
    ReceiptHandleIsInvalid {
        /// The handle in the request.
        handle: String,
        /// The queue in the request.
        queue: String,
    },
    /// The message is visible, so there is no timeout to change.
    #[error("The message referred to is not in flight. Message: {message_id}.")]
    MessageNotInflight {
        /// The message.
        message_id: String,
    },
    /// SQS supports it; standard queues or this model don't.
    #[error("Unsupported operation. {reason}.")]
    UnsupportedOperation {
        /// The unsupported feature, and the supported alternative.
        reason: String,
    },
    /// A queue or a task that an ARN or a handle names does not exist.
    #[error("The resource that you specified for the {parameter} parameter doesn't exist: {value}.")]
    ResourceNotFound {
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: String,
    },
    /// A batch without entries.
    #[error("There should be at least one {entry} in the request.")]
    EmptyBatchRequest {
        /// The kind of entry, as SQS names it.
        entry: &'static str,
    },
    /// A batch of more than ten entries.
    #[error("Maximum number of entries per request are 10. You have sent {count}.")]
    TooManyEntriesInBatchRequest {
        /// The number of entries.
        count: usize,
    },
    /// Two entries of a batch have the same id.
    #[error("Id {id} repeated.")]
    BatchEntryIdsNotDistinct {
        /// The repeated id.
        id: String,
    },
    /// An entry's id is malformed.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
         It can be at most 80 letters long. Id: \"{id}\"."
    )]
    InvalidBatchEntryId {
        /// The id.
        id: String,
    },
    /// The messages of a batch are too large together.
    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {size} bytes.")]
    BatchRequestTooLong {
        /// The size of all bodies and attributes, in bytes.
        size: usize,
        /// The largest batch, in bytes.
        limit: usize,
    },
}

impl SqsError {
    /// The code of the query protocol, which SDKs read from the `x-amzn-query-error` header and a batch's
    /// `Failed` entries carry.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist { .. } => "AWS.SimpleQueueService.NonExistentQueue",
            Self::QueueNameExists { .. } => "QueueAlreadyExists",
            Self::InvalidParameterValue { .. } | Self::MessageTooLong { .. } => "InvalidParameterValue",
            Self::MissingParameter { .. } => "MissingParameter",
            Self::InvalidAttributeName { .. } => "InvalidAttributeName",
            Self::InvalidAttributeValue { .. } => "InvalidAttributeValue",
            Self::InvalidMessageContents { .. } => "InvalidMessageContents",
            Self::ReceiptHandleIsInvalid { .. } => "ReceiptHandleIsInvalid",
            Self::MessageNotInflight { .. } => "AWS.SimpleQueueService.MessageNotInflight",
            Self::UnsupportedOperation { .. } => "AWS.SimpleQueueService.UnsupportedOperation",
            Self::ResourceNotFound { .. } => "ResourceNotFoundException",
            Self::EmptyBatchRequest { .. } => "AWS.SimpleQueueService.EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest { .. } => {
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
            }
            Self::BatchEntryIdsNotDistinct { .. } => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId { .. } => "AWS.SimpleQueueService.InvalidBatchEntryId",
            Self::BatchRequestTooLong { .. } => "AWS.SimpleQueueService.BatchRequestTooLong",
        }
    }

    /// The shape's full name, as the JSON protocol writes it into `__type`.
    #[must_use]
    pub const fn shape(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist { .. } => "com.amazonaws.sqs#QueueDoesNotExist",
            Self::QueueNameExists { .. } => "com.amazonaws.sqs#QueueNameExists",
            Self::InvalidParameterValue { .. } | Self::MessageTooLong { .. } => {
                "com.amazon.coral.service#InvalidParameterValueException"
            }
            Self::MissingParameter { .. } => "com.amazon.coral.service#MissingRequiredParameterException",
            Self::InvalidAttributeName { .. } => "com.amazonaws.sqs#InvalidAttributeName",
            Self::InvalidAttributeValue { .. } => "com.amazonaws.sqs#InvalidAttributeValue",
            Self::InvalidMessageContents { .. } => "com.amazonaws.sqs#InvalidMessageContents",
            Self::ReceiptHandleIsInvalid { .. } => "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            Self::MessageNotInflight { .. } => "com.amazonaws.sqs#MessageNotInflight",
            Self::UnsupportedOperation { .. } => "com.amazonaws.sqs#UnsupportedOperation",
            Self::ResourceNotFound { .. } => "com.amazonaws.sqs#ResourceNotFoundException",
            Self::EmptyBatchRequest { .. } => "com.amazonaws.sqs#EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest { .. } => "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            Self::BatchEntryIdsNotDistinct { .. } => "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            Self::InvalidBatchEntryId { .. } => "com.amazonaws.sqs#InvalidBatchEntryId",
            Self::BatchRequestTooLong { .. } => "com.amazonaws.sqs#BatchRequestTooLong",
        }
    }

    /// Whether the queue does not exist. After this error alone, a caller may want to create it.
    #[must_use]
    pub const fn is_queue_missing(&self) -> bool {
        matches!(self, Self::QueueDoesNotExist { .. })
    }

    pub(super) fn no_queue(queue: &str) -> Self {
        Self::QueueDoesNotExist { queue: queue.to_owned() }
    }

    pub(super) fn parameter(
        parameter: &'static str,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::InvalidParameterValue { parameter, value: value.into(), reason: reason.into() }
    }
}
