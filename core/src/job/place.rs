//! The place of a job in a batch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::JobId;
use crate::invalid::Invalid;

/// The place of a child in its batch. As text it is `<batch>#<number>`.
///
/// ```
/// use lambda_jobs_core::job::BatchPlace;
///
/// let place: BatchPlace = "nightly#41".parse()?;
/// assert_eq!((place.batch.as_str(), place.child), ("nightly", 41));
/// assert_eq!(
///     "nightly".parse::<BatchPlace>().unwrap_err().to_string(),
///     r#"batch: expected the id of a batch, # and a number below 1000000, got "nightly""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchPlace {
    /// The batch: the id of the job that waits for it.
    pub batch: JobId,
    /// The child's number in it, from 0.
    pub child: u32,
}

impl BatchPlace {
    /// The most children of a batch.
    pub const MAX_CHILDREN: u32 = 1_000_000;
}

impl FromStr for BatchPlace {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let place = text.rsplit_once('#').and_then(|(batch, child)| {
            let child = child.parse().ok().filter(|child| *child < Self::MAX_CHILDREN)?;
            Some(Self { batch: batch.parse().ok()?, child })
        });
        let expected = || format!("the id of a batch, # and a number below {}", Self::MAX_CHILDREN);
        place.ok_or_else(|| Invalid::text("batch", expected(), text))
    }
}

impl TryFrom<String> for BatchPlace {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<BatchPlace> for String {
    fn from(place: BatchPlace) -> Self {
        place.to_string()
    }
}

impl fmt::Display for BatchPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.batch, self.child)
    }
}
