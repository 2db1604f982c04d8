//! Locks on unique keys, as callers and workers take them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::{JobDefinition, JobId, JobRecord};
use crate::ports::{JobStore, KeyClaim, KeyOutcome, ServiceError, UniqueKeys};
use crate::unique::{KeyHold, Standing, standing};

/// How often a key is tried again that another job takes in between.
const ROUNDS: usize = 4;
/// How long a job waits for a key that other jobs keep taking.
const CONTENDED: TimeDelta = TimeDelta::seconds(5);

/// A key that a job needs.
#[derive(Clone, Debug)]
pub(crate) struct KeyRequest {
    pub(crate) key: String,
    pub(crate) job: JobId,
    pub(crate) keep: Option<Duration>,
}

/// Whether a job has its key.
#[derive(Debug)]
pub(crate) enum KeyLock {
    /// The job may start: it holds its key, or has ended and needs none.
    Ours,
    /// Another job holds it.
    Lost {
        /// That job.
        holder: JobId,
        /// Its record; absent for one of the same batch.
        record: Option<Box<JobRecord>>,
        /// The record of the job that asks.
        own: Option<Box<JobRecord>>,
    },
    /// Unknown until this instant.
    Unsure(DateTime<Utc>),
}

/// Takes keys.
pub(crate) struct KeyLocks<'a> {
    pub(crate) unique: &'a dyn UniqueKeys,
    pub(crate) store: &'a dyn JobStore,
    pub(crate) now: DateTime<Utc>,
}

/// A claim, and where its answer goes.
struct Claiming {
    at: usize,
    claim: KeyClaim,
}

type Answers = Vec<Option<Result<KeyLock, ServiceError>>>;

impl KeyRequest {
    /// The key of this job, if it needs one.
    pub(crate) fn of(job: &JobDefinition) -> Option<Self> {
        let key = job.unique_key.clone()?;
        Some(Self { key, job: job.id.clone(), keep: job.unique_for })
    }

    fn hold(self, now: DateTime<Utc>) -> KeyHold {
        let until = self.keep.and_then(|keep| now.checked_add_signed(TimeDelta::from_std(keep).ok()?));
        KeyHold { key: self.key, job: self.job, since: now, until }
    }
}

impl KeyLocks<'_> {
    /// Takes keys in as few requests as possible, and returns the results in order. Of several jobs with one key the
    /// first gets it, if any can. The caller has the messages of all these jobs, so each is sure to come.
    pub(crate) async fn take(&self, requests: Vec<KeyRequest>) -> Vec<Result<KeyLock, ServiceError>> {
        let mut answers: Answers = requests.iter().map(|_| None).collect();
        let mut coming = HashSet::new();
        let mut left: Vec<(usize, KeyRequest)> = requests.into_iter().enumerate().collect();
        while !left.is_empty() {
            let mut keys = HashSet::new();
            let (wave, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, one)| keys.insert(one.key.clone()));
            let ids: Vec<(usize, JobId)> = wave.iter().map(|(at, one)| (*at, one.job.clone())).collect();
            self.take_wave(wave, &coming, &mut answers).await;
            coming.extend(
                ids.into_iter()
                    .filter(|(at, _)| matches!(answers.get(*at), Some(Some(Ok(KeyLock::Ours)))))
                    .map(|(_, id)| id),
            );
            left = later;
        }
        answers.into_iter().flatten().collect()
    }

    async fn take_wave(
        &self,
        wave: Vec<(usize, KeyRequest)>,
        coming: &HashSet<JobId>,
        answers: &mut Answers,
    ) {
        let mut claiming: Vec<Claiming> = wave
            .into_iter()
            .map(|(at, one)| Claiming { at, claim: KeyClaim { hold: one.hold(self.now), replacing: None } })
            .collect();
        for _ in 0..ROUNDS {
            let claims: Vec<KeyClaim> = claiming.iter().map(|one| one.claim.clone()).collect();
            let outcomes = self.unique.hold(&claims).await;
            let mut taken = Vec::new();
            for (one, outcome) in claiming.into_iter().zip(outcomes) {
                match outcome {
                    Ok(KeyOutcome::Held) => answers[one.at] = Some(Ok(KeyLock::Ours)),
                    Ok(KeyOutcome::Taken(hold)) => taken.push((one, hold)),
                    Err(error) => answers[one.at] = Some(Err(error)),
                }
            }
            if taken.is_empty() {
                return;
            }
            claiming = self.take_over(taken, coming, answers).await;
            if claiming.is_empty() {
                return;
            }
        }
        for one in claiming {
            answers[one.at] = Some(Ok(KeyLock::Unsure(self.now + CONTENDED)));
        }
    }

    /// Reads the jobs that hold the keys. Returns new claims on the keys that can be taken over, and answers the others.
    async fn take_over(
        &self,
        taken: Vec<(Claiming, KeyHold)>,
        coming: &HashSet<JobId>,
        answers: &mut Answers,
    ) -> Vec<Claiming> {
        let records = match self.records_of(&taken).await {
            Ok(records) => records,
            Err(error) => {
                let again = error.to_string();
                for (one, _) in taken {
                    answers[one.at] =
                        Some(Err(ServiceError::new("read the jobs that hold keys", again.clone())));
                }
                return Vec::new();
            }
        };
        let mut free = Vec::new();
        for (Claiming { at, claim }, hold) in taken {
            let own = records.get(&claim.hold.job);
            let record = records.get(&hold.job);
            // A late message of a job that has ended must not take the key from later jobs.
            let has_ended = own.is_some_and(|own| own.status.is_finished() && !own.dead_lettered);
            let lost = || KeyLock::Lost {
                holder: hold.job.clone(),
                record: record.cloned().map(Box::new),
                own: own.cloned().map(Box::new),
            };
            if hold.job == claim.hold.job {
                match own {
                    Some(_) => answers[at] = Some(Ok(KeyLock::Ours)),
                    // It is about to be recorded: its provisional minute begins again.
                    None => free.push(renewed(at, hold, self.now)),
                }
                continue;
            }
            let taking = match standing(&hold, record, self.now) {
                _ if has_ended => KeyLock::Ours,
                Standing::Held => lost(),
                Standing::Unsure(_) if coming.contains(&hold.job) => lost(),
                Standing::Unsure(until) => KeyLock::Unsure(until),
                Standing::Free => {
                    free.push(Claiming { at, claim: KeyClaim { replacing: Some(hold), ..claim } });
                    continue;
                }
            };
            answers[at] = Some(Ok(taking));
        }
        free
    }

    /// The records of the jobs that ask and of those that hold.
    async fn records_of(
        &self,
        taken: &[(Claiming, KeyHold)],
    ) -> Result<HashMap<JobId, JobRecord>, ServiceError> {
        let mut seen = HashSet::new();
        let both = taken.iter().flat_map(|(one, hold)| [&one.claim.hold.job, &hold.job]);
        let ids: Vec<JobId> = both.filter(|id| seen.insert(*id)).cloned().collect();
        let found = self.store.heads(&ids).await?;
        Ok(found.into_iter().flatten().map(|record| (record.id().clone(), record)).collect())
    }
}

/// The claim of a job on its own key, which it keeps for as long as it was given at first.
fn renewed(at: usize, hold: KeyHold, now: DateTime<Utc>) -> Claiming {
    Claiming { at, claim: KeyClaim { hold: KeyHold { since: now, ..hold.clone() }, replacing: Some(hold) } }
}
