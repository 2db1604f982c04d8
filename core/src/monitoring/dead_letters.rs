//! What health says of dead letters.
//!
//! Nobody runs a dead letter again by itself: a person has to look. So a single one makes a system unhealthy, for as
//! long as it lies in its queue.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::QueueStatus;
use crate::job::{JobId, JobRecord, Queue};
use crate::ports::DeadLettered;

/// How much of a reason an issue shows, in characters.
const SHOWN: usize = 300;

/// The newest dead letter, as far as records and queues tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewestDeadLetter {
    /// The queue it came from.
    pub queue: Queue,
    /// Its job, if its message could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// When it went to the dead-letter queue.
    pub at: DateTime<Utc>,
    /// Why no worker could run it.
    pub reason: String,
}

impl NewestDeadLetter {
    /// The newest among records of failed jobs.
    pub(crate) fn of_records<'a>(records: impl IntoIterator<Item = &'a JobRecord>) -> Option<Self> {
        let letter = |record: &JobRecord| {
            let (at, reason) = (record.completed_at?, record.error.clone()?);
            let job_id = Some(record.id().clone());
            record.dead_lettered.then_some(Self { queue: record.queue, job_id, at, reason })
        };
        records.into_iter().filter_map(letter).max_by_key(|letter| letter.at)
    }

    /// The newest among messages that give a reason.
    pub(crate) fn of_messages(messages: impl IntoIterator<Item = DeadLettered>) -> Option<Self> {
        let letter = |message: DeadLettered| {
            let DeadLettered { queue, reason, sent_at, .. } = message;
            Some(Self { queue, job_id: None, at: sent_at, reason: reason? })
        };
        messages.into_iter().filter_map(letter).max_by_key(|letter| letter.at)
    }
}

/// The issue if there are dead letters: how many, why the newest is one, and what to do.
pub(super) fn issue(status: &QueueStatus, newest: Option<&NewestDeadLetter>) -> Option<String> {
    if status.dead_letters == 0 {
        return None;
    }
    let of_queues: Vec<String> = status
        .queues
        .iter()
        .filter(|one| one.dead_letters > 0)
        .map(|one| format!("{} {}", one.queue, one.dead_letters))
        .collect();
    let newest = newest.map_or_else(String::new, |newest| {
        let id = newest.job_id.as_ref().map_or_else(String::new, |id| format!(" of job {id}"));
        format!("; the newest{id}: {}", excerpt(&newest.reason))
    });
    Some(format!(
        "dead letters: expected none, got {} ({}){newest}; list them with `dead-letters list`, repair the cause, then \
         redrive or purge their dead-letter queues in SQS",
        status.dead_letters,
        of_queues.join(", ")
    ))
}

/// The beginning of a reason, on one line.
fn excerpt(reason: &str) -> String {
    let ellipsis = if reason.chars().nth(SHOWN).is_some() { "..." } else { "" };
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    reason.chars().take(SHOWN).map(clean).chain(ellipsis.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitoring::OneQueue;

    fn status(letters: [u64; 2]) -> QueueStatus {
        let one = |(queue, dead_letters)| OneQueue {
            queue,
            size: 0,
            processing: 0,
            dead_letters,
            paused: false,
            pause: None,
        };
        QueueStatus {
            size: 0,
            processing: 0,
            completed: 0,
            failed: 0,
            dead_letters: letters.iter().sum(),
            paused: false,
            queues: [Queue::High, Queue::Webhooks].into_iter().zip(letters).map(one).collect(),
        }
    }

    fn newest(reason: &str) -> NewestDeadLetter {
        NewestDeadLetter {
            queue: Queue::High,
            job_id: "j-1".parse().ok(),
            at: DateTime::UNIX_EPOCH,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn any_dead_letter_is_an_issue_with_number_newest_reason_and_what_to_do() {
        let todo = "; list them with `dead-letters list`, repair the cause, then redrive or purge their dead-letter \
                    queues in SQS";
        assert_eq!(issue(&status([0, 0]), None), None);
        let expected = format!("dead letters: expected none, got 1 (webhooks 1){todo}");
        assert_eq!(issue(&status([0, 1]), None), Some(expected));
        let expected = format!(
            "dead letters: expected none, got 20 (high 18, webhooks 2); the newest of job j-1: no{todo}"
        );
        assert_eq!(issue(&status([18, 2]), Some(&newest("no"))), Some(expected));
    }

    #[test]
    fn a_hostile_reason_stays_short_and_on_one_line() {
        let told = issue(&status([1, 0]), Some(&newest(&"\n\u{1b}[2Jx".repeat(10_000)))).unwrap();
        assert!(told.len() < 1_000 && !told.contains(char::is_control), "{told}");
    }
}
