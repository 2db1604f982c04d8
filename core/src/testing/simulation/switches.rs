//! One machine's way to the control item, and to the depths of the queues.

use async_trait::async_trait;

use super::link::Link;
use super::world::at_once;
use crate::control::Control;
use crate::job::Queue;
use crate::ports::{ControlStore, QueueDepth, QueueError, QueueStats, SaveOutcome, StoreError};

#[async_trait]
impl ControlStore for Link {
    async fn load(&self) -> Result<Control, StoreError> {
        self.asked(|| at_once(self.world.control.load())).await
    }

    async fn save(&self, control: &Control) -> Result<SaveOutcome, StoreError> {
        self.asked(|| at_once(self.world.control.save(control))).await
    }
}

#[async_trait]
impl QueueStats for Link {
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, QueueError>> {
        at_once(self.world.queue.depths(queues))
    }
}
