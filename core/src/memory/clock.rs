//! A clock that stands still until every task waits for it.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::{BoxFuture, Clock};

/// A clock for tests. [`run`](Self::run) advances it only when nothing else can happen, so a test of an hour's wait
/// takes no time and always ends the same way.
///
/// ```
/// use std::time::Duration;
/// use chrono::{TimeZone, Utc};
/// use lambda_jobs_core::{clock::Clock, memory::PausedClock};
///
/// let start = Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap();
/// let clock = PausedClock::at(start);
/// clock.run(clock.sleep(Duration::from_secs(3600)));
/// assert_eq!(clock.now() - start, chrono::TimeDelta::hours(1));
/// ```
#[derive(Clone, Debug)]
pub struct PausedClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    next_sleeper: u64,
    sleepers: BTreeMap<(DateTime<Utc>, u64), Waker>,
}

impl PausedClock {
    /// A clock that stands at this instant.
    #[must_use]
    pub fn at(start: DateTime<Utc>) -> Self {
        let state = State { start, now: start, next_sleeper: 0, sleepers: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Advances the clock and wakes the sleepers that are due.
    pub fn advance(&self, by: Duration) {
        let until = self.now() + by;
        self.move_to(until);
    }

    /// Polls a future to its end. Whenever nothing else can happen, advances the clock to the next sleeper.
    ///
    /// # Panics
    ///
    /// If the future waits for something that can't come: nothing woke it, and nothing sleeps.
    #[allow(clippy::panic, reason = "a test that would hang for ever has failed")]
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if woken.0.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                    return value;
                }
                continue;
            }
            let Some(next) = self.next_wake() else {
                panic!("the future waits for something that can't come")
            };
            self.move_to(next);
        }
    }

    fn next_wake(&self) -> Option<DateTime<Utc>> {
        self.state().sleepers.keys().next().map(|(at, _)| *at)
    }

    fn move_to(&self, until: DateTime<Utc>) {
        let due = {
            let mut state = self.state();
            state.now = state.now.max(until);
            let now = state.now;
            let later = state.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for PausedClock {
    fn now(&self) -> DateTime<Utc> {
        self.state().now
    }

    fn monotonic(&self) -> Duration {
        let state = self.state();
        (state.now - state.start).to_std().unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        let length = TimeDelta::from_std(duration).ok();
        let until = length.and_then(|length| state.now.checked_add_signed(length));
        let key = (until.unwrap_or(DateTime::<Utc>::MAX_UTC), state.next_sleeper);
        state.next_sleeper += 1;
        Box::pin(Sleep { clock: self.clone(), key })
    }
}

struct Sleep {
    clock: PausedClock,
    key: (DateTime<Utc>, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.key);
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
