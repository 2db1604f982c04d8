//! Calls that are made at about the same time, sent as one.
//!
//! Jobs of a batch ask the store for the same things at the same time, and each request costs as much as one
//! for all of them. So callers join a round, and the round makes one call.
//!
//! A shared call belongs to nobody, because its owner could vanish: a job may be cancelled or out of time at
//! any moment. Each caller that waits for a round polls it, so it goes on as long as one of them is there. It
//! ends with the last of them, and no later round waits for it. A caller's item stays part of the call even if
//! the caller is gone.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use crate::clock::BoxFuture;

/// Makes one call with the items of many callers; it returns answers in their order.
type Call<I, O> = dyn Fn(Vec<I>) -> BoxFuture<'static, Vec<O>> + Send + Sync;
/// The answers of a call. Each is taken once.
type Answers<O> = Arc<[Mutex<Option<O>>]>;
type Round<O> = Pin<Box<dyn Future<Output = Answers<O>> + Send>>;

/// Sends the calls of many callers as one.
pub(super) struct Batcher<I, O> {
    call: Arc<Call<I, O>>,
    open: Arc<Mutex<Option<Open<I, O>>>>,
}

/// A round that can still be joined.
struct Open<I, O> {
    brought: Arc<Items<I>>,
    round: WeakShared<Round<O>>,
}

/// The items of a round, until its call is made.
struct Items<I> {
    items: Mutex<Vec<I>>,
    count: AtomicUsize,
}

/// A caller's share in a round.
pub(super) struct Ticket<I, O> {
    at: usize,
    brought: Arc<Items<I>>,
    round: Shared<Round<O>>,
}

impl<I: Send + 'static, O: Send + 'static> Batcher<I, O> {
    pub(super) fn new(call: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<O>> + Send + Sync + 'static) -> Self {
        Self { call: Arc::new(call), open: Arc::default() }
    }

    /// Joins the open round, or a new one, which makes its call once `gathered` ends.
    pub(super) fn join<G>(&self, item: I, gathered: impl FnOnce() -> G) -> Ticket<I, O>
    where
        G: Future<Output = ()> + Send + 'static,
    {
        let mut open = lock(&self.open);
        if let Some(Open { brought, round }) = &*open
            && let Some(round) = round.upgrade()
        {
            return Ticket { at: brought.add(item), brought: Arc::clone(brought), round };
        }
        let brought = Arc::new(Items { items: Mutex::default(), count: AtomicUsize::new(0) });
        let at = brought.add(item);
        let round = self.round(Arc::clone(&brought), gathered()).shared();
        *open = round.downgrade().map(|round| Open { brought: Arc::clone(&brought), round });
        Ticket { at, brought, round }
    }

    fn round(&self, brought: Arc<Items<I>>, gathered: impl Future<Output = ()> + Send + 'static) -> Round<O> {
        let (call, open) = (Arc::clone(&self.call), Arc::clone(&self.open));
        Box::pin(async move {
            gathered.await;
            let items = {
                let mut open = lock(&open);
                if open.as_ref().is_some_and(|open| Arc::ptr_eq(&open.brought, &brought)) {
                    *open = None;
                }
                std::mem::take(&mut *lock(&brought.items))
            };
            call(items).await.into_iter().map(|answer| Mutex::new(Some(answer))).collect()
        })
    }
}

impl<I> Items<I> {
    fn add(&self, item: I) -> usize {
        let mut items = lock(&self.items);
        items.push(item);
        self.count.store(items.len(), Ordering::Relaxed);
        items.len() - 1
    }
}

impl<I, O> Ticket<I, O> {
    /// The answer to the caller's item; `None` if the call returned too few.
    pub(super) async fn answer(self) -> Option<O> {
        // Callers that are about to join in this turn join first.
        let mut seen = 0;
        loop {
            let count = self.brought.count.load(Ordering::Relaxed);
            if count == seen {
                break;
            }
            seen = count;
            next_turn().await;
        }
        let answers = self.round.await;
        let answer = answers.get(self.at)?;
        lock(answer).take()
    }
}

/// Lets all other tasks that are ready run first.
async fn next_turn() {
    let mut is_next = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_next, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves it whole, so a panic elsewhere can't have broken it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use chrono::{TimeZone, Utc};
    use futures_util::future::{join, join_all, poll_immediate};

    use super::*;
    use crate::clock::Clock;
    use crate::memory::PausedClock;

    /// A call that takes a second, doubles what it gets, and notes it.
    struct Bench {
        clock: PausedClock,
        calls: Arc<Mutex<Vec<Vec<u32>>>>,
        doubling: Batcher<u32, u32>,
    }

    impl Bench {
        fn new() -> Self {
            let clock = PausedClock::at(Utc.with_ymd_and_hms(2026, 11, 23, 8, 0, 0).unwrap());
            let calls: Arc<Mutex<Vec<Vec<u32>>>> = Arc::default();
            let (noted, time) = (Arc::clone(&calls), clock.clone());
            let doubling = Batcher::new(move |items: Vec<u32>| {
                lock(&noted).push(items.clone());
                let taken = time.sleep(Duration::from_secs(1));
                Box::pin(async move {
                    taken.await;
                    assert!(!items.contains(&13), "an unlucky number");
                    items.into_iter().filter(|item| *item != 0).map(|item| 2 * item).collect()
                })
            });
            Self { clock, calls, doubling }
        }

        async fn double(&self, number: u32) -> Option<u32> {
            self.doubling.join(number, || ready(())).answer().await
        }

        /// Joins a round that gathers for a second.
        fn ticket(&self, number: u32) -> Ticket<u32, u32> {
            self.doubling.join(number, || self.clock.sleep(Duration::from_secs(1)))
        }

        fn calls(&self) -> Vec<Vec<u32>> {
            lock(&self.calls).clone()
        }
    }

    #[test]
    fn who_asks_in_the_same_turn_is_answered_by_one_call_each_with_its_own_answer() {
        let bench = Bench::new();
        let answers = bench.clock.run(join_all((1..=10).map(|number| bench.double(number))));
        assert_eq!(answers, (1..=10).map(|number| Some(2 * number)).collect::<Vec<_>>());
        assert_eq!(bench.calls(), [(1..=10).collect::<Vec<_>>()]);
    }

    #[test]
    fn who_begins_as_others_are_let_go_on_one_by_one_is_waited_for() {
        let bench = Bench::new();
        let turns = futures_util::lock::Mutex::new(());
        let in_turn = async |number| {
            drop(turns.lock().await);
            bench.double(number).await
        };
        bench.clock.run(async {
            let first = turns.lock().await;
            let all = join_all((1..=10).map(in_turn));
            join(all, async { drop(first) }).await;
        });
        assert_eq!(bench.calls().len(), 1, "{:?}", bench.calls());
    }

    #[test]
    fn who_asks_while_a_call_is_under_way_is_answered_by_another() {
        let bench = Bench::new();
        let late = async {
            bench.clock.sleep(Duration::from_millis(500)).await;
            bench.double(2).await
        };
        assert_eq!(bench.clock.run(join(bench.double(1), late)), (Some(2), Some(4)));
        assert_eq!(bench.calls(), [[1], [2]]);
        assert_eq!(bench.clock.monotonic(), Duration::from_millis(1_500), "and waits for no other");
    }

    /// Waits for a ticket's answer for so many milliseconds, and then vanishes, as a killed environment does or in order.
    async fn vanish(bench: &Bench, ticket: Ticket<u32, u32>, after: u64, leak: bool) {
        let mut answer = Box::pin(ticket.answer());
        let until = bench.clock.sleep(Duration::from_millis(after));
        drop(futures_util::future::select(&mut answer, until).await);
        if leak {
            std::mem::forget(answer);
        }
    }

    #[test]
    fn whoever_vanishes_and_whenever_the_others_are_answered_and_nothing_is_lost() {
        for leak in [false, true] {
            // While others gather, and while the call is under way.
            for after in [0, 500, 1_000, 1_500] {
                let bench = Bench::new();
                let (first, others) = (bench.ticket(1), [2, 3].map(|number| bench.ticket(number)));
                let gone = vanish(&bench, first, after, leak);
                let answers = bench.clock.run(join(gone, join_all(others.map(Ticket::answer)))).1;
                assert_eq!(answers, [Some(4), Some(6)], "after {after} ms");
                assert_eq!(bench.calls(), [[1, 2, 3]], "after {after} ms");
                assert_eq!(bench.clock.monotonic(), Duration::from_secs(2));
            }
        }
    }

    #[test]
    fn whoever_comes_after_all_have_vanished_waits_for_nobody() {
        for after in [0, 500, 1_500] {
            let bench = Bench::new();
            let tickets = [1, 2].map(|number| bench.ticket(number));
            bench.clock.run(join_all(tickets.map(|ticket| vanish(&bench, ticket, after, false))));
            assert_eq!(bench.clock.run(bench.double(3)), Some(6));
            assert_eq!(bench.calls().last(), Some(&vec![3]));
        }
        let bench = Bench::new();
        let tickets = [1, 2].map(|number| bench.ticket(number));
        bench.clock.run(join_all(tickets.map(|ticket| vanish(&bench, ticket, 500, true))));
        assert_eq!(bench.clock.run(bench.double(3)), Some(6), "a killed environment's round is joined");
        assert_eq!(bench.calls(), [[1, 2, 3]]);
    }

    #[test]
    fn a_place_that_was_never_polled_holds_up_no_other() {
        let bench = Bench::new();
        let (idle, other) = (bench.ticket(1), bench.ticket(2));
        assert_eq!(bench.clock.run(other.answer()), Some(4));
        assert_eq!(bench.clock.run(poll_immediate(idle.answer())), None, "it lets others go on first");
    }

    #[test]
    fn a_call_that_panics_spoils_no_later_one() {
        let bench = Bench::new();
        let unlucky = catch_unwind(AssertUnwindSafe(|| bench.clock.run(bench.double(13))));
        assert!(unlucky.is_err());
        assert_eq!(bench.clock.run(bench.double(1)), Some(2));
    }

    #[test]
    fn an_answer_that_is_missing_is_none() {
        let bench = Bench::new();
        assert_eq!(bench.clock.run(bench.double(0)), None);
    }
}
