//! A message as a job to be enqueued.

use chrono::{DateTime, Utc};

use super::JobMessage;
use crate::invalid::Invalid;
use crate::job::NewJob;
use crate::json::{Object, without_mark};

/// Stands for the id of a message that names none.
const UNNAMED: &str = "unnamed";

impl JobMessage {
    /// The job that a message asks for, to be enqueued by a caller. It is checked like any message.
    ///
    /// ```
    /// use chrono::DateTime;
    /// use lambda_jobs_core::message::JobMessage;
    ///
    /// let job = JobMessage::new_job(r#"{"name":"resize","payload":{"photo":7}}"#, DateTime::UNIX_EPOCH)?;
    /// assert_eq!((job.id, job.spec.name.as_str()), (None, "resize"));
    /// let refused = JobMessage::new_job("{}", DateTime::UNIX_EPOCH).unwrap_err();
    /// assert_eq!(refused.to_string(), "name: expected the name of a job, got nothing");
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    pub fn new_job(body: &str, now: DateTime<Utc>) -> Result<NewJob, Invalid> {
        let definition = Self::decode(body, UNNAMED, now)?.definition;
        let names_itself = Object::read(without_mark(body), &["id", "schedule"])
            .is_ok_and(|mut object| object.take("id").is_some() || object.take("schedule").is_some());
        Ok(NewJob {
            id: names_itself.then_some(definition.id),
            delay: definition.delay,
            run_at: definition.run_at,
            unique_key: definition.unique_key,
            unique_for: definition.unique_for,
            breakers: definition.breakers,
            job_type: Some(definition.job_type),
            ..NewJob::of(definition.spec)
        })
    }
}
