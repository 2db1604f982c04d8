//! Jobs that have ended: how, and whether anything can still be done.

use super::text::{at, quoted};
use super::{Explanation, Reason};
use crate::job::JobRecord;

/// How the note of a duplicate begins; the id of the other job follows.
const DUPLICATE_OF: &str = "duplicate of ";

pub(super) fn completed(record: &JobRecord) -> Explanation {
    let when = record.completed_at.map_or_else(String::new, |end| format!(" at {}", at(end)));
    let detail = format!("it completed{when}, at attempt {}", record.attempt());
    Explanation::without_instant(Reason::Completed, detail)
}

pub(super) fn cancelled(record: &JobRecord) -> Explanation {
    let note = record.note.as_deref().unwrap_or("it was cancelled");
    match note.strip_prefix(DUPLICATE_OF) {
        Some(other) => {
            let detail =
                format!("job {} held its unique key, so this job is a duplicate of it", quoted(other));
            Explanation::without_instant(Reason::Duplicate, detail)
        }
        None => Explanation::without_instant(Reason::Cancelled, quoted(note)),
    }
}

pub(super) fn failed(record: &JobRecord) -> Explanation {
    let what = if record.definition.gathers && !record.dead_lettered {
        "its batch is over".to_owned()
    } else if record.dead_lettered {
        format!("its message is in the dead-letter queue of queue {}", record.queue)
    } else {
        match record.attempt() {
            1 => "its only attempt failed".to_owned(),
            attempts => format!("all {attempts} attempts failed"),
        }
    };
    let why = record.error.as_deref().map_or_else(String::new, |error| format!(": {}", quoted(error)));
    let outlook = if record.trimmed { "; a cleanup removed its payload, so it can't be retried" } else { "" };
    Explanation::without_instant(Reason::Exhausted, format!("{what}{why}{outlook}"))
}
