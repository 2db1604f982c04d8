//! The redrive policy: which dead-letter queue takes messages after too many receives.
//!
//! On the wire a redrive policy is JSON inside a string, written by hand in templates and command lines. It is
//! parsed once, on arrival, so a mistake shows there and not at the first poison message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{SqsError, limits};

/// The account of all the model's queues, in ARNs and URLs.
const ACCOUNT: &str = "000000000000";
/// The region in the ARNs of the model's queues.
const REGION: &str = "us-east-1";

/// The ARN of the model's queue of this name.
///
/// ```
/// assert_eq!(lambda_jobs_core::sqs::queue_arn("jobs-dlq"), "arn:aws:sqs:us-east-1:000000000000:jobs-dlq");
/// ```
#[must_use]
pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// The name of the model's queue with this ARN; `None` if another region or account has it, or it is no ARN.
pub(super) fn queue_of_arn(arn: &str) -> Option<&str> {
    let (owner, name) = arn.rsplit_once(':')?;
    (queue_arn("") == format!("{owner}:") && !name.is_empty()).then_some(name)
}

/// What an ARN of the model's queues looks like, for errors.
pub(super) fn expected_arn() -> String {
    format!("a queue of this account and region, such as {}", queue_arn("jobs-dlq"))
}

/// The maximum receive count, and the dead-letter queue for messages that reach it.
///
/// ```
/// use lambda_jobs_core::sqs::{RedrivePolicy, queue_arn};
///
/// let policy = RedrivePolicy::new("jobs-dlq", 50)?;
/// assert_eq!(policy.dead_letter_queue(), "jobs-dlq");
/// assert_eq!(RedrivePolicy::parse(&policy.to_json())?, policy);
/// // The count may be a string.
/// let json = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:jobs-dlq","maxReceiveCount":"50"}"#;
/// assert_eq!(RedrivePolicy::parse(json)?, policy);
/// // As on AWS, a dead-letter queue has the region and account of its source.
/// assert!(RedrivePolicy::parse(&json.replace("us-east-1", "eu-west-1")).is_err());
/// assert!(RedrivePolicy::new("jobs-dlq", 0).is_err());
/// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: u32,
}

impl RedrivePolicy {
    /// A policy for one of the model's queues; the count is 1 to 1000.
    pub fn new(dead_letter_queue: &str, max_receive_count: u32) -> Result<Self, SqsError> {
        let policy = Self { dead_letter_target_arn: queue_arn(dead_letter_queue), max_receive_count };
        let json = policy.to_json();
        policy.checked(&json)
    }

    /// A policy from its JSON text.
    pub fn parse(json: &str) -> Result<Self, SqsError> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| invalid(json, format!("expected a JSON object, found: {error}")))?;
        let arn = value["deadLetterTargetArn"]
            .as_str()
            .ok_or_else(|| invalid(json, "deadLetterTargetArn must be the ARN of an SQS queue"))?;
        let count = count(&value["maxReceiveCount"]).ok_or_else(|| invalid(json, COUNT_EXPECTED))?;
        Self { dead_letter_target_arn: arn.to_owned(), max_receive_count: count }.checked(json)
    }

    /// The policy as JSON text, as `GetQueueAttributes` shows it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "deadLetterTargetArn": self.dead_letter_target_arn,
            "maxReceiveCount": self.max_receive_count,
        })
        .to_string()
    }

    /// The dead-letter queue's name: the last segment of its ARN.
    #[must_use]
    pub fn dead_letter_queue(&self) -> &str {
        self.dead_letter_target_arn.rsplit(':').next().unwrap_or_default()
    }

    /// The maximum receive count; the next receive moves the message instead.
    #[must_use]
    pub const fn max_receive_count(&self) -> u32 {
        self.max_receive_count
    }

    fn checked(self, json: &str) -> Result<Self, SqsError> {
        if queue_of_arn(&self.dead_letter_target_arn).is_none() {
            return Err(invalid(json, format!("deadLetterTargetArn must name {}", expected_arn())));
        }
        if !(1..=limits::MAX_RECEIVE_COUNT).contains(&self.max_receive_count) {
            return Err(invalid(json, COUNT_EXPECTED));
        }
        Ok(self)
    }
}

const COUNT_EXPECTED: &str = "maxReceiveCount must be an integer from 1 to 1000";

fn count(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn invalid(json: &str, reason: impl Into<String>) -> SqsError {
    SqsError::parameter("RedrivePolicy", json, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_names_its_field() {
        let ours = |count: &str| format!(r#"{{"deadLetterTargetArn":"{}"{count}}}"#, queue_arn("n"));
        for (json, field) in [
            ("{".to_owned(), "JSON"),
            ("[]".to_owned(), "deadLetterTargetArn"),
            (r#"{"deadLetterTargetArn":"jobs-dlq","maxReceiveCount":1}"#.to_owned(), "deadLetterTargetArn"),
            (ours(r#","maxReceiveCount":1"#).replace(":sqs:", ":sns:"), "deadLetterTargetArn"),
            (ours(""), "maxReceiveCount"),
            (ours(r#","maxReceiveCount":1001"#), "maxReceiveCount"),
            (ours(r#","maxReceiveCount":-1"#), "maxReceiveCount"),
        ] {
            let error = RedrivePolicy::parse(&json).unwrap_err().to_string();
            assert!(error.contains("RedrivePolicy") && error.contains(field), "{json}: {error}");
        }
    }

    #[test]
    fn a_queue_of_another_region_or_account_is_refused_with_the_arn_to_write() {
        for other in ["arn:aws:sqs:eu-west-1:000000000000:n", "arn:aws:sqs:us-east-1:123456789012:n"] {
            let json = format!(r#"{{"deadLetterTargetArn":"{other}","maxReceiveCount":5}}"#);
            let error = RedrivePolicy::parse(&json).unwrap_err().to_string();
            let expected = "deadLetterTargetArn must name a queue of this account and region, such as \
                arn:aws:sqs:us-east-1:000000000000:jobs-dlq";
            assert!(error.contains(other) && error.contains(expected), "{error}");
        }
    }
}
