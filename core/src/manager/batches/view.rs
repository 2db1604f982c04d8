//! What a batch looks like to a caller.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::{JobFilter, JobManager};
use super::BatchError;
use crate::batch::{BatchHead, Callback, PARENT, Tally};
use crate::job::{Children, JobId, JobStatus};
use crate::ports::ServiceError;

/// A batch, in the JSON that callers read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// Its id, and that of the job that waits.
    pub id: JobId,
    /// The status of the job that waits.
    pub status: JobStatus,
    /// Whether it takes no more children.
    pub closed: bool,
    /// How many children it has: so far, while it is open.
    pub total: u32,
    /// How many of them completed.
    pub completed: u32,
    /// How many failed for good.
    pub failed: u32,
    /// How many were cancelled, or were duplicates of other jobs.
    pub cancelled: u32,
    /// The job that is made if all completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<CallbackView>,
    /// The job that is made when all have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_complete: Option<CallbackView>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the job that waits ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// A job that follows a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallbackView {
    /// Its id.
    pub job_id: JobId,
    /// Its status; absent while it has not been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
}

/// A page of batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchPage {
    /// The batches.
    pub items: Vec<BatchView>,
    /// Where the next page begins.
    pub cursor: Option<String>,
}

impl JobManager {
    /// A batch with its progress; `None` if there is none with this id. Costs a request for 10,000 children.
    pub async fn batch(&self, id: &JobId) -> Result<Option<BatchView>, BatchError> {
        let Some(head) = self.batches().head(id).await? else { return Ok(None) };
        let progress = self.batches().progress(&head).await?;
        let callbacks = [&head.on_success, &head.on_complete];
        let mut ids = vec![id.clone()];
        ids.extend(callbacks.into_iter().flatten().map(|callback| callback.id.clone()));
        let mut found = self.ports.store.heads(&ids).await?.into_iter();
        let parent = found.next().flatten();
        let mut view = |callback: &Option<Callback>| {
            let callback = callback.as_ref()?;
            let status = found.next().flatten().map(|record| record.status);
            Some(CallbackView { job_id: callback.id.clone(), status })
        };
        Ok(Some(BatchView {
            id: id.clone(),
            status: parent.as_ref().map_or(JobStatus::Waiting, |parent| parent.status),
            closed: head.closed,
            total: head.total.unwrap_or(progress.total),
            completed: progress.tally.completed,
            failed: progress.tally.failed,
            cancelled: progress.tally.cancelled,
            on_success: view(&head.on_success),
            on_complete: view(&head.on_complete),
            created_at: head.created_at,
            ended_at: parent.and_then(|parent| parent.completed_at),
        }))
    }

    /// Batches that wait, or with this status, those that are due first or ended last first.
    pub async fn list_batches(
        &self,
        status: Option<JobStatus>,
        limit: usize,
        cursor: Option<String>,
    ) -> Result<BatchPage, BatchError> {
        let status = status.unwrap_or(JobStatus::Waiting);
        let name = (status != JobStatus::Waiting).then(|| PARENT.to_owned());
        let page = self.list(&JobFilter { status: Some(status), name, limit, cursor }).await?;
        let mut items = Vec::new();
        for job in page.items {
            items.extend(self.batch(&job.job_id).await?);
        }
        Ok(BatchPage { items, cursor: page.cursor })
    }

    /// How far the children of a job are; `None` if it has no batch.
    pub(in super::super) async fn children_of(&self, id: &JobId) -> Result<Option<Children>, ServiceError> {
        let Some(head) = self.batches().head(id).await? else { return Ok(None) };
        let progress = self.batches().progress(&head).await?;
        let Tally { completed, failed, cancelled } = progress.tally;
        Ok(Some(Children { total: head.total.unwrap_or(progress.total), completed, failed, cancelled }))
    }

    pub(super) async fn head_of(&self, id: &JobId) -> Result<BatchHead, BatchError> {
        let head = self.batches().head(id).await?;
        head.ok_or_else(|| BatchError::Unknown(id.clone()))
    }
}
