//! The ways in which the code is broken on purpose.
//!
//! Each replaces a piece of source text that occurs once. When code changes and a piece is no longer found, the
//! mutant is to be rewritten, not dropped: it stands for a mistake that somebody may make.
//! `simulate --mutants --check` names all whose piece is not found.
//!
//! A change inside a function's body or a constant's value shares one build with the others. Any other change costs a
//! build of its own.

use super::Mutant;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "settles without the fence",
        file: "memory/store.rs",
        find: "if current.status == JobStatus::Running && current.holds(claim) =>",
        replace: "if !claim.as_str().is_empty() =>",
    },
    Mutant {
        name: "claims without a condition",
        file: "memory/store.rs",
        find: "if !record.is_claimable(request.now) || record.definition.name != request.name {",
        replace: "if record.definition.name != request.name {",
    },
    Mutant {
        name: "claims what a crash made a suspect, among others",
        file: "job/record.rs",
        find: "self.status.is_waiting() && self.due_at <= now && !self.isolated",
        replace: "self.status.is_waiting() && self.due_at <= now",
    },
    Mutant {
        name: "acks before it settles",
        file: "processor/attempt.rs",
        find: "Ended { received, message, record, fence }
    }",
        replace: "let gone = crate::ports::VisibilityChange {
            queue: received.queue,
            receipt_handle: received.receipt_handle.clone(),
            wait: std::time::Duration::from_hours(11),
        };
        let _ = self.queue.change_visibility(&[gone]).await;
        Ended { received, message, record, fence }
    }",
    },
    Mutant {
        name: "takes a settlement that failed for written",
        file: "processor/settle.rs",
        find: "Err(error) => failed.push((ended, error)),",
        replace: "Err(_) => postponed.extend(settled(ended, SettleOutcome::Settled, ledger)),",
    },
    Mutant {
        name: "records before it sends",
        file: "manager/enqueue.rs",
        find: "let outcomes = self.ports.queue.send(&outgoing).await;
        let mut answers",
        replace: "for (_, job) in &entering {
            let Entering { message, queue, .. } = job;
            let record = JobRecord::accepted(message.definition.clone(), *queue, now, message.due_at);
            if let Some(Err(error)) = self.ports.store.insert(&[record.cancelled(String::new(), now)]).await.pop() {
                tracing::warn!(%error);
            }
        }
        let outcomes = self.ports.queue.send(&outgoing).await;
        let mut answers",
    },
    Mutant {
        name: "an operator's retry sends before it records",
        file: "manager/steer.rs",
        find: "if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.dispatch(next).await?;
                return Ok(RetryOutcome::Requeued);
            }",
        replace: "self.send_again(&next.clone().dispatched()).await?;
            if self.ports.store.replace(&JobRecord { parked: false, ..next }).await? == ReplaceOutcome::Replaced {
                return Ok(RetryOutcome::Requeued);
            }",
    },
    Mutant {
        name: "an operator's retry forgets its message",
        file: "manager/steer.rs",
        find: "self.send_again(&record).await?;
        let id",
        replace: "let id",
    },
    Mutant {
        name: "an operator's retry has no due entry until its message is sent",
        file: "job/record.rs",
        find: "self.parked = true;
        self.note = Some(\"sent again by an operator\".to_owned());",
        replace: "self.note = Some(\"sent again by an operator\".to_owned());",
    },
    Mutant {
        name: "the dispatcher updates before it sends",
        file: "dispatcher/due.rs",
        find: "let outcomes = ports.queue.send(&messages).await;",
        replace: "let early: Vec<_> = records.iter().map(|record| record.clone().dispatched()).collect();
        drop(ports.store.replace_all(&early).await);
        let outcomes = ports.queue.send(&messages).await;",
    },
    Mutant {
        name: "the dispatcher takes what the queue refused for sent",
        file: "dispatcher/due.rs",
        find: "Ok(()) => sent.push(record.clone().dispatched()),",
        replace: "Ok(()) => sent.push(record.clone().dispatched()),
                Err(_) if record.parked => sent.push(record.clone().dispatched()),",
    },
    Mutant {
        name: "the dispatcher looks no further ahead than its next tick",
        file: "dispatcher/mod.rs",
        find: "pub const LOOK_AHEAD: Duration = Duration::from_mins(5);",
        replace: "pub const LOOK_AHEAD: Duration = Duration::from_secs(30);",
    },
    Mutant {
        name: "a message is let go though its job could not be parked",
        file: "processor/dispose.rs",
        find: "Ok(InsertOutcome::Inserted) if record.parked =>",
        replace: "_ if record.parked =>",
    },
    Mutant {
        name: "a schedule goes on though its jobs could not be made",
        file: "manager/schedules.rs",
        find: "let may_pass = matches!(error, EnqueueError::Service(_));",
        replace: "let may_pass = false;",
    },
    Mutant {
        name: "an occurrence has a new id whenever it is fired",
        file: "manager/schedules.rs",
        find: "planned.due.iter().filter_map(|one| made(&schedule, one.instant)).collect();",
        replace: "planned
                    .due
                    .iter()
                    .filter_map(|one| made(&schedule, one.instant))
                    .map(|job| NewJob { id: None, ..job })
                    .collect();",
    },
    Mutant {
        name: "the number of the receive stands for the claim's id",
        file: "processor/claim.rs",
        find: "let claim = self.new_claim(invocation, company);
            let attempted",
        replace: "let mut claim = self.new_claim(invocation, company);
            claim.id = crate::job::ClaimId::from(candidate.received.receive_count.to_string());
            let attempted",
    },
    Mutant {
        name: "tombstones are trimmed after a day",
        file: "retention.rs",
        find: "pub const MIN: Duration = Duration::from_hours(15 * 24);",
        replace: "pub const MIN: Duration = Duration::from_hours(24);",
    },
    Mutant {
        name: "two copies of one id in a batch",
        file: "processor/gate.rs",
        find: "if is_first { candidates.push(candidate) } else { copies.push(candidate) }",
        replace: "let _ = (is_first, &mut copies);
                    candidates.push(candidate);",
    },
    Mutant {
        name: "a crash is blamed on batch mates",
        file: "processor/judge.rs",
        find: "Company::Shared if !record.isolated => RefusedClaim::RunAlone,",
        replace: "Company::Shared if false => RefusedClaim::RunAlone,",
    },
    Mutant {
        name: "a snooze spends an attempt",
        file: "job/record.rs",
        find: "self.snoozes = self.snoozes.saturating_add(1);",
        replace: "self.snoozes = self.snoozes.saturating_add(1);
        self.failures = self.failures.saturating_add(1);",
    },
    Mutant {
        name: "who heeds its cancellation fails",
        file: "processor/attempt.rs",
        find: "Outcome::Failed(error) | Outcome::TimedOut(error) if terms.is_cancelled => {",
        replace: "Outcome::Failed(error) | Outcome::TimedOut(error) if terms.is_cancelled && error.is_permanent() => {",
    },
    Mutant {
        name: "a cancelled job is tried again",
        file: "processor/attempt.rs",
        find: "let record = if record.cancel_requested || cancel.is_set() {",
        replace: "let record = if cancel.is_set() {",
    },
    Mutant {
        name: "a crash is forgiven for ever",
        file: "processor/judge.rs",
        find: "Company::Shared | Company::Alone => RefusedClaim::Blame,",
        replace: "Company::Shared | Company::Alone => RefusedClaim::RunAlone,",
    },
    Mutant {
        name: "a suspect runs among others",
        file: "processor/claim.rs",
        find: "claimed.suspects.push(Suspect { candidate: attempted.candidate, record });",
        replace: "claimed.ready.extend(self.take_over(attempted, record, ledger).await);",
    },
    Mutant {
        name: "a deferral spends an attempt",
        file: "job/record.rs",
        find: "self.status = if self.failures > 0 { JobStatus::Retrying } else { JobStatus::Queued };",
        replace: "self.failures += 1;
        self.status = JobStatus::Retrying;",
    },
    Mutant {
        name: "a lease is ignored",
        file: "processor/judge.rs",
        find: "if held.lease_until > now {",
        replace: "if held.lease_until > now + chrono::TimeDelta::days(1) {",
    },
    Mutant {
        name: "a lease makes no allowance for clocks that differ",
        file: "config.rs",
        find: "pub const CLOCK_SKEW: Duration = Duration::from_secs(5);",
        replace: "pub const CLOCK_SKEW: Duration = Duration::ZERO;",
    },
    Mutant {
        name: "a job may ask for all the time that the function has",
        file: "config.rs",
        find: "pub const START_MARGIN: Duration = Duration::from_secs(2);",
        replace: "pub const START_MARGIN: Duration = Duration::ZERO;",
    },
    Mutant {
        name: "a batch is acked whole, whatever failed",
        file: "processor/ledger.rs",
        find: "let retained = order.into_iter().filter(|id| fates.get(id) != Some(&Fate::Released)).collect();",
        replace: "drop((order, fates));
        let retained = Vec::new();",
    },
    Mutant {
        name: "a message that can't be sent anew is let go of",
        file: "processor/dispose.rs",
        find: "Ok(()) => ledger.release(received),
                Err(error) => tracing",
        replace: "_ if true => ledger.release(received),
                Ok(()) => {}
                Err(error) => tracing",
    },
    Mutant {
        name: "a letter that can't be sent is let go of",
        file: "processor/dispose.rs",
        find: r#"Err(error) => tracing::error!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "can't be sent to the dead-letter queue; it comes back"
                ),"#,
        replace: "Err(_) => ledger.release(&received),",
    },
    Mutant {
        name: "a delay is rounded down",
        file: "message.rs",
        find: "whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Millis, true)",
        replace: "whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Secs, true)",
    },
    Mutant {
        name: "waiting is never a fresh message",
        file: "processor/dispose.rs",
        find: "const FRESH_AFTER_RECEIVES: u32 = 10;",
        replace: "const FRESH_AFTER_RECEIVES: u32 = 1_000;",
    },
    Mutant {
        name: "a fresh message forgets when it is due",
        file: "processor/dispose.rs",
        find: "let copy = JobMessage { due_at: self.until, recorded: true, ..self.message.clone() };",
        replace: "let now = chrono::DateTime::UNIX_EPOCH;
        let copy = JobMessage { due_at: now, recorded: true, ..self.message.clone() };",
    },
    Mutant {
        name: "a job that is not due is claimed",
        file: "processor/gate.rs",
        find: "if message.due_at > now {",
        replace: "if message.due_at > now + chrono::TimeDelta::seconds(10) {",
    },
    Mutant {
        name: "jobs start whatever time is left",
        file: "processor/gate.rs",
        find: "TimeDelta::from_std(needed).is_ok_and(|needed| deadline - now >= needed)",
        replace: "needed > Duration::ZERO && deadline > now",
    },
    Mutant {
        name: "the batch is not cut short at its deadline",
        file: "processor/mod.rs",
        find: "let cut = self.clock.sleep(time_left.saturating_sub(Self::ANSWER_MARGIN));",
        replace: "let cut = self.clock.sleep(time_left * 2);",
    },
    Mutant {
        name: "a job has no timeout",
        file: "processor/attempt.rs",
        find: "let limit = self.clock.sleep(timeout);",
        replace: "let limit = self.clock.sleep(timeout * 100);",
    },
    Mutant {
        name: "a finished job may run again",
        file: "processor/judge.rs",
        find: "JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => RefusedClaim::Finished,",
        replace: "JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => RefusedClaim::Redriven,",
    },
    Mutant {
        name: "a cancelled job may be claimed",
        file: "job/status.rs",
        find: "matches!(self, Self::Queued | Self::Scheduled | Self::Retrying)",
        replace: "matches!(self, Self::Queued | Self::Scheduled | Self::Retrying | Self::Cancelled)",
    },
    Mutant {
        name: "a failed attempt is not counted",
        file: "job/record.rs",
        find: "self.failures = self.failures.saturating_add(1);
        self.status = JobStatus::Retrying;",
        replace: "self.status = JobStatus::Retrying;",
    },
    Mutant {
        name: "retries have no end",
        file: "processor/attempt.rs",
        find: "let record = if record.failures >= max_retries || error.is_permanent() {",
        replace: "let record = if record.failures > max_retries || error.is_permanent() {",
    },
    Mutant {
        name: "a crash never uses up the last attempt",
        file: "processor/claim.rs",
        find: "let spent_all = record.failures >= handler.max_retries(&message.definition);",
        replace: "let spent_all = record.failures > handler.max_retries(&message.definition);",
    },
    Mutant {
        name: "a settlement that was written is counted again",
        file: "memory/store.rs",
        find: "(_, Some(current)) if settlement.is_written_in(current) => SettleOutcome::Settled,",
        replace: "(_, Some(current)) if settlement.is_written_in(current) => {
                self.note(&settlement.record);
                SettleOutcome::Settled
            }",
    },
    Mutant {
        name: "a store that asks for less ends all doubt",
        file: "processor/claim.rs",
        find: "self.0 |= !error.is_throttled();",
        replace: "self.0 = !error.is_throttled();",
    },
    Mutant {
        name: "a claim whose answer was lost is given up",
        file: "processor/claim.rs",
        find: "const TROUBLED_ROUNDS: usize = 5;",
        replace: "const TROUBLED_ROUNDS: usize = 0;",
    },
    Mutant {
        name: "a replacement ignores what changed meanwhile",
        file: "memory/store.rs",
        find: "if !record.revision.follows(current.revision) {",
        replace: "if record.revision < current.revision {",
    },
    Mutant {
        name: "runs unique jobs without asking for their keys",
        file: "processor/unique.rs",
        find: "let is_unique = |one: &Candidate| one.message.definition.unique_key.is_some();",
        replace: "let is_unique = |one: &Candidate| one.message.definition.unique_key.is_none() && one.received.body.is_empty();",
    },
    Mutant {
        name: "takes a key over whose job has not ended",
        file: "unique/mod.rs",
        find: "Some(record) if !record.status.is_finished() => Standing::Held,",
        replace: "Some(record) if record.status.is_waiting() => Standing::Held,",
    },
    Mutant {
        name: "takes a key over whose job is not recorded yet",
        file: "unique/mod.rs",
        find: "None if now >= hold.since + PROVISIONAL => Standing::Free,",
        replace: "None if now >= hold.since => Standing::Free,",
    },
    Mutant {
        name: "takes a key over whose job is about to be claimed",
        file: "unique/take.rs",
        find: "hold: KeyHold { since: now, ..hold.clone() }",
        replace: "hold: KeyHold { since: hold.since.min(now), ..hold.clone() }",
    },
    Mutant {
        name: "what was read of a breaker holds for twenty seconds",
        file: "breaker/fleet.rs",
        find: "pub(crate) const CACHE: Duration = Duration::from_secs(2);",
        replace: "pub(crate) const CACHE: Duration = Duration::from_secs(20);",
    },
    Mutant {
        name: "who can't read a breaker calls all the same",
        file: "breaker/fleet.rs",
        find: "let Some(breaker) = self.fresh(name) else { return Err(Refusal::Unreadable) };",
        replace: "let Some(breaker) = self.fresh(name) else { return Ok(Permit { breaker: name.clone(), probe: None }) };",
    },
    Mutant {
        name: "probes without the lease",
        file: "breaker/fleet.rs",
        find: "Admission::Admitted => {",
        replace: "Admission::Probe => return Ok(Permit { breaker: name.clone(), probe: None }),
                Admission::Admitted => {",
    },
    Mutant {
        name: "a prober's lease ends while it calls",
        file: "breaker/state.rs",
        find: "self.turned(Phase::HalfOpen { probe, lease_until }, now).written(now)",
        replace: "let lease_until = lease_until.min(now + TimeDelta::seconds(1));
        self.turned(Phase::HalfOpen { probe, lease_until }, now).written(now)",
    },
    Mutant {
        name: "everybody calls what does not answer promptly",
        file: "breaker/fleet.rs",
        find: "BulkheadDecision::Crowded(since) => return Err(Refusal::Crowded(since)),",
        replace: "BulkheadDecision::Crowded(_) => return Ok(Permit { breaker: name.clone(), probe: None }),",
    },
    Mutant {
        name: "one place more than there are is taken",
        file: "breaker/bulkhead.rs",
        find: ">= terms.batches as usize",
        replace: "> terms.batches as usize",
    },
    Mutant {
        name: "a place at what does not answer promptly is not given back",
        file: "breaker/fleet/places.rs",
        find: "let places = visitor.leaves(is_over);",
        replace: "let mut places = visitor.leaves(is_over);
        places.clear();",
    },
    Mutant {
        name: "a probe that is not made keeps its lease",
        file: "processor/protect.rs",
        find: "for one in &holds {
            self.return_probes(&one.probes).await;
        }",
        replace: "",
    },
    Mutant {
        name: "a probe is made whatever became of its breaker since",
        file: "breaker/call.rs",
        find: "            && self.breakers.is_probing(name, probe).await\n",
        replace: "",
    },
    Mutant {
        name: "an attempt that does not make its probe keeps the lease",
        file: "breaker/call.rs",
        find: "for (breaker, probe) in probes {",
        replace: "for (breaker, probe) in probes.into_iter().filter(|_| timed_out) {",
    },
    Mutant {
        name: "who waits for a breaker comes back with the probe",
        file: "breaker/line.rs",
        find: "let seconds = if place == 0 { 0 } else { second_of(place) };",
        replace: "let seconds = if place == 0 { 0 } else { second_of(place) - second_of(place) };",
    },
    Mutant {
        name: "waiting for a breaker spends an attempt",
        file: "job/record.rs",
        find: "self.parked = is_beyond_a_message(due_at, now);
        self.status = match",
        replace: "self.parked = is_beyond_a_message(due_at, now);
        self.failures += 1;
        self.status = match",
    },
    Mutant {
        name: "a refused call counts as a failure",
        file: "processor/attempt.rs",
        find: "Outcome::Failed(error) if error.is_deferral() =>",
        replace: "Outcome::Failed(error) if error.is_deferral() && error.is_permanent() =>",
    },
    Mutant {
        name: "a limit is asked and not heeded",
        file: "processor/protect.rs",
        find: "let is_let_through = answer.lets_through(place, crowd.returning);",
        replace: "let is_let_through = place < 1_000 || answer.lets_through(place, crowd.returning);",
    },
    Mutant {
        name: "a place in a limit is not given back",
        file: "processor/protect.rs",
        find: "if !places.is_empty() {",
        replace: "if places.len() > 1_000 {",
    },
    Mutant {
        name: "a crash keeps its place in a limit for ever",
        file: "limit/state.rs",
        find: "self.places.retain(|place| place.lease_until > now);",
        replace: "",
    },
    Mutant {
        name: "a place in a limit is free before its job is over",
        file: "processor/protect.rs",
        find: "lease_until: Self::lease_until(invocation),",
        replace: "lease_until: self.clock.now() + chrono::TimeDelta::seconds(1),",
    },
    Mutant {
        name: "a token in a limit is there twice",
        file: "limit/state.rs",
        find: "later(full_at.max(now), times(rate.interval(), taken))",
        replace: "later(full_at.max(now), times(rate.interval(), taken / 2))",
    },
];
