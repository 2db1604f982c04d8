//! Claiming jobs.
//!
//! A bare message on its first receive is most likely a new job, so its claim is an insert. Any other message
//! has a record, so its claim is an update. Both go out in batches. The next round corrects a wrong guess.
//!
//! A claim without an answer may have taken effect. The worker repeats it with the same claim id for up to 3 s.
//! Without that, the end of the forgotten lease would look like a crash, and the job would be blamed for it.

use chrono::{DateTime, Utc};
use futures_util::future::join;

use super::SqsBatch;
use super::backoff::Backoff;
use super::job::{Claimed, Job, Suspect};
use super::requeue::Requeued;
use crate::job::{Claim, JobId, JobRecord};
use crate::ports::{ClaimOutcome, ClaimRequest, Fence, InsertOutcome, ServiceError};

/// The jobs that claiming left to run.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) ready: Vec<Claimed>,
    pub(super) suspects: Vec<Suspect>,
    /// Jobs whose records have another unique key than their messages. Each message has that key by now.
    pub(super) rekeyed: Vec<Job>,
}

impl Claims {
    pub(super) fn has(&self, id: &JobId) -> bool {
        let mut ready = self.ready.iter().map(Claimed::id);
        ready.any(|one| one == id) || self.suspects.iter().any(|suspect| suspect.id() == id)
    }

    fn extend(&mut self, other: Self) {
        self.ready.extend(other.ready);
        self.suspects.extend(other.suspects);
        self.rekeyed.extend(other.rekeyed);
    }
}

/// A job and the claim to put on it.
pub(super) struct Claiming {
    pub(super) job: Job,
    pub(super) claim: Claim,
    doubt: Doubt,
}

/// Whether an unanswered claim may have taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt(bool);

impl Doubt {
    /// Whether it is worth asking again at once. A throttled request has no effect, but an earlier try may have had
    /// one.
    pub(super) fn grows(&mut self, error: &ServiceError) -> bool {
        self.0 |= !error.is_throttled();
        self.0
    }
}

/// How many rounds of claims follow lost answers, over 3 s.
const TROUBLED_ROUNDS: usize = 5;
/// The number of rounds in all: a guess, its corrections while others write too, and the rounds after lost answers.
const ROUNDS: usize = 5 + TROUBLED_ROUNDS;

/// The result of one round of claims.
#[derive(Default)]
struct Round {
    claims: Claims,
    /// Jobs without a record.
    unseen: Vec<Claiming>,
    /// Jobs with a record, or with a claim in doubt.
    known: Vec<Claiming>,
    /// Whether an answer was lost.
    is_troubled: bool,
}

impl Round {
    fn extend(&mut self, other: Self) {
        self.claims.extend(other.claims);
        self.unseen.extend(other.unseen);
        self.known.extend(other.known);
        self.is_troubled |= other.is_troubled;
    }

    /// Repeats an unanswered claim in the next round. Returns it if that is pointless.
    fn ask_again(&mut self, mut claiming: Claiming, error: &ServiceError, is_last: bool) -> Option<Claiming> {
        if is_last || !claiming.doubt.grows(error) {
            return Some(claiming);
        }
        self.is_troubled = true;
        self.known.push(claiming);
        None
    }
}

impl Claiming {
    pub(super) fn new(job: Job, claim: Claim) -> Self {
        Self { job, claim, doubt: Doubt::default() }
    }

    /// The first record of a new job, claimed.
    fn new_record(&self, now: DateTime<Utc>) -> JobRecord {
        self.job.accepted(self.job.message.due_at).claimed(self.claim.clone(), now)
    }

    fn request(&self, now: DateTime<Utc>) -> ClaimRequest {
        let definition = self.job.definition();
        let (id, name) = (definition.id.clone(), definition.spec.name.clone());
        let (unique_key, edition) = (definition.unique_key.clone(), definition.edition);
        ClaimRequest { id, name, unique_key, edition, claim: self.claim.clone(), now }
    }

    pub(super) fn claimed(self, mut record: JobRecord) -> Claimed {
        let Self { mut job, claim, .. } = self;
        // From here on there is a record, and every copy that is sent must say so.
        job.message.recorded = true;
        // The store may need it, to keep it for longer.
        record.definition.spec.payload = job.definition().spec.payload.clone();
        Claimed { job, record, fence: Fence::Claim(claim.id) }
    }

    /// A job that runs without a claim, because its delivery is at-least-once.
    fn unclaimed(self, now: DateTime<Utc>) -> Claimed {
        let record = self.new_record(now);
        Claimed { fence: Fence::Absent, ..self.claimed(record) }
    }
}

impl SqsBatch<'_> {
    /// Claims jobs. Returns those that may run, and settles or requeues the others.
    pub(super) async fn claim(&self, jobs: Vec<Job>) -> Claims {
        let alone = jobs.len() == 1;
        let mut claims = self.claim_all(jobs, alone).await;
        let rekeyed = std::mem::take(&mut claims.rekeyed);
        if !rekeyed.is_empty() {
            let jobs = self.take_keys(rekeyed).await;
            let mut again = self.claim_all(jobs, alone).await;
            let until = self.now();
            let changed = std::mem::take(&mut again.rekeyed).into_iter();
            self.defer(changed.map(|job| Requeued { job, until }).collect()).await;
            claims.extend(again);
        }
        claims
    }

    async fn claim_all(&self, jobs: Vec<Job>, alone: bool) -> Claims {
        let now = self.now();
        let mut claims = Claims::default();
        let (mut unseen, mut known) = (Vec::new(), Vec::new());
        for job in jobs {
            let claim = self.new_claim(alone);
            let claiming = Claiming::new(job, claim);
            if !claiming.job.is_new() {
                known.push(claiming);
            } else if claiming.job.handler.is_claimed() {
                unseen.push(claiming);
            } else {
                claims.ready.push(claiming.unclaimed(now));
            }
        }
        let (mut backoff, mut troubles) = (Backoff::new(), 0);
        for round in 1..=ROUNDS {
            let is_last = round == ROUNDS || troubles == TROUBLED_ROUNDS;
            let round = self.claim_round(unseen, known, is_last).await;
            claims.extend(round.claims);
            (unseen, known) = (round.unseen, round.known);
            if is_last || unseen.is_empty() && known.is_empty() {
                break;
            }
            if round.is_troubled {
                troubles += 1;
                self.processor.clock.sleep(backoff.next()).await;
            }
        }
        let contended = unseen.into_iter().chain(known);
        let contended = contended.map(|claiming| Requeued { job: claiming.job, until: now });
        self.defer(contended.collect()).await;
        claims
    }

    /// Inserts the records of unseen jobs, and claims known ones, at the same time.
    async fn claim_round(&self, unseen: Vec<Claiming>, known: Vec<Claiming>, is_last: bool) -> Round {
        let (inserts, mut round) =
            join(self.insert_round(unseen, is_last), self.update_round(known, is_last)).await;
        round.extend(inserts);
        round
    }

    async fn insert_round(&self, claimings: Vec<Claiming>, is_last: bool) -> Round {
        let mut round = Round::default();
        if claimings.is_empty() {
            return round;
        }
        let now = self.now();
        let records: Vec<JobRecord> = claimings.iter().map(|claiming| claiming.new_record(now)).collect();
        let outcomes = self.processor.store.insert(&records).await;
        for ((claiming, record), outcome) in claimings.into_iter().zip(records).zip(outcomes) {
            match outcome {
                Ok(InsertOutcome::Inserted) => round.claims.ready.push(claiming.claimed(record)),
                Ok(InsertOutcome::Exists) => round.known.push(claiming),
                Err(error) => {
                    if let Some(claiming) = round.ask_again(claiming, &error, is_last) {
                        self.store_failed(claiming.job, &error).await;
                    }
                }
            }
        }
        round
    }

    async fn update_round(&self, claimings: Vec<Claiming>, is_last: bool) -> Round {
        let mut round = Round::default();
        if claimings.is_empty() {
            return round;
        }
        let now = self.now();
        let requests: Vec<ClaimRequest> = claimings.iter().map(|claiming| claiming.request(now)).collect();
        let outcomes = self.processor.store.claim(&requests).await;
        for (claiming, outcome) in claimings.into_iter().zip(outcomes) {
            match outcome {
                Ok(ClaimOutcome::Claimed(record)) => round.claims.ready.push(claiming.claimed(*record)),
                Ok(ClaimOutcome::Refused(record)) => {
                    self.refused(claiming, *record, &mut round.claims).await;
                }
                Ok(ClaimOutcome::Missing) => round.unseen.push(claiming),
                Err(error) => {
                    if let Some(claiming) = round.ask_again(claiming, &error, is_last) {
                        self.store_failed(claiming.job, &error).await;
                    }
                }
            }
        }
        round
    }

    /// Defers a job until the store may answer again.
    pub(super) async fn store_failed(&self, job: Job, error: &ServiceError) {
        tracing::error!(job_id = %job.id(), error = error as &dyn std::error::Error,
            "the job can't be claimed; its message comes back");
        let until = self.after_trouble();
        self.defer(vec![Requeued { job, until }]).await;
    }
}
