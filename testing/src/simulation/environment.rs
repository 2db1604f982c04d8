//! One environment of the worker function, and its batch.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::link::{Link, Party, core_ports};
use crate::simulation::settings;
use crate::simulation::world::World;
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::handler::{JobRegistry, StopSignal};
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::ReceivedMessage;
use lambda_jobs_core::processor::{Invocation, JobProcessor, SqsBatchReport};

/// One environment of the worker function.
pub(super) struct Environment {
    pub(super) id: usize,
    pub(super) is_enabled: bool,
    pub(super) link: Arc<Link>,
    processor: Arc<JobProcessor>,
    is_prepared: bool,
    pub(super) busy: Option<Busy>,
}

impl Environment {
    /// A cold start.
    pub(super) fn start(
        world: &Arc<World>,
        registry: &Arc<JobRegistry>,
        id: usize,
        is_enabled: bool,
    ) -> Self {
        let link = Arc::new(Link::new(Arc::clone(world), Party::Worker(id)));
        let config = JobConfig { enabled: is_enabled, ..settings::of_workers(&world.config) };
        let processor = JobProcessor::new(Arc::clone(registry), config, &core_ports(&link));
        let processor = Arc::new(processor.with_observer(link.clone()));
        Self { id, is_enabled, link, processor, is_prepared: false, busy: None }
    }

    /// Starts a batch. If a number of polls is given, the environment is killed after it.
    pub(super) fn invoke(&mut self, queue: Queue, messages: Vec<ReceivedMessage>, polls_left: Option<u32>) {
        let world = &self.link.world;
        // Lambda states the deadline by the clock of the environment's machine.
        let time = TimeDelta::from_std(world.config.function_timeout).unwrap_or_default();
        let invocation = Invocation { deadline: self.link.now() + time, stop: StopSignal::never() };
        self.link.tell(|| format!("gets {} of {queue}", told(&messages)));
        world.state().watch.begun(self.id, world.clock.monotonic());
        let is_first = !std::mem::replace(&mut self.is_prepared, true);
        let (processor, batch) = (Arc::clone(&self.processor), messages.clone());
        let work: BoxFuture<'static, SqsBatchReport> = Box::pin(async move {
            // On Lambda this happens before the first invocation.
            if is_first {
                processor.prepare().await;
            }
            processor.process(batch, &invocation).await
        });
        self.busy = Some(Busy {
            queue,
            messages,
            deadline: world.now() + time,
            work,
            polls_left,
            stands_still_until: None,
            is_blocked: false,
        });
    }
}

/// A batch in an environment.
pub(super) struct Busy {
    pub(super) queue: Queue,
    pub(super) messages: Vec<ReceivedMessage>,
    pub(super) deadline: DateTime<Utc>,
    pub(super) work: BoxFuture<'static, SqsBatchReport>,
    /// The number of further polls before it is killed.
    pub(super) polls_left: Option<u32>,
    pub(super) stands_still_until: Option<DateTime<Utc>>,
    pub(super) is_blocked: bool,
}

fn told(messages: &[ReceivedMessage]) -> String {
    let ids: Vec<String> = messages
        .iter()
        .map(|message| format!("{}#{}", short(&message.message_id), message.receive_count))
        .collect();
    ids.join(" ")
}

/// A prefix of an id, long enough to tell it from the others.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
