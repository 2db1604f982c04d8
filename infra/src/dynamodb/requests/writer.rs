//! Sends many conditional writes in few calls.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    BatchStatementError, BatchStatementRequest, BatchStatementResponse, ReturnValuesOnConditionCheckFailure,
};
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use lambda_jobs_core::ports::ServiceError;

use super::attempt::{Attempt, is_unsupported};
use super::client::Dynamo;
use super::render::Statement;
use super::single;
use super::write::{Change, Failed, Outcome, Write};
use crate::address::{Failure, Fate};

/// The most statements that a call takes.
const MAX_STATEMENTS: usize = 25;
/// About how many bytes a call has at most, unless one write alone has more. DynamoDB takes more; with this bound, the
/// requests under way hold a few megabytes, whatever is written.
const MAX_CALL_BYTES: usize = 1024 * 1024;
/// How many calls of one request are under way at once.
const CONCURRENT_CALLS: usize = 4;
/// How many single writes of one request are under way at once.
const CONCURRENT_WRITES: usize = 8;
/// How many tries a write gets in all.
const TRIES: u32 = 4;
/// The wait before the second try; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

impl Dynamo {
    /// Sends writes, and returns their outcomes in order. `doing` names the action, for errors.
    ///
    /// Writes of one item go out one after the other, because a call must not name an item twice.
    pub(in crate::dynamodb) async fn write_all(
        &self,
        doing: &str,
        writes: &[Write],
    ) -> Vec<Result<Outcome, Failed>> {
        let mut answers: Vec<Option<Result<Outcome, Failed>>> = Vec::new();
        answers.resize_with(writes.len(), || None);
        for wave in waves(writes) {
            let mut calls = Vec::new();
            for chunk in chunks(wave, writes) {
                let chunk: Vec<(usize, &Write)> = chunk.into_iter().map(|at| (at, &writes[at])).collect();
                calls.push(self.write_chunk(doing, chunk).boxed());
            }
            let mut calls = stream::iter(calls).buffer_unordered(CONCURRENT_CALLS);
            while let Some(decided) = calls.next().await {
                for (at, answer) in decided {
                    answers[at] = Some(answer);
                }
            }
        }
        let lost = || Err(Failed { error: ServiceError::new(doing, "no answer came"), lost: true });
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }

    /// Sends the writes of one call, and repeats those that another try may help.
    async fn write_chunk(
        &self,
        doing: &str,
        writes: Vec<(usize, &Write)>,
    ) -> Vec<(usize, Result<Outcome, Failed>)> {
        let mut decided = Vec::with_capacity(writes.len());
        let mut pending: Vec<Pending<'_>> =
            writes.into_iter().map(|(at, write)| Pending { at, write, resent: false }).collect();
        let mut tries = 0;
        while !pending.is_empty() {
            tries += 1;
            let attempts = self.attempt(doing, &pending).await;
            let unsupported = attempts.iter().any(|attempt| matches!(attempt, Attempt::Unsupported));
            let mut again = Vec::new();
            for (mut one, attempt) in pending.into_iter().zip(attempts) {
                match one.outcome(attempt, tries == TRIES) {
                    Some(answer) => decided.push((one.at, answer)),
                    None => again.push(one),
                }
            }
            pending = again;
            if !pending.is_empty() && !unsupported {
                tokio::time::sleep(spread(FIRST_WAIT * 2_u32.pow(tries - 1))).await;
            }
        }
        decided
    }

    async fn attempt(&self, doing: &str, pending: &[Pending<'_>]) -> Vec<Attempt> {
        if !self.writes_singly() {
            return self.attempt_together(doing, pending).await;
        }
        let mut calls = Vec::with_capacity(pending.len());
        for one in pending {
            calls.push(single::send(self, doing, one.write).boxed());
        }
        stream::iter(calls).buffered(CONCURRENT_WRITES).collect().await
    }

    async fn attempt_together(&self, doing: &str, pending: &[Pending<'_>]) -> Vec<Attempt> {
        let statements: Vec<_> = pending.iter().filter_map(|one| request(one.write)).collect();
        let call = self.once().batch_execute_statement().set_statements(Some(statements));
        match call.send().await {
            Ok(output) => {
                let mut responses = output.responses.unwrap_or_default().into_iter();
                pending.iter().map(|one| self.answered(doing, one.write, responses.next())).collect()
            }
            Err(error) => {
                let failure = self.failure(&error);
                if is_unsupported(&failure) {
                    self.write_singly();
                    return pending.iter().map(|_| Attempt::Unsupported).collect();
                }
                pending.iter().map(|one| Attempt::failed(self, doing, one.write, &failure)).collect()
            }
        }
    }

    /// The outcome of one statement.
    fn answered(&self, doing: &str, write: &Write, response: Option<BatchStatementResponse>) -> Attempt {
        match response {
            Some(BatchStatementResponse { error: None, item, .. }) => Attempt::written(item),
            Some(BatchStatementResponse { error: Some(error), .. }) => self.refused(doing, write, error),
            None => {
                let reason = "the service answered fewer statements than it got".to_owned();
                let failure = Failure { code: String::new(), reason, fate: Fate::Unknown };
                Attempt::failed(self, doing, write, &failure)
            }
        }
    }

    fn refused(&self, doing: &str, write: &Write, error: BatchStatementError) -> Attempt {
        let code = error.code.as_ref().map_or("", |code| code.as_str()).to_owned();
        let fate = match code.as_str() {
            "ConditionalCheckFailed" | "DuplicateItem" => return Attempt::refused(error.item),
            "ProvisionedThroughputExceeded"
            | "ThrottlingError"
            | "RequestLimitExceeded"
            | "TransactionConflict" => Fate::Unheard,
            "InternalServerError" => Fate::Unknown,
            _ => Fate::Refused,
        };
        let reason = format!("{code}: {}", error.message.unwrap_or_default());
        Attempt::failed(self, doing, write, &Failure { code, reason, fate })
    }
}

/// A write without an outcome yet.
struct Pending<'a> {
    at: usize,
    write: &'a Write,
    /// Whether an earlier try may have had its effect.
    resent: bool,
}

impl Pending<'_> {
    /// The outcome after a try; `None` if the write needs another.
    fn outcome(&mut self, attempt: Attempt, is_last: bool) -> Option<Result<Outcome, Failed>> {
        match attempt {
            Attempt::Done(Ok(Outcome::Refused { item, .. })) => {
                Some(Ok(Outcome::Refused { item, resent: self.resent }))
            }
            Attempt::Done(Ok(outcome)) => Some(Ok(outcome)),
            Attempt::Done(Err(error)) => Some(Err(Failed { error, lost: self.resent })),
            Attempt::Unknown(_) if self.write.once => Some(Ok(Outcome::Unknown)),
            Attempt::Unheard(error) if is_last => Some(Err(Failed { error, lost: self.resent })),
            Attempt::Unknown(error) if is_last => Some(Err(Failed { error, lost: true })),
            Attempt::Unknown(_) => {
                self.resent = true;
                None
            }
            Attempt::Unheard(_) | Attempt::Unsupported => None,
        }
    }
}

/// The positions of the writes, split so that no part holds two of the same item.
fn waves(writes: &[Write]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut seen: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for (at, write) in writes.iter().enumerate() {
        let wave = seen.entry(write.target()).or_default();
        if *wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[*wave].push(at);
        *wave += 1;
    }
    waves
}

/// The positions of the writes of each call, bounded by count and bytes.
fn chunks(positions: Vec<usize>, writes: &[Write]) -> Vec<Vec<usize>> {
    let (mut chunks, mut chunk, mut bytes) = (Vec::new(), Vec::new(), 0);
    for at in positions {
        let more = writes[at].bytes();
        if chunk.len() == MAX_STATEMENTS || (!chunk.is_empty() && bytes + more > MAX_CALL_BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        chunk.push(at);
        bytes += more;
    }
    chunks.extend((!chunk.is_empty()).then_some(chunk));
    chunks
}

fn request(write: &Write) -> Option<BatchStatementRequest> {
    let Statement { text, parameters } = Statement::of(write);
    let mut request = BatchStatementRequest::builder().statement(text).set_parameters(Some(parameters));
    // The service refuses this option on an insert.
    if matches!(&write.change, Change::Update(update) if !update.silent) {
        request =
            request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    }
    // The builder requires the statement alone, and it is set.
    request.build().ok()
}

/// Half of a wait plus a random part of the other half, so that writers that failed together retry apart.
fn spread(wait: Duration) -> Duration {
    let half = wait / 2;
    let share = u32::try_from(getrandom::u64().unwrap_or_default() % 1000).unwrap_or_default();
    half + half * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::text;

    fn sizes(bytes: &[usize]) -> Vec<usize> {
        let write = |bytes: &usize| {
            let item = [("payload", text("x".repeat(*bytes)))];
            Write::insert("t", "p".to_owned(), "s", item)
        };
        let writes: Vec<Write> = bytes.iter().map(write).collect();
        chunks((0..writes.len()).collect(), &writes).into_iter().map(|chunk| chunk.len()).collect()
    }

    #[test]
    fn a_call_is_bounded_by_statements_and_bytes_and_a_giant_goes_alone() {
        assert_eq!(sizes(&[1; 60]), [25, 25, 10]);
        assert_eq!(sizes(&[400 * 1024; 5]), [2, 2, 1]);
        assert_eq!(sizes(&[1, MAX_CALL_BYTES + 1, 1]), [1, 1, 1]);
    }
}
