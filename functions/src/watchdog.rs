//! Reports a job that blocks its thread.
//!
//! A timeout stops a future at its next `await`. Nothing inside the process can stop a handler that never reaches one
//! (a tight loop, a blocking call), and its batch would miss the deadline without a log line. So the watchdog's own
//! thread watches: it logs the job while it blocks, and ends the process half a second before the deadline, when it
//! can still write a log line. (The batch itself is answered one second before the deadline.) After such a crash the
//! leases decide: the other jobs of the batch are not blamed, and the job that blocked runs alone next.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use lambda_jobs_core::JobId;
use lambda_jobs_core::processor::RunObserver;

/// How long one poll may take before the job counts as blocking.
const SUSPICION: Duration = Duration::from_secs(2);
/// How long before the deadline the process ends.
const END_BEFORE: Duration = Duration::from_millis(500);

/// What to do when a job still blocks at the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBlocked {
    /// End the process. Lambda would end it a moment later, without a log line.
    EndProcess,
    /// Only log it, in a process that does more than run jobs.
    Report,
}

/// A job that blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedJob {
    /// Its id.
    pub job: JobId,
    /// The name of its handler.
    pub name: String,
    /// How long it has blocked.
    pub blocked_for: Duration,
}

/// Watches the polls of jobs.
#[derive(Clone)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    on_blocked: OnBlocked,
}

#[derive(Default)]
struct State {
    batches: usize,
    deadline: Option<Instant>,
    polls: HashMap<ThreadId, Poll>,
    closed: bool,
}

struct Poll {
    job: JobId,
    name: String,
    since: Instant,
    reported: bool,
}

impl Watchdog {
    /// Starts a watchdog and its thread.
    pub fn start(on_blocked: OnBlocked) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), on_blocked });
        let watched = Arc::clone(&shared);
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watched.watch_polls())?;
        Ok(Self { shared })
    }

    /// Watches a batch that must be answered within `time_left`.
    pub fn watch(&self, time_left: Duration) {
        let mut state = self.shared.state();
        state.batches += 1;
        state.deadline = state.deadline.max(Instant::now().checked_add(time_left));
        self.shared.changed.notify_all();
    }

    /// Ends the watch of a batch.
    pub fn rest(&self) {
        let mut state = self.shared.state();
        state.batches = state.batches.saturating_sub(1);
        if state.batches == 0 {
            state.deadline = None;
        }
    }

    /// The job that has blocked longest, if one blocks now.
    #[must_use]
    pub fn blocked(&self) -> Option<BlockedJob> {
        self.shared.state().longest_blocked(Instant::now()).map(Poll::as_blocked)
    }
}

impl State {
    fn longest_blocked(&mut self, now: Instant) -> Option<&mut Poll> {
        let oldest = self.polls.values_mut().min_by_key(|poll| poll.since)?;
        (now.saturating_duration_since(oldest.since) >= SUSPICION).then_some(oldest)
    }
}

impl Poll {
    fn as_blocked(&mut self) -> BlockedJob {
        BlockedJob { job: self.job.clone(), name: self.name.clone(), blocked_for: self.since.elapsed() }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch_polls(&self) {
        let mut state = self.state();
        while !state.closed {
            let Some(deadline) = state.deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let now = Instant::now();
            if let Some(poll) = state.longest_blocked(now) {
                self.report(poll, now + END_BEFORE >= deadline);
            }
            let nap = deadline.saturating_duration_since(now).min(SUSPICION / 4).max(END_BEFORE / 10);
            state = self.changed.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn report(&self, poll: &mut Poll, at_deadline: bool) {
        let BlockedJob { job, name, blocked_for } = poll.as_blocked();
        let blocked_ms = u64::try_from(blocked_for.as_millis()).unwrap_or(u64::MAX);
        if !std::mem::replace(&mut poll.reported, true) {
            tracing::error!(
                job_id = %job, job = %name, blocked_ms,
                "the handler blocks without yielding; no timeout can stop it, and its batch waits"
            );
        }
        if at_deadline && self.on_blocked == OnBlocked::EndProcess {
            tracing::error!(
                job_id = %job, job = %name, blocked_ms,
                "the handler still blocks at the deadline; ending the process"
            );
            std::process::exit(1);
        }
    }
}

impl RunObserver for Watchdog {
    fn entered(&self, job: &JobId, name: &str) {
        let poll = Poll { job: job.clone(), name: name.to_owned(), since: Instant::now(), reported: false };
        self.shared.state().polls.insert(std::thread::current().id(), poll);
    }

    fn left(&self) {
        self.shared.state().polls.remove(&std::thread::current().id());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The thread holds one handle, so this one is the last besides it.
        if Arc::strong_count(&self.shared) <= 2 {
            self.shared.state().closed = true;
            self.shared.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(name: &str, since: Instant) -> Poll {
        Poll { job: "job-1".parse().unwrap(), name: name.to_owned(), since, reported: false }
    }

    #[test]
    fn the_job_that_has_not_yielded_for_longest_is_named_and_a_quick_one_is_not() {
        let now = Instant::now();
        let mut state = State::default();
        state.polls.insert(std::thread::current().id(), poll("quick", now));
        assert!(state.longest_blocked(now + Duration::from_millis(1999)).is_none());
        let other = std::thread::spawn(|| std::thread::current().id()).join().unwrap();
        state.polls.insert(other, poll("stuck", now.checked_sub(Duration::from_secs(1)).unwrap()));
        let blocked = state.longest_blocked(now + Duration::from_secs(2)).unwrap().as_blocked();
        assert_eq!((blocked.name.as_str(), blocked.job.as_str()), ("stuck", "job-1"));
    }

    #[test]
    fn a_poll_that_returned_is_forgotten() {
        let watchdog = Watchdog::start(OnBlocked::Report).unwrap();
        watchdog.entered(&"job-1".parse().unwrap(), "quick");
        watchdog.left();
        assert!(watchdog.shared.state().polls.is_empty());
        assert_eq!(watchdog.blocked(), None);
    }
}
