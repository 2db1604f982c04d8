//! A batch that a caller is about to enqueue.

use super::PARENT;
use crate::job::{JobId, JobSpec, NewJob};

/// Many jobs, one that waits for them, and what follows when they have ended.
///
/// ```
/// use lambda_jobs_core::NewJob;
/// use lambda_jobs_core::batch::Batch;
///
/// let batch = Batch::new([NewJob::new("resize"), NewJob::new("resize")])
///     .id("album-7".parse()?)
///     .on_success(NewJob::new("publish-album"))
///     .on_complete(NewJob::new("tell-the-owner"));
/// assert_eq!(batch.children.len(), 2);
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a batch does nothing until it is enqueued"]
pub struct Batch {
    /// Its identity, and that of the job that waits; generated if absent.
    pub id: Option<JobId>,
    /// The job that waits: its name, and what lists show of it.
    pub parent: JobSpec,
    /// The jobs.
    pub children: Vec<NewJob>,
    /// Whether it stays open after these, for children that are added later.
    pub stays_open: bool,
    /// The job that is made if all children completed. Its id is the batch's with `.success`.
    pub on_success: Option<NewJob>,
    /// The job that is made when all children have ended. Its id is the batch's with `.complete`.
    pub on_complete: Option<NewJob>,
}

impl Batch {
    /// A batch of these jobs. One without an id gets the batch's with its number.
    pub fn new(children: impl IntoIterator<Item = NewJob>) -> Self {
        Self {
            id: None,
            parent: JobSpec::new(PARENT),
            children: children.into_iter().collect(),
            stays_open: false,
            on_success: None,
            on_complete: None,
        }
    }

    /// Names the batch, so that enqueueing it twice makes it once.
    pub fn id(mut self, id: JobId) -> Self {
        self.id = Some(id);
        self
    }

    /// Gives the parent the name of a handler, which [folds](crate::JobHandler::fold) the children's results, and what
    /// lists show of it.
    pub fn parent(mut self, parent: JobSpec) -> Self {
        self.parent = parent;
        self
    }

    /// Leaves it open for children that are added later.
    pub const fn stays_open(mut self) -> Self {
        self.stays_open = true;
        self
    }

    /// Makes this job if all children completed.
    pub fn on_success(mut self, job: NewJob) -> Self {
        self.on_success = Some(job);
        self
    }

    /// Makes this job when all children have ended.
    pub fn on_complete(mut self, job: NewJob) -> Self {
        self.on_complete = Some(job);
        self
    }
}
