//! The steps of schedules that change: made, edited, disabled, deleted and put back, just before their occurrences and
//! inside the minutes for which occurrences are made ahead.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::simulation::plan::{Step, What};
use crate::simulation::recurring::{NAMES, Run, Runs, Shape};
use crate::simulation::scenario::Scenario;
use lambda_jobs_core::handler::{JobContext, JobError, JobHandler};

struct Recurring {
    name: &'static str,
    runs: Runs,
}

impl JobHandler for Recurring {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &str {
        self.name
    }

    async fn execute(&self, payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        let version = payload["version"].as_u64().unwrap_or_default();
        let run = Run { id: ctx.job_id().clone(), name: self.name, version };
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        Ok(())
    }
}

/// Schedules that change a few times each.
pub(super) fn changing(scenario: &mut Scenario) {
    for name in NAMES {
        let runs = Arc::clone(&scenario.runs);
        // Two schedules share the handlers.
        if scenario.register(Recurring { name, runs }).is_err() {
            break;
        }
    }
    let schedule = scenario.steps.len();
    let mut shape = Shape { every: 20, enabled: true, version: 0 };
    let mut after = scenario.dice().millis(0..60_000);
    let mut changes = vec![(after, Some(shape))];
    let mut is_there = true;
    for _ in 0..2 + scenario.dice().below(6) {
        let dice = scenario.dice();
        after += match dice.below(4) {
            0 => dice.millis(0..3_000),
            1 => dice.millis(3_000..40_000),
            _ => dice.millis(40_000..400_000),
        };
        match dice.below(6) {
            0 | 1 if is_there && shape.enabled => shape.enabled = false,
            2 if is_there => {
                is_there = false;
                changes.push((after, None));
                continue;
            }
            3 => shape.every = *dice.pick(&[20, 30, 60, 120]),
            _ if !is_there || !shape.enabled => {}
            _ => shape.version += 1,
        }
        if !is_there || dice.one_in(3) {
            shape.enabled = true;
        }
        is_there = true;
        changes.push((after, Some(shape)));
    }
    let lasts = after + Duration::from_mins(8);
    for (after, shape) in changes {
        scenario.steps.push(Step { after, what: What::Change { schedule, shape, lasts } });
    }
}
