//! One machine's link to the queues and their dead letters.

use async_trait::async_trait;

use crate::simulation::link::{Link, only};
use crate::simulation::world::at_once;
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, Receipt, ServiceError, VisibilityChange,
};

#[async_trait]
impl JobQueue for Link {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let one = |message: &Outgoing| {
            let sent = only(at_once(self.world.queue.send(std::slice::from_ref(message))));
            if sent.is_ok() {
                self.world.accepted(&message.body);
            }
            sent
        };
        let what = |message: &Outgoing| format!("send to {} in {:?}", message.queue, message.delay);
        self.post(messages, what, one).await
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        let one = |deferral: &VisibilityChange| {
            only(at_once(self.world.queue.change_visibility(std::slice::from_ref(deferral))))
        };
        let what = |deferral: &VisibilityChange| {
            format!("defer a message of {} for {:?}", deferral.queue, deferral.wait)
        };
        self.post(deferrals, what, one).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        let one = |receipt: &Receipt| {
            only(at_once(JobQueue::delete(&*self.world.queue, std::slice::from_ref(receipt))))
        };
        self.post(receipts, |receipt| format!("delete a message of {}", receipt.queue), one).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        let one =
            |letter: &DeadLetter| only(at_once(self.world.queue.dead_letter(std::slice::from_ref(letter))));
        self.post(letters, |letter| format!("dead-letter: {}", letter.reason), one).await
    }
}

#[async_trait]
impl DeadLetterQueue for Link {
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, ServiceError> {
        at_once(DeadLetterQueue::list(&*self.world.queue, queue, limit))
    }
}
