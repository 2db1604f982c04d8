//! The local pollers as event sources, so that a pause works the same way as on AWS.

use std::collections::HashMap;

use async_trait::async_trait;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{ChangeOutcome, EventSource, EventSources, ServiceError, SourceState};

use crate::poller::Switch;

/// A switch for each queue, in this process.
pub(crate) struct LocalEventSources(HashMap<Queue, Switch>);

impl LocalEventSources {
    /// A switch for each queue, which follows what this one follows.
    pub(crate) fn following(switch: &Switch) -> Self {
        Self(Queue::ALL.into_iter().map(|queue| (queue, switch.another())).collect())
    }

    /// The switch of a queue's poller.
    pub(crate) fn switch(&self, queue: Queue) -> Switch {
        self.0.get(&queue).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl EventSources for LocalEventSources {
    async fn list(&self) -> Result<Vec<EventSource>, ServiceError> {
        let source = |(queue, switch): (&Queue, &Switch)| EventSource {
            id: queue.to_string(),
            queue: *queue,
            state: if switch.is_on() { SourceState::Enabled } else { SourceState::Disabled },
        };
        Ok(self.0.iter().map(source).collect())
    }

    async fn set_enabled(&self, id: &str, enabled: bool) -> Result<ChangeOutcome, ServiceError> {
        let found = Queue::from_name(id).and_then(|queue| self.0.get(&queue));
        let Some(switch) = found else {
            return Err(ServiceError::new(format!("change event source {id}"), "no such event source"));
        };
        switch.set(enabled);
        Ok(ChangeOutcome::Accepted)
    }
}
