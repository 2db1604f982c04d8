//! What has to happen when a minute is over, though nobody sent a message.
//!
//! SQS holds a message for 15 minutes; DynamoDB holds everything longer and wakes nobody. So once a minute
//! the dispatcher looks into the due index and sends what comes due soon, each message with the delay that
//! is left: the queue, which keeps seconds, ends the wait, and a late tick delays nothing. Ticks may be
//! doubled, late or left out, so it looks further ahead than two of them, and everything it does may be
//! done again.

mod due;
mod mappings;
mod schedules;
mod stale;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use mappings::{Change, MappingReconciler, Reconciled, reconcile};
pub use stale::{Freshened, REFRESH_AGE, refreshed, renew_stale_messages};

use crate::manager::JobManager;

/// Fires schedules, and sends what has waited in the store. One tick each minute; two at once do no harm.
pub struct Dispatcher {
    manager: Arc<JobManager>,
    mappings: Option<MappingReconciler>,
    renews_stale_messages: bool,
}

/// What a tick came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TickReport {
    /// Jobs that schedules made.
    pub fired: usize,
    /// Parked jobs whose messages were sent.
    pub dispatched: usize,
    /// Messages of paused queues that were sent anew, because SQS would forget them.
    pub refreshed: usize,
    /// Schedules, parked jobs, messages and event sources for which a service did not answer; the next tick
    /// tries again.
    pub failed: usize,
    /// Whether anything was left to the next tick: time ran out, or a service did not answer.
    pub is_partial: bool,
}

impl Dispatcher {
    /// How far ahead of its time a message is sent: two ticks may be two minutes apart, one may be lost.
    pub const LOOK_AHEAD: Duration = crate::schedule::LOOK_AHEAD;
    /// What is left of the invocation when nothing new is begun: a stalled request takes 8 s.
    const MARGIN: Duration = Duration::from_secs(10);

    /// A dispatcher for the jobs of this manager. Makes its event sources, where it has some, follow what is paused.
    #[must_use]
    pub fn new(manager: Arc<JobManager>) -> Self {
        let ports = manager.ports();
        let reconciler =
            |sources| MappingReconciler::new(ports.control.clone(), sources, ports.clock.clone());
        let mappings = ports.event_sources.clone().map(reconciler);
        Self { manager, mappings, renews_stale_messages: false }
    }

    /// Sends anew what has waited too long in paused queues, last thing in each tick.
    #[must_use]
    pub fn renewing_stale_messages(self) -> Self {
        Self { renews_stale_messages: true, ..self }
    }

    /// Does what is due; begins nothing new when the deadline is near. Never fails: what did not work is
    /// logged, and done by a later tick.
    pub async fn tick(&self, deadline: DateTime<Utc>) -> TickReport {
        let mut report = TickReport::default();
        if let Some(mappings) = &self.mappings {
            report.failed += mappings.reconcile_once(self.manager.config().enabled).await.failed;
        }
        self.fire_schedules(deadline, &mut report).await;
        self.send_due(deadline, &mut report).await;
        if self.renews_stale_messages {
            let freshened = renew_stale_messages(self.manager.ports(), deadline).await;
            report.refreshed += freshened.sent;
            report.failed += freshened.failed;
        }
        report.log();
        report
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
