//! The ranges that SQS accepts, in one place.
//!
//! The model refuses the same values as AWS. Otherwise a delay of 901 s would work locally and fail in
//! production. Sources: the API reference of `CreateQueue`, `SendMessage`, `ReceiveMessage` and
//! `ChangeMessageVisibility`, and "Amazon SQS message quotas" in the Developer Guide.

use std::time::Duration;

use super::SqsError;

/// A range of whole seconds for one parameter or queue attribute.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::sqs::limits;
///
/// assert_eq!(limits::DELAY.seconds(900), Ok(Duration::from_mins(15)));
/// // SQS knows whole seconds only: a fraction rounds up, so that no wait ends early.
/// assert_eq!(limits::DELAY.check(Duration::from_millis(1500)), Ok(Duration::from_secs(2)));
/// assert!(limits::DELAY.check(Duration::from_secs(901)).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The parameter's or attribute's name on the wire.
    pub name: &'static str,
    /// The minimum, in seconds.
    pub min: u32,
    /// The maximum, in seconds.
    pub max: u32,
}

/// `DelaySeconds`, of a queue or a message.
pub const DELAY: Limit = Limit { name: "DelaySeconds", min: 0, max: 900 };
/// `VisibilityTimeout`, of a queue, a receive or a change; also the maximum since the last receive.
pub const VISIBILITY_TIMEOUT: Limit = Limit { name: "VisibilityTimeout", min: 0, max: 43_200 };
/// `MessageRetentionPeriod` of a queue.
pub const RETENTION: Limit = Limit { name: "MessageRetentionPeriod", min: 60, max: 1_209_600 };
/// `ReceiveMessageWaitTimeSeconds` of a queue.
pub const RECEIVE_WAIT: Limit = Limit { name: "ReceiveMessageWaitTimeSeconds", min: 0, max: 20 };
/// `WaitTimeSeconds` of a receive.
pub const WAIT_TIME: Limit = Limit { name: "WaitTimeSeconds", min: 0, max: 20 };

/// A new queue's `VisibilityTimeout`.
pub const DEFAULT_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);
/// A new queue's `MessageRetentionPeriod`: four days.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(4 * 24);

/// The least `MaximumMessageSize`, in bytes.
pub const MIN_MESSAGE_BYTES: usize = 1024;
/// The greatest and default `MaximumMessageSize`, and the largest batch: 1 MiB (since August 2025), in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;
/// The most message attributes of one message.
pub const MAX_MESSAGE_ATTRIBUTES: usize = 10;
/// The most messages of one receive, and the most entries of one batch.
pub const MAX_BATCH: usize = 10;
/// The greatest `maxReceiveCount` of a redrive policy.
pub const MAX_RECEIVE_COUNT: u32 = 1000;
/// The longest queue name and batch entry id, in characters.
pub const MAX_NAME_CHARS: usize = 80;
/// The most move tasks that one listing shows, and that are remembered of one dead-letter queue.
pub const MAX_MOVE_TASKS: usize = 10;
/// The highest rate of a move task, in messages per second.
pub const MAX_MOVE_RATE: u32 = 500;
/// The most tags of a queue.
pub const MAX_TAGS: usize = 50;
/// The longest key of a tag, in characters.
pub const MAX_TAG_KEY_CHARS: usize = 128;
/// The longest value of a tag, in characters.
pub const MAX_TAG_VALUE_CHARS: usize = 256;
/// The longest `MessageGroupId`, in characters.
pub const MAX_GROUP_CHARS: usize = 128;

impl Limit {
    /// A number of seconds from the wire, if it is within the range.
    pub fn seconds(&self, value: i64) -> Result<Duration, SqsError> {
        u32::try_from(value)
            .ok()
            .filter(|seconds| (self.min..=self.max).contains(seconds))
            .map(|seconds| Duration::from_secs(seconds.into()))
            .ok_or_else(|| SqsError::parameter(self.name, value.to_string(), self.expected()))
    }

    /// A duration rounded up to whole seconds, if it is within the range.
    pub fn check(&self, duration: Duration) -> Result<Duration, SqsError> {
        let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
        self.seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// A queue attribute's value, if it is a number of seconds within the range.
    pub(super) fn attribute(&self, value: &str) -> Result<Duration, SqsError> {
        let seconds = value.trim().parse::<i64>().ok();
        seconds.and_then(|seconds| self.seconds(seconds).ok()).ok_or_else(|| {
            SqsError::InvalidAttributeValue {
                attribute: self.name,
                value: value.to_owned(),
                expected: self.expected(),
            }
        })
    }

    fn expected(&self) -> String {
        format!("{} must be >= {} and <= {}", self.name, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_inside_and_what_lies_beyond_is_refused() {
        for limit in [DELAY, VISIBILITY_TIMEOUT, RETENTION, RECEIVE_WAIT, WAIT_TIME] {
            let (min, max) = (i64::from(limit.min), i64::from(limit.max));
            assert!(limit.seconds(min).is_ok() && limit.seconds(max).is_ok(), "{limit:?}");
            for outside in [min - 1, max + 1, i64::MIN, i64::MAX] {
                let error = limit.seconds(outside).unwrap_err().to_string();
                assert!(error.contains(limit.name) && error.contains(&outside.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn a_duration_past_the_last_whole_second_is_refused() {
        assert_eq!(DELAY.check(Duration::from_millis(899_001)), Ok(Duration::from_mins(15)));
        assert!(DELAY.check(Duration::from_millis(900_001)).is_err());
        assert!(DELAY.check(Duration::MAX).is_err());
    }

    #[test]
    fn an_attribute_says_what_was_expected() {
        let error = RETENTION.attribute("59").unwrap_err();
        assert_eq!(error.code(), "InvalidAttributeValue");
        assert!(error.to_string().contains("MessageRetentionPeriod must be >= 60 and <= 1209600"), "{error}");
        assert!(RETENTION.attribute("soon").is_err());
    }
}
