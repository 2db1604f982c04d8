//! The context of an action.
//!
//! Every action is a plain function of a context and a request. The context holds the locked model and the instant of
//! the call, so an action can't wait, and sees one time.

use chrono::{DateTime, Utc};
use lambda_jobs_core::sqs::{Sqs, SqsError};

use super::wire::required;

/// The account in queue URLs, as in the model's ARNs.
const ACCOUNT: &str = "000000000000";

/// The locked model, and the instant of the call.
pub(super) struct ActionContext<'a> {
    pub(super) sqs: &'a mut Sqs,
    pub(super) now: DateTime<Utc>,
    pub(super) base_url: &'a str,
}

impl ActionContext<'_> {
    pub(super) fn url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.base_url)
    }
}

/// The queue in the last segment of a URL. Host and account don't matter, because a client may reach this endpoint
/// under another address than the one that it prints.
pub(super) fn queue_name(url: Option<String>) -> Result<String, SqsError> {
    let url = required(url, "QueueUrl")?;
    let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err(SqsError::QueueDoesNotExist { queue: url });
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_url_names_its_queue_by_the_last_segment() {
        for url in
            ["http://127.0.0.1:4566/000000000000/jobs", "https://sqs.eu-west-1.amazonaws.com/1/jobs", "jobs"]
        {
            assert_eq!(queue_name(Some(url.to_owned())).unwrap(), "jobs");
        }
        assert!(queue_name(Some("/".to_owned())).unwrap_err().is_queue_missing());
        assert_eq!(queue_name(None).unwrap_err().code(), "MissingParameter");
    }
}
