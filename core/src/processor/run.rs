//! Running the claimed jobs of a batch, at most `concurrency` at once.
//!
//! Ended jobs are settled together in one call, as soon as the last of the batch has ended. While others still run,
//! they wait at most 1 s: a slow batch mate must not make a retry late. One second before the invocation's deadline
//! the worker answers for the batch with the decisions made so far.

use std::time::Duration;

use futures_util::future::{Either, pending, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::SqsBatch;
use super::claim::Claims;
use super::early_delete::{Grouped, grouped};
use super::job::{Claimed, Ended, Suspect};
use super::slots::Slots;
use crate::clock::BoxFuture;
use crate::ports::Settlement;

/// How long an ended job waits for others to be settled with it.
const SETTLE_INTERVAL: Duration = Duration::from_secs(1);

/// Something that happened while a batch ran.
enum Event {
    Ended(Box<Ended>),
    Settled,
}

impl SqsBatch<'_> {
    /// Runs claimed jobs and settles them: first those that may run together, then each suspect alone. A suspect for
    /// which an earlier batch had no time left comes first, and the jobs that were to run together go back unspent:
    /// claimed beside it, they would share its next crash.
    pub(super) async fn run(&self, claims: Claims) {
        let (first, last): (Vec<_>, Vec<_>) =
            claims.suspects.into_iter().partition(|suspect| suspect.record.passed_over);
        if first.is_empty() {
            self.run_together(claims.ready).await;
        } else {
            self.give_way(claims.ready).await;
        }
        for suspect in first.into_iter().chain(last) {
            self.run_alone(suspect).await;
        }
    }

    /// Returns claimed jobs unspent, because a suspect runs first.
    async fn give_way(&self, ready: Vec<Claimed>) {
        if ready.is_empty() {
            return;
        }
        for claimed in &ready {
            self.done_calling(&claimed.job).await;
        }
        let now = self.now();
        let released = |Claimed { job, record, fence }| {
            let record = record.released(now, "a job that has to run alone goes first");
            Ended { job, settlement: Settlement { fence, record } }
        };
        self.settle(ready.into_iter().map(released).collect()).await;
    }

    /// Runs jobs, fairly by their tenants, and settles them together: at once when the last has ended, and every
    /// second before that.
    async fn run_together(&self, ready: Vec<Claimed>) {
        self.cancel_watch.enter(&ready);
        let mut slots = Slots::new(self.processor.config.concurrency, ready);
        let mut events: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
        let mut ended: Vec<Ended> = Vec::new();
        let mut settle_at: Option<BoxFuture<'static, ()>> = None;
        loop {
            while let Some(claimed) = slots.enter() {
                events.push(Box::pin(async move { Event::Ended(Box::new(self.attempt(claimed).await)) }));
            }
            if slots.are_idle() && !ended.is_empty() {
                settle_at = None;
                events.push(self.settling(std::mem::take(&mut ended), Vec::new()));
            }
            let timer = match settle_at.take() {
                Some(timer) => timer,
                None if ended.is_empty() => Box::pin(pending()),
                None => self.processor.clock.sleep(SETTLE_INTERVAL),
            };
            match select(events.next(), timer).await {
                Either::Left((None, _)) => return,
                Either::Left((Some(Event::Settled), timer)) => settle_at = Some(timer),
                Either::Left((Some(Event::Ended(end)), timer)) => {
                    slots.leave(end.job.tenant());
                    settle_at = (!ended.is_empty()).then_some(timer);
                    ended.push(*end);
                }
                Either::Right(((), _)) => {
                    let ended = std::mem::take(&mut ended);
                    let grouped = grouped(&ended, &slots);
                    events.push(self.settling(ended, grouped));
                }
            }
        }
    }

    /// Settles jobs, then deletes these messages of theirs while the batch goes on.
    fn settling(&self, ended: Vec<Ended>, grouped: Vec<Grouped>) -> BoxFuture<'_, Event> {
        Box::pin(async move {
            self.settle(ended).await;
            self.delete_early(grouped).await;
            Event::Settled
        })
    }

    /// Claims a suspect now that everything else is settled, and runs it.
    async fn run_alone(&self, suspect: Suspect) {
        if let Some(claimed) = self.claim_alone(suspect).await {
            self.cancel_watch.enter([&claimed]);
            let ended = self.attempt(claimed).await;
            self.settle(vec![ended]).await;
        }
    }
}
