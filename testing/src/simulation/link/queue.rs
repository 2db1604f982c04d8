//! One machine's link to the queues and their dead letters.

use async_trait::async_trait;

use crate::simulation::invariants;
use crate::simulation::link::{Fate, Link, only};
use crate::simulation::world::at_once;
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, Receipt, ReceivedMessage, ServiceError,
    StaleMessages, VisibilityChange,
};

/// No message without its payload is larger than this, in bytes.
const MOST_WITHOUT_PAYLOAD: usize = 8 * 1024;

#[async_trait]
impl JobQueue for Link {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let one = |message: &Outgoing| {
            self.check_payload(&message.body);
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
        let one = |letter: &DeadLetter| {
            self.check_payload(&letter.message.body);
            let sent = only(at_once(self.world.queue.dead_letter(std::slice::from_ref(letter))));
            if sent.is_ok() {
                self.world.state().letters.push((self.world.now(), told(letter)));
                self.world.buried(letter);
            }
            sent
        };
        self.post(letters, |letter| format!("dead-letter: {}", letter.reason), one).await
    }
}

impl Link {
    /// Checks that a message which leaves its payload to its job's record may do so.
    fn check_payload(&self, body: &str) {
        if body.len() > MOST_WITHOUT_PAYLOAD {
            return;
        }
        let Ok(message) = JobMessage::decode(body, "unnamed", self.world.now()) else { return };
        if !message.payload_stored {
            return;
        }
        let id = &message.definition.id;
        let record = self.world.record(id);
        let watch = &mut self.world.state().watch;
        let has_ended = watch.job(id).finished.is_some();
        watch.check(invariants::a_copy_leaves_its_payload_to_a_record_that_has_it(
            id,
            record.as_ref(),
            has_ended,
        ));
    }
}

/// A dead letter as its queue lists it.
fn told(letter: &DeadLetter) -> DeadLettered {
    let DeadLetter { message, reason } = letter.clone();
    DeadLettered {
        queue: message.queue,
        message_id: message.message_id.clone(),
        original_message_id: Some(message.message_id),
        reason: Some(reason),
        sent_at: message.sent_at,
        body: message.body.to_string(),
    }
}

#[async_trait]
impl StaleMessages for Link {
    async fn receive(&self, queue: Queue) -> Result<Vec<ReceivedMessage>, ServiceError> {
        let receive = || at_once(StaleMessages::receive(&*self.world.queue, queue));
        let no_answer = || Err(ServiceError::new("call the queue", "it timed out"));
        match self.queue_fate().await {
            Fate::Done => receive(),
            Fate::AnswerLost => receive().and_then(|_| no_answer()),
            Fate::NoEffect | Fate::Throttled => no_answer(),
        }
    }

    async fn delete(&self, messages: &[ReceivedMessage]) -> Vec<Result<(), ServiceError>> {
        let one = |message: &ReceivedMessage| {
            only(at_once(StaleMessages::delete(&*self.world.queue, std::slice::from_ref(message))))
        };
        self.post(messages, |message| format!("delete a stale message of {}", message.queue), one).await
    }
}

#[async_trait]
impl DeadLetterQueue for Link {
    async fn list(&self, queue: Queue, limit: usize) -> Result<Vec<DeadLettered>, ServiceError> {
        at_once(DeadLetterQueue::list(&*self.world.queue, queue, limit))
    }
}
