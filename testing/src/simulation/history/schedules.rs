//! Changing schedules, and the instants of jobs.

use std::time::Duration;

use chrono::{DurationRound, TimeDelta};
use serde_json::Value;

use crate::simulation::callers::Answer;
use crate::simulation::history::History;
use crate::simulation::plan::Expected;
use crate::simulation::recurring::Shape;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::schedule::occurrences_after;

impl History {
    /// Puts a schedule into a shape, or deletes it.
    pub(super) fn change(&mut self, schedule: usize, shape: Option<Shape>, lasts: Duration) -> bool {
        let id = format!("changing-{schedule}");
        let Some(shape) = shape else {
            let (manager, link) = self.callers.begin();
            let Ok(id) = id.parse() else { return false };
            let work =
                async move { manager.delete_schedule(&id).await.map_or(Answer::Nothing, |()| Answer::Done) };
            self.callers.ask(link, Box::pin(work));
            return true;
        };
        let start = self.world.start.duration_trunc(TimeDelta::minutes(1)).unwrap_or(self.world.start);
        let Some(schedule) = shape.schedule(&id, start, self.world.start + lasts) else { return false };
        let now = self.world.now();
        let occurrences: Vec<_> = occurrences_after(&schedule, now).collect();
        for occurrence in occurrences {
            let Ok(id) = schedule.job_id(occurrence.instant) else { return false };
            // Whether it runs follows from all of the changes.
            self.expect(&id, shape.name(), &Value::Null, Expected::Anything, occurrence.instant);
        }
        let (manager, link) = self.callers.begin();
        let work =
            async move { manager.put_schedule(schedule).await.map_or(Answer::Nothing, |_| Answer::Done) };
        self.callers.ask(link, Box::pin(work));
        true
    }

    /// Makes a job due at another instant.
    pub(super) fn reschedule(&mut self, of: usize, wait: Duration) -> bool {
        let Some(id) = self.jobs.get(&of).cloned() else { return false };
        let (manager, link) = self.callers.begin();
        let due_at = link.now() + wait;
        {
            let mut state = self.world.state();
            let job = state.watch.job(&id);
            job.due = Some(job.due.map_or(due_at, |earlier| earlier.min(due_at)));
        }
        let work =
            async move { manager.reschedule(&id, due_at).await.map_or(Answer::Nothing, |_| Answer::Done) };
        self.callers.ask(link, Box::pin(work));
        true
    }
}
