//! What comes of a stored schedule, with what an operator did to single occurrences.

use chrono::{DateTime, Utc};

use super::{JobManager, ScheduleError};
use crate::job::{JobId, JobStatus, ScheduleId};
use crate::ports::StoredSchedule;
use crate::schedule::{Note, Preview, preview};

impl JobManager {
    /// A stored schedule, and its first `count` occurrences from `from` on; see [`preview`]. An occurrence whose job was
    /// cancelled or rescheduled has a note. Costs a read per occurrence.
    pub async fn preview_schedule(
        &self,
        id: &ScheduleId,
        from: DateTime<Utc>,
        count: usize,
    ) -> Result<(StoredSchedule, Preview), ScheduleError> {
        let stored = self.schedule(id).await?;
        let mut shown = preview(&stored.schedule, from, count);
        let ids: Vec<JobId> =
            shown.occurrences.iter().filter_map(|one| stored.schedule.job_id(one.utc).ok()).collect();
        let found = if ids.is_empty() { Vec::new() } else { self.ports.store.heads(&ids).await? };
        let records = found.into_iter().flatten().map(|record| (record.id().clone(), record));
        let records: std::collections::HashMap<_, _> = records.collect();
        for item in &mut shown.occurrences {
            let id = stored.schedule.job_id(item.utc).ok();
            let Some(record) = id.and_then(|id| records.get(&id)) else { continue };
            if record.status == JobStatus::Cancelled {
                item.note = Some(Note::Cancelled(record.note.clone().unwrap_or_default()));
            } else if record.status.is_waiting() && record.due_at > item.utc {
                item.note = Some(Note::PutOff { until: record.due_at });
            }
        }
        Ok((stored, shown))
    }
}
