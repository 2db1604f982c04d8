//! Wakes those who follow the tables.
//!
//! Everything that the stack's tables tell was written through its port. So whoever shows or follows them waits for a
//! write, and an idle stack does nothing.

use std::time::Duration;

use tokio::sync::watch;

/// Tells when something was written to the tables. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Activity {
    writes: watch::Sender<()>,
    control: watch::Sender<u64>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { writes: watch::Sender::new(()), control: watch::Sender::new(0) }
    }
}

/// Sees every write since it was made.
#[derive(Debug)]
pub struct Follower(watch::Receiver<()>);

impl Activity {
    /// Notes that this action was answered; wakes the followers unless it only reads. `names_control` says whether its
    /// request names the control item.
    pub(super) fn note(&self, action: &str, names_control: bool) {
        let reads = ["Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List"];
        if !reads.iter().any(|read| action.starts_with(read)) {
            self.writes.send_replace(());
            if names_control {
                self.control.send_modify(|writes| *writes += 1);
            }
        }
    }

    /// Follows all writes from now on.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower(self.writes.subscribe())
    }

    /// How many writes of the control item were answered: it grows before the answer leaves.
    #[must_use]
    pub fn control_writes(&self) -> watch::Receiver<u64> {
        self.control.subscribe()
    }
}

impl Follower {
    /// Completes this long after a write. The writes until then make one wake-up.
    pub async fn written(&mut self, settle: Duration) {
        if self.0.changed().await.is_err() {
            // The stack has ended, so nothing will be written.
            std::future::pending::<()>().await;
        }
        if !settle.is_zero() {
            tokio::time::sleep(settle).await;
            self.0.mark_unchanged();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn many_writes_are_one_wake_up_and_reads_are_none() {
        let activity = Activity::default();
        let mut follower = activity.follow();
        activity.note("GetItem", true);
        activity.note("Query", true);
        assert!(follower.written(Duration::ZERO).now_or_never().is_none());
        activity.note("PutItem", false);
        activity.note("BatchExecuteStatement", false);
        follower.written(Duration::ZERO).await;
        assert!(follower.written(Duration::ZERO).now_or_never().is_none());
        activity.note("DeleteItem", false);
        follower.written(Duration::ZERO).await;
    }

    #[test]
    fn only_a_write_of_the_control_item_is_counted_as_one() {
        let activity = Activity::default();
        let writes = activity.control_writes();
        activity.note("GetItem", true);
        activity.note("UpdateItem", false);
        assert_eq!(*writes.borrow(), 0);
        activity.note("UpdateItem", true);
        assert_eq!(*writes.borrow(), 1);
    }
}
