//! Making jobs ours.
//!
//! A bare message seen for the first time is most likely a new job, so its claim is an insert; any
//! other has a record, so its claim is an update. Both are batched. A guess that was wrong is made good
//! in the next round, and so is a lost answer: the claim may have taken effect, and a claim that nobody
//! knows to be his own would be blamed for a crash when its lease ends.

use chrono::{DateTime, Utc};
use futures_util::future::join;

use super::dispose::{Requeued, misnamed};
use super::gate::{OUT_OF_TIME, fits};
use super::{Candidate, Invocation, JobProcessor, Ledger, Ready, Suspect};
use crate::job::{Claim, JobId, JobRecord};
use crate::message::JobMessage;
use crate::ports::{
    ClaimOutcome, ClaimRequest, Fence, InsertOutcome, ReceivedMessage, ReplaceOutcome, StoreError,
};
use crate::processor::backoff::Backoff;
use crate::processor::refused_claim::{CRASHED, RefusedClaim, judge};

/// What claiming came to.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) ready: Vec<Ready>,
    pub(super) suspects: Vec<Suspect>,
}

impl Claimed {
    pub(super) fn has(&self, id: &JobId) -> bool {
        let mut ready = self.ready.iter().map(|ready| ready.record.id());
        ready.any(|one| one == id) || self.suspects.iter().any(|suspect| suspect.record.id() == id)
    }
}

/// A candidate with the claim that is being put on it.
struct Attempted {
    candidate: Candidate,
    claim: Claim,
    doubt: Doubt,
}

/// Whether a claim may have taken effect that was not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Doubt(bool);

impl Doubt {
    /// Whether it is worth asking again at once. Where the store only asked for less there is no effect, but an
    /// earlier try may have had one.
    fn grows(&mut self, error: &StoreError) -> bool {
        self.0 |= !error.is_throttled();
        self.0
    }
}

/// How many rounds of claims follow lost answers, over 3 s.
const TROUBLED_ROUNDS: usize = 5;
/// How many rounds there are in all: a guess, its corrections while others write too, and those.
const ROUNDS: usize = 5 + TROUBLED_ROUNDS;
/// How often a takeover is tried whose answer is lost, over 2 s.
const TAKEOVERS: usize = 5;

/// What one round of claims came to.
#[derive(Default)]
struct Round {
    claimed: Claimed,
    /// Those without a record.
    unseen: Vec<Attempted>,
    /// Those with a record, or with none that is known of.
    known: Vec<Attempted>,
    /// Whether an answer was lost.
    is_troubled: bool,
}

impl Round {
    /// The round that was made of these two halves.
    fn merged(mut self, other: Self) -> Self {
        self.claimed.ready.extend(other.claimed.ready);
        self.claimed.suspects.extend(other.claimed.suspects);
        self.unseen.extend(other.unseen);
        self.known.extend(other.known);
        self.is_troubled |= other.is_troubled;
        self
    }

    /// Claims again what an answer was lost for; answers the claim back where that is pointless.
    fn ask_again(
        &mut self,
        mut attempted: Attempted,
        error: &StoreError,
        is_last: bool,
    ) -> Option<Attempted> {
        if is_last || !attempted.doubt.grows(error) {
            return Some(attempted);
        }
        self.is_troubled = true;
        self.known.push(attempted);
        None
    }
}

impl Attempted {
    /// The record of a job that nobody has seen before, claimed.
    fn new_record(&self, now: DateTime<Utc>) -> JobRecord {
        let Candidate { received, message, .. } = &self.candidate;
        JobRecord::accepted(message.definition.clone(), received.queue, received.sent_at, message.due_at)
            .claimed(self.claim.clone(), now)
    }

    fn request(&self, now: DateTime<Utc>) -> ClaimRequest {
        let JobMessage { definition, .. } = &self.candidate.message;
        let (id, name) = (definition.id.clone(), definition.name.clone());
        ClaimRequest { id, name, claim: self.claim.clone(), now }
    }

    fn ready(self, record: JobRecord) -> Ready {
        let Candidate { received, mut message, handler } = self.candidate;
        // From here on there is a record, and every copy that is sent must say so.
        message.recorded = true;
        Ready { received, message, handler, record, fence: Fence::Claim(self.claim.id) }
    }
}

impl JobProcessor {
    /// Claims the candidates. What can be had is answered; the rest is seen to.
    pub(super) async fn claim(
        &self,
        candidates: Vec<Candidate>,
        invocation: &Invocation,
        ledger: &Ledger,
    ) -> Claimed {
        let alone = candidates.len() == 1;
        let now = self.clock.now();
        let mut claimed = Claimed::default();
        let (mut unseen, mut known) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let is_new = candidate.received.receive_count == 1 && !candidate.message.recorded;
            let claim = self.new_claim(invocation, alone);
            let attempted = Attempted { candidate, claim, doubt: Doubt::default() };
            if !is_new {
                known.push(attempted);
            } else if attempted.candidate.handler.is_claimed() {
                unseen.push(attempted);
            } else {
                let record = attempted.new_record(now);
                claimed.ready.push(Ready { fence: Fence::Absent, ..attempted.ready(record) });
            }
        }
        let (mut waits, mut troubles) = (Backoff::new(), 0);
        for round in 1..=ROUNDS {
            let is_last = round == ROUNDS || troubles == TROUBLED_ROUNDS;
            let insert = self.insert_round(unseen, is_last, ledger);
            let update = self.update_round(known, is_last, invocation, ledger);
            let (inserts, updates) = join(insert, update).await;
            let round = updates.merged(inserts);
            claimed.ready.extend(round.claimed.ready);
            claimed.suspects.extend(round.claimed.suspects);
            (unseen, known) = (round.unseen, round.known);
            if is_last || unseen.is_empty() && known.is_empty() {
                break;
            }
            if round.is_troubled {
                troubles += 1;
                self.clock.sleep(waits.next()).await;
            }
        }
        let contended = unseen.into_iter().chain(known);
        let contended = contended.map(|attempted| Requeued::new(attempted.candidate, now));
        self.postpone(contended.collect(), ledger).await;
        claimed
    }

    async fn insert_round(&self, attempts: Vec<Attempted>, is_last: bool, ledger: &Ledger) -> Round {
        let mut round = Round::default();
        if attempts.is_empty() {
            return round;
        }
        let now = self.clock.now();
        let records: Vec<JobRecord> = attempts.iter().map(|attempted| attempted.new_record(now)).collect();
        let outcomes = self.store.insert(&records).await;
        for ((attempted, record), outcome) in attempts.into_iter().zip(records).zip(outcomes) {
            match outcome {
                Ok(InsertOutcome::Inserted) => round.claimed.ready.push(attempted.ready(record)),
                Ok(InsertOutcome::Exists) => round.known.push(attempted),
                Err(error) => {
                    if let Some(attempted) = round.ask_again(attempted, &error, is_last) {
                        self.store_failed(attempted.candidate, &error, ledger).await;
                    }
                }
            }
        }
        round
    }

    async fn update_round(
        &self,
        attempts: Vec<Attempted>,
        is_last: bool,
        invocation: &Invocation,
        ledger: &Ledger,
    ) -> Round {
        let mut round = Round::default();
        if attempts.is_empty() {
            return round;
        }
        let now = self.clock.now();
        let requests: Vec<ClaimRequest> = attempts.iter().map(|attempted| attempted.request(now)).collect();
        let outcomes = self.store.claim(&requests).await;
        for (attempted, outcome) in attempts.into_iter().zip(outcomes) {
            match outcome {
                Ok(ClaimOutcome::Claimed(record)) => round.claimed.ready.push(attempted.ready(*record)),
                Ok(ClaimOutcome::Refused(record)) => {
                    self.refused(attempted, *record, &mut round.claimed, invocation, ledger).await;
                }
                Ok(ClaimOutcome::Missing) => round.unseen.push(attempted),
                Err(error) => {
                    if let Some(attempted) = round.ask_again(attempted, &error, is_last) {
                        self.store_failed(attempted.candidate, &error, ledger).await;
                    }
                }
            }
        }
        round
    }

    /// Sees to a message whose job can't be claimed in the ordinary way.
    async fn refused(
        &self,
        attempted: Attempted,
        record: JobRecord,
        claimed: &mut Claimed,
        invocation: &Invocation,
        ledger: &Ledger,
    ) {
        let name = &attempted.candidate.message.definition.name;
        match judge(&record, name, &attempted.claim.id, self.clock.now()) {
            RefusedClaim::Ours => claimed.ready.push(attempted.ready(record)),
            RefusedClaim::Finished => release_duplicate(&attempted.candidate.received, &record, ledger),
            RefusedClaim::Wait(until, why) => {
                tracing::debug!(job_id = %record.id(), why, "deferred");
                self.postpone(vec![Requeued::new(attempted.candidate, until)], ledger).await;
            }
            RefusedClaim::RunAlone => {
                claimed.suspects.push(Suspect { candidate: attempted.candidate, record });
            }
            RefusedClaim::Blame => self.blame(attempted.candidate, record, invocation, ledger).await,
            RefusedClaim::Redriven => claimed.ready.extend(self.take_over(attempted, record, ledger).await),
            RefusedClaim::Misnamed => {
                let reason = misnamed(record.id(), &record.definition.name);
                self.bury(vec![(attempted.candidate.received, None, reason)], ledger).await;
            }
        }
    }

    /// Claims a job by the record that is there, whatever its state.
    async fn take_over(&self, attempted: Attempted, record: JobRecord, ledger: &Ledger) -> Option<Ready> {
        let now = self.clock.now();
        let record = record.claimed(attempted.claim.clone(), now);
        let (mut waits, mut doubt) = (Backoff::new(), Doubt::default());
        let mut outcome = self.store.replace(&record).await;
        for _ in 1..TAKEOVERS {
            if !outcome.as_ref().is_err_and(|error| doubt.grows(error)) {
                break;
            }
            self.clock.sleep(waits.next()).await;
            outcome = self.store.replace(&record).await;
        }
        match outcome {
            Ok(ReplaceOutcome::Replaced) => Some(attempted.ready(record)),
            Ok(ReplaceOutcome::Conflict(Some(current))) if current.holds(&attempted.claim.id) => {
                Some(attempted.ready(*current))
            }
            Ok(ReplaceOutcome::Conflict(_)) => {
                self.postpone(vec![Requeued::new(attempted.candidate, now)], ledger).await;
                None
            }
            Err(error) => {
                self.store_failed(attempted.candidate, &error, ledger).await;
                None
            }
        }
    }

    /// Claims a suspect, alone, now that its turn has come.
    pub(super) async fn claim_alone(
        &self,
        suspect: Suspect,
        invocation: &Invocation,
        ledger: &Ledger,
    ) -> Option<Ready> {
        let Suspect { candidate, mut record } = suspect;
        let now = self.clock.now();
        let timeout = candidate.handler.timeout(&candidate.message.definition);
        if invocation.stop.is_set() || !fits(timeout, now, invocation.deadline) {
            tracing::debug!(job_id = %record.id(), why = OUT_OF_TIME, "deferred");
            self.postpone(vec![Requeued::new(candidate, now)], ledger).await;
            return None;
        }
        record.isolated = true;
        let claim = self.new_claim(invocation, true);
        self.take_over(Attempted { candidate, claim, doubt: Doubt::default() }, record, ledger).await
    }

    /// Spends the attempt of a job that took its worker down.
    async fn blame(
        &self,
        candidate: Candidate,
        mut record: JobRecord,
        invocation: &Invocation,
        ledger: &Ledger,
    ) {
        let Candidate { received, message, handler } = candidate;
        let Some(claim) = record.claim.clone() else { return };
        record.isolated = true;
        let now = self.clock.now();
        let spent_all = record.failures >= handler.max_retries(&message.definition);
        let record = if spent_all {
            record.failed(CRASHED.to_owned(), now, None)
        } else {
            let wait = handler.retry().backoff(record.failures, &*self.entropy);
            record.retrying(CRASHED.to_owned(), now + wait, None)
        };
        tracing::warn!(
            job_id = %record.id(), job = %record.definition.name, attempt = record.failures,
            status = %record.status, error = CRASHED, "job failed"
        );
        let ended = super::attempt::Ended { received, message, record, fence: Fence::Claim(claim.id) };
        self.settle(vec![ended], invocation, ledger).await;
    }

    /// Lets a message come back when the store may answer again.
    async fn store_failed(&self, candidate: Candidate, error: &StoreError, ledger: &Ledger) {
        tracing::error!(job_id = %candidate.message.definition.id, error = error as &dyn std::error::Error,
            "the job can't be claimed; its message comes back");
        let until = self.after_trouble();
        self.postpone(vec![Requeued::new(candidate, until)], ledger).await;
    }
}

pub(super) fn release_duplicate(received: &ReceivedMessage, record: &JobRecord, ledger: &Ledger) {
    tracing::info!(
        job_id = %record.id(), status = %record.status, message_id = %received.message_id,
        "duplicate of a finished job"
    );
    ledger.release(received);
    ledger.count(|summary| summary.duplicates += 1);
}
