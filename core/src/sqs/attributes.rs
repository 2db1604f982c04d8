//! A queue's settings.
//!
//! On the wire they are a map of strings to strings. Here they are typed and checked, so every
//! queue has valid settings. Storage holds the map, so reading a stored queue repeats the checks.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{RedrivePolicy, SqsError, limits};

/// Queue attributes in wire form.
///
/// A type of its own, so that literals read well:
///
/// ```
/// use lambda_jobs_core::sqs::AttributeMap;
///
/// let map: AttributeMap = [("VisibilityTimeout", "60"), ("DelaySeconds", "5")].into();
/// assert_eq!(map.0["DelaySeconds"], "5");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttributeMap(pub BTreeMap<String, String>);

impl<const N: usize> From<[(&str, &str); N]> for AttributeMap {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// A queue's checked settings.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::sqs::QueueAttributes;
///
/// let settings = QueueAttributes::default().with(&[("VisibilityTimeout", "60")].into())?;
/// assert_eq!(settings.visibility_timeout, Duration::from_secs(60));
/// assert_eq!(settings.retention, Duration::from_secs(345_600));
/// assert!(settings.with(&[("VisibilityTimeout", "43201")].into()).is_err());
/// # Ok::<(), lambda_jobs_core::sqs::SqsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AttributeMap", into = "AttributeMap")]
pub struct QueueAttributes {
    /// How long a receive hides a message (`VisibilityTimeout`).
    pub visibility_timeout: Duration,
    /// How long a new message stays hidden (`DelaySeconds`).
    pub delay: Duration,
    /// How long a message is kept, from its first send (`MessageRetentionPeriod`).
    pub retention: Duration,
    /// How long a receive waits for a message, unless it sets its own wait (`ReceiveMessageWaitTimeSeconds`).
    pub receive_wait: Duration,
    /// The longest message, in bytes of body and attributes (`MaximumMessageSize`).
    pub maximum_message_size: usize,
    /// The dead-letter queue and the maximum receive count (`RedrivePolicy`).
    pub redrive: Option<RedrivePolicy>,
    /// Attributes that AWS knows and the model does not use; they are shown as set.
    pub carried: BTreeMap<String, String>,
}

/// Attributes that are accepted and shown, but have no effect.
const CARRIED: [&str; 5] = [
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

const MESSAGE_SIZE: &str = "MaximumMessageSize";
const REDRIVE: &str = "RedrivePolicy";
const EXPECTED: &str = "DelaySeconds, KmsDataKeyReusePeriodSeconds, KmsMasterKeyId, MaximumMessageSize, \
    MessageRetentionPeriod, Policy, ReceiveMessageWaitTimeSeconds, RedriveAllowPolicy, RedrivePolicy, \
    SqsManagedSseEnabled, VisibilityTimeout";

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_timeout: limits::DEFAULT_VISIBILITY_TIMEOUT,
            delay: Duration::ZERO,
            retention: limits::DEFAULT_RETENTION,
            receive_wait: Duration::ZERO,
            maximum_message_size: limits::MAX_MESSAGE_BYTES,
            redrive: None,
            carried: BTreeMap::new(),
        }
    }
}

impl QueueAttributes {
    /// These settings with some replaced; an error if one of the new values is invalid.
    pub fn with(&self, changes: &AttributeMap) -> Result<Self, SqsError> {
        let mut settings = self.clone();
        for (name, value) in &changes.0 {
            settings.set(name, value)?;
        }
        Ok(settings)
    }

    /// The settings in wire form.
    #[must_use]
    pub fn to_map(&self) -> AttributeMap {
        let mut map = self.carried.clone();
        for (limit, value) in [
            (limits::VISIBILITY_TIMEOUT, self.visibility_timeout),
            (limits::DELAY, self.delay),
            (limits::RETENTION, self.retention),
            (limits::RECEIVE_WAIT, self.receive_wait),
        ] {
            map.insert(limit.name.to_owned(), value.as_secs().to_string());
        }
        map.insert(MESSAGE_SIZE.to_owned(), self.maximum_message_size.to_string());
        if let Some(policy) = &self.redrive {
            map.insert(REDRIVE.to_owned(), policy.to_json());
        }
        AttributeMap(map)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        match name {
            "VisibilityTimeout" => self.visibility_timeout = limits::VISIBILITY_TIMEOUT.attribute(value)?,
            "DelaySeconds" => self.delay = limits::DELAY.attribute(value)?,
            "MessageRetentionPeriod" => self.retention = limits::RETENTION.attribute(value)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait = limits::RECEIVE_WAIT.attribute(value)?,
            MESSAGE_SIZE => self.maximum_message_size = message_size(value)?,
            // An empty text removes the policy.
            REDRIVE if value.is_empty() => self.redrive = None,
            REDRIVE => self.redrive = Some(RedrivePolicy::parse(value)?),
            "FifoQueue" | "ContentBasedDeduplication" if value == "false" => {}
            "FifoQueue" | "ContentBasedDeduplication" | "DeduplicationScope" | "FifoThroughputLimit" => {
                return Err(super::admin::no_fifo(&format!(
                    "attribute {name}={value}: leave it out, or write \"false\""
                )));
            }
            _ if CARRIED.contains(&name) => {
                self.carried.insert(name.to_owned(), value.to_owned());
            }
            _ => {
                return Err(SqsError::InvalidAttributeName {
                    attribute: name.to_owned(),
                    expected: EXPECTED,
                });
            }
        }
        Ok(())
    }
}

fn message_size(value: &str) -> Result<usize, SqsError> {
    let range = limits::MIN_MESSAGE_BYTES..=limits::MAX_MESSAGE_BYTES;
    value.trim().parse().ok().filter(|bytes| range.contains(bytes)).ok_or_else(|| {
        SqsError::InvalidAttributeValue {
            attribute: MESSAGE_SIZE,
            value: value.to_owned(),
            expected: format!("{MESSAGE_SIZE} must be >= {} and <= {}", range.start(), range.end()),
        }
    })
}

impl TryFrom<AttributeMap> for QueueAttributes {
    type Error = SqsError;

    fn try_from(map: AttributeMap) -> Result<Self, SqsError> {
        Self::default().with(&map)
    }
}

impl From<QueueAttributes> for AttributeMap {
    fn from(settings: QueueAttributes) -> Self {
        settings.to_map()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_queue_is_read_with_the_same_settings() {
        let policy = RedrivePolicy::new("dead", 3).unwrap().to_json();
        let map: AttributeMap =
            [("DelaySeconds", "7"), ("RedrivePolicy", policy.as_str()), ("Policy", "{}")].into();
        let settings = QueueAttributes::default().with(&map).unwrap();
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<QueueAttributes>(&stored).unwrap(), settings);
    }

    #[test]
    fn unknown_and_fifo_attributes_are_refused_by_name() {
        let unknown = QueueAttributes::default().with(&[("Colour", "red")].into()).unwrap_err();
        assert_eq!(unknown.code(), "InvalidAttributeName");
        assert!(unknown.to_string().contains("Colour"));
        let fifo = QueueAttributes::default().with(&[("FifoQueue", "true")].into()).unwrap_err();
        assert!(fifo.to_string().contains("FifoQueue"), "{fifo}");
    }

    #[test]
    fn message_sizes_have_bounds_and_an_empty_policy_removes_it() {
        for refused in ["1023", "1048577", "big"] {
            assert!(QueueAttributes::default().with(&[(MESSAGE_SIZE, refused)].into()).is_err());
        }
        let policy = RedrivePolicy::new("dead", 3).unwrap().to_json();
        let settings = QueueAttributes::default().with(&[(REDRIVE, policy.as_str())].into()).unwrap();
        assert_eq!(settings.with(&[(REDRIVE, "")].into()).unwrap().redrive, None);
    }
}
