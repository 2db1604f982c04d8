//! The work of one tick, once a minute.
//!
//! SQS delays a message for up to 15 minutes; DynamoDB keeps a job longer, but wakes nobody. So once a minute the
//! dispatcher fires schedules and sends the parked jobs that are due within 5 minutes, each message with the
//! remaining delay. The queue ends the wait to the second, so a late tick delays nothing. Ticks may be two
//! minutes apart, lost, doubled or killed: the dispatcher looks further ahead than two of them, and may repeat
//! everything it does.
//!
//! Near its deadline it begins nothing new. The index holds the remaining work, and the next tick continues with
//! it.

mod due;
mod mappings;
mod notes;
mod renewal;
mod schedules;
mod stale;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use mappings::{Change, MappingReconciler, Reconciled, reconcile};
pub use renewal::RENEW_AGE;
pub use stale::{Renewed, renew_stale_messages};

use crate::manager::JobManager;
use notes::Notes;

/// Fires schedules and sends parked jobs, in one tick a minute. Two ticks at once do no harm.
pub struct Dispatcher {
    manager: Arc<JobManager>,
    notes: Notes,
    mappings: Option<MappingReconciler>,
    renews_stale_messages: bool,
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TickReport {
    /// Jobs that schedules made.
    pub fired: usize,
    /// Parked jobs whose messages were sent.
    pub dispatched: usize,
    /// Stale messages of paused queues that were sent again, before SQS deletes them.
    pub refreshed: usize,
    /// Schedules, parked jobs, messages and event sources for which a service failed. The next tick tries again.
    pub failed: usize,
    /// Whether work is left for the next tick: time ran out, or a service failed.
    pub is_partial: bool,
}

impl Dispatcher {
    /// How early the dispatcher sends a message. Two ticks may be 2 minutes apart, and one may be lost.
    pub const LOOK_AHEAD: Duration = crate::schedule::LOOK_AHEAD;
    /// Nothing new begins in this last part of the invocation: a stalled request takes 8 s.
    const MARGIN: Duration = Duration::from_secs(10);

    /// A dispatcher for this manager's jobs. If there are event sources, they follow the control item. Stores the
    /// settings that the manager was made with as the deployment's.
    #[must_use]
    pub fn new(manager: Arc<JobManager>) -> Self {
        let ports = manager.ports();
        let notes = Notes::new(ports.control.clone(), ports.clock.clone());
        let notes = notes.with_settings(manager.config().deployed());
        let reconciler = |sources| MappingReconciler::noting(notes.clone(), sources);
        let mappings = ports.event_sources.clone().map(reconciler);
        Self { manager, notes, mappings, renews_stale_messages: false }
    }

    /// Also sends stale messages of paused queues again, last in each tick.
    #[must_use]
    pub fn renewing_stale_messages(self) -> Self {
        Self { renews_stale_messages: true, ..self }
    }

    /// Does everything that is due, and begins nothing new near the deadline. Never fails: errors are logged, and a
    /// later tick tries again.
    pub async fn tick(&self, deadline: DateTime<Utc>) -> TickReport {
        let mut report = TickReport::default();
        report.failed += self.follow_control().await;
        self.fire_schedules(deadline, &mut report).await;
        self.send_due(deadline, &mut report).await;
        if self.renews_stale_messages {
            let renewed = renew_stale_messages(self.manager.ports(), deadline).await;
            report.refreshed += renewed.sent;
            report.failed += renewed.failed;
        }
        report.log();
        report
    }

    /// Notes the settings, and makes the event sources follow the control item. Returns how much failed.
    async fn follow_control(&self) -> usize {
        if let Some(mappings) = &self.mappings {
            return mappings.reconcile_once(self.manager.config().enabled).await.failed;
        }
        match self.notes.take(None).await {
            Ok(_) => 0,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "can't read the control item; the next tick notes the settings");
                1
            }
        }
    }

    fn is_late(&self, deadline: DateTime<Utc>) -> bool {
        let left = (deadline - self.manager.ports().clock.now()).to_std().unwrap_or_default();
        left <= Self::MARGIN
    }
}

impl TickReport {
    fn log(&self) {
        let Self { fired, dispatched, refreshed, failed, is_partial } = *self;
        if failed > 0 || is_partial {
            tracing::warn!(fired, dispatched, refreshed, failed, is_partial, "tick");
        } else if fired + dispatched + refreshed > 0 {
            tracing::info!(fired, dispatched, refreshed, "tick");
        } else {
            tracing::debug!("tick");
        }
    }
}
