//! Counting dead letters.
//!
//! A job whose message goes to the dead-letter queue has failed, so it counts as failed. It counts under its own name
//! only if a handler has that name: any sender can make up names, and each name would make an item. All other dead
//! letters, unreadable ones too, count under one name.
//!
//! A letter is counted after it was sent, and at most once. A crash in between leaves it uncounted.

use std::collections::BTreeMap;

use super::SqsBatch;
use super::backoff::Backoff;
use crate::ports::Counters;

/// How often to try while the store asks for less.
const TRIES: usize = 5;

/// The names that dead letters of one batch count under.
#[derive(Default)]
pub(super) struct LetterCounts(BTreeMap<String, Counters>);

impl LetterCounts {
    /// Counts a dead letter that was sent.
    pub(super) fn add(&mut self, name: String) {
        self.0.entry(name).or_default().failed += 1;
    }
}

impl SqsBatch<'_> {
    /// Adds dead letters to the counters.
    pub(super) async fn count_letters(&self, counts: LetterCounts) {
        if counts.0.is_empty() {
            return;
        }
        let mut backoff = Backoff::new();
        for _ in 0..TRIES {
            match self.processor.store.count(&counts.0).await {
                Ok(()) => return,
                // It had no effect.
                Err(error) if error.is_throttled() => self.processor.clock.sleep(backoff.next()).await,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "dead letters may not be counted");
                    return;
                }
            }
        }
        tracing::warn!("dead letters are not counted: the store was throttled each time");
    }
}
