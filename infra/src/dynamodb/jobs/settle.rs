//! Writes how jobs ended, with their history and counters, in one call if they fit.
//!
//! History and counters go out before the store knows which settlements succeed. Nearly always all do. Afterwards the
//! store takes back the entries of the others, so that a job whose lease was lost is not counted.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use lambda_jobs_core::ports::{Fence, ServiceError, SettleCall, SettleOutcome, Settlement};
use lambda_jobs_core::{JobRecord, JobStatus};

use super::prolong::kept_until;
use super::record::{RECORD, RecordPayload, encode_new, encode_settled, job_pk};
use super::store::{DynamoJobStore, unwritable};
use super::{counters, history};
use crate::dynamodb::requests::{Condition, Failed, Outcome, Update, Write};
use crate::dynamodb::text;

/// The outcome of one settlement.
struct Answer {
    outcome: Result<SettleOutcome, ServiceError>,
    /// Whether its history and counters stay: this batch wrote the settlement, or may have.
    stands: bool,
}

impl DynamoJobStore {
    pub(super) async fn settle_batch(&self, batch: &SettleCall) -> Vec<Result<SettleOutcome, ServiceError>> {
        let (mut answers, mut payloads) = self.put_unclaimed_payloads(batch).await;
        let records: Vec<&JobRecord> = batch.settlements.iter().map(|one| &one.record).collect();
        let mut prolonged = self.prolong(&records).await;
        let mut writes = Vec::with_capacity(batch.settlements.len() + 2);
        for (at, (settlement, answer)) in batch.settlements.iter().zip(&mut answers).enumerate() {
            let until = prolonged.remove(&at).transpose();
            let written = until.and_then(|until| self.settle_write(settlement, payloads.remove(&at), until));
            match written {
                Ok(write) if answer.is_none() => writes.push(write),
                Ok(_) => {}
                Err(error) => *answer = Some(Answer { outcome: Err(error), stands: false }),
            }
        }
        let settling = writes.len();
        writes.extend(history::write(self.jobs(), batch, &batch.history(), &self.retention));
        let counting = writes.len();
        let counted = batch.counters();
        let state = &self.dynamo.tables().state;
        writes.extend(counted.iter().map(|(name, added)| counters::write(state, name, added)));

        let mut outcomes = self.dynamo.write_all("settle jobs in", &writes).await;
        let counter_outcomes = outcomes.split_off(counting);
        let noted = outcomes.split_off(settling);
        let mut settled = outcomes.into_iter();
        for (settlement, answer) in batch.settlements.iter().zip(&mut answers) {
            if answer.is_none() {
                *answer = match settled.next() {
                    Some(outcome) => Some(self.settle_answer(settlement, outcome).await),
                    None => None,
                };
            }
        }
        let unnoted = noted.into_iter().filter_map(|outcome| outcome.err().map(ServiceError::from));
        warn(unnoted, "can't write the history of a batch");
        let counted = counted.into_iter().zip(counter_outcomes).collect();
        let counted = counters::complete(&self.dynamo, counted).await;
        self.take_back(batch, &answers, &counted).await;
        let lost = || Err(self.unreadable("no answer came".to_owned()));
        answers.into_iter().map(|answer| answer.map_or_else(lost, |answer| answer.outcome)).collect()
    }

    /// Writes the large payloads of jobs that ran without a claim: they have no record yet. Returns all payloads of such
    /// jobs, by position.
    async fn put_unclaimed_payloads(
        &self,
        batch: &SettleCall,
    ) -> (Vec<Option<Answer>>, HashMap<usize, RecordPayload>) {
        let mut answers: Vec<Option<Answer>> = Vec::new();
        answers.resize_with(batch.settlements.len(), || None);
        let unclaimed = batch.settlements.iter().enumerate();
        let unclaimed = unclaimed.filter(|(_, settlement)| settlement.fence == Fence::Absent);
        let (positions, records): (Vec<usize>, Vec<&JobRecord>) =
            unclaimed.map(|(at, settlement)| (at, &settlement.record)).unzip();
        let (payloads, failed) = self.put_payloads(&records).await;
        for (at, error) in failed {
            answers[positions[at]] = Some(Answer { outcome: Err(error), stands: false });
        }
        (answers, positions.into_iter().zip(payloads).collect())
    }

    pub(super) fn settle_write(
        &self,
        settlement: &Settlement,
        payload: Option<RecordPayload>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Write, ServiceError> {
        let record = &settlement.record;
        let Fence::Claim(claim) = &settlement.fence else {
            let payload = payload.unwrap_or_else(|| RecordPayload::of(record, &self.retention));
            let item = encode_new(record, &payload).map_err(|error| unwritable(record, &error))?;
            return Ok(self.insert_write(record, item));
        };
        let settled = encode_settled(record).map_err(|error| unwritable(record, &error))?;
        let update = Update::default()
            .write(settled)
            .plus("rev", 1)
            .when(Condition::Equals("claim", text(claim.as_str())))
            .when(Condition::Is("status", JobStatus::Running.as_str()));
        let update = Update { silent: true, ..kept_until(update, until) };
        Ok(Write::update(self.jobs(), job_pk(record.id()), RECORD, update))
    }

    async fn settle_answer(&self, settlement: &Settlement, outcome: Result<Outcome, Failed>) -> Answer {
        let (item, resent) = match outcome {
            Ok(Outcome::Written(_)) => return Answer { outcome: Ok(SettleOutcome::Settled), stands: true },
            Ok(Outcome::Refused { item, resent }) => (item, resent),
            Ok(Outcome::Unknown) => (None, true),
            Err(Failed { error, lost }) => return Answer { outcome: Err(error), stands: lost },
        };
        match self.found(settlement.record.id(), item).await {
            Ok(Some(current)) if settlement.is_written_in(&current) => {
                Answer { outcome: Ok(SettleOutcome::Settled), stands: resent }
            }
            Ok(found) => Answer { outcome: Ok(SettleOutcome::Fenced(found.map(Box::new))), stands: false },
            Err(error) => Answer { outcome: Err(error), stands: resent },
        }
    }

    /// Takes back the history and the counters of settlements that this batch did not write.
    async fn take_back(&self, batch: &SettleCall, answers: &[Option<Answer>], counted: &[String]) {
        let stands = |answer: &Option<Answer>| answer.as_ref().is_some_and(|answer| answer.stands);
        if answers.iter().all(stands) {
            return;
        }
        let (written, unwritten): (Vec<_>, Vec<_>) =
            batch.settlements.iter().cloned().zip(answers).partition(|(_, answer)| stands(answer));
        let only = |part: Vec<(Settlement, _)>| SettleCall {
            settlements: part.into_iter().map(|(settlement, _)| settlement).collect(),
            ..batch.clone()
        };
        let (written, unwritten) = (only(written), only(unwritten));
        if !unwritten.history().is_empty() {
            let corrected = history::correct(&self.dynamo, batch, &written.history(), &self.retention).await;
            warn(
                corrected.err(),
                "can't correct the history of a batch: it lists jobs that the batch did not finish",
            );
        }
        for (name, added) in unwritten.counters() {
            if counted.contains(&name) {
                let corrected = counters::subtract(&self.dynamo, &name, &added).await;
                warn(
                    corrected.err(),
                    "can't correct a counter: it counts jobs that this batch did not finish",
                );
            }
        }
    }
}

fn warn(errors: impl IntoIterator<Item = ServiceError>, what: &str) {
    for error in errors {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
}
