//! The mutants: ways to break the code on purpose.
//!
//! Each replaces a piece of source text that occurs once. If code changes and a piece is no longer found, rewrite the
//! mutant. Do not drop it: it stands for a plausible mistake. `simulate --mutants --check` names all mutants whose
//! piece is not found.
//!
//! Changes inside a function's body or a constant's value share one build. Any other change costs its own build.

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
        find: "if !record.is_claimable(request.now) || record.definition.spec.name != request.name {",
        replace: "if record.definition.spec.name != request.name {",
    },
    Mutant {
        name: "claims a suspect among others",
        file: "job/record.rs",
        find: "self.status.is_waiting() && self.due_at <= now && !self.isolated",
        replace: "self.status.is_waiting() && self.due_at <= now",
    },
    Mutant {
        name: "acks before it settles",
        file: "processor/attempt.rs",
        find: "Ended { job, settlement: Settlement { fence, record } }
    }",
        replace: "let gone = crate::ports::VisibilityChange {
            queue: job.received.queue,
            receipt_handle: job.received.receipt_handle.clone(),
            wait: std::time::Duration::from_hours(11),
        };
        let _ = self.processor.queue.change_visibility(&[gone]).await;
        Ended { job, settlement: Settlement { fence, record } }
    }",
    },
    Mutant {
        name: "takes a settlement that failed for a written one",
        file: "processor/settle.rs",
        find: "Err(error) => failed.push((ended, error)),",
        replace: "Err(_) => requeued.extend(self.settled(ended, SettleOutcome::Settled)),",
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
        file: "manager/retry.rs",
        find: "if self.ports.store.replace(&next).await? == ReplaceOutcome::Replaced {
                self.dispatch(next).await?;
                return Ok(RetryOutcome::Requeued);
            }",
        replace: "self.send_again(&next.clone().dispatched()).await?;
            if self.ports.store.replace(&crate::job::JobRecord { parked: false, ..next }).await? == ReplaceOutcome::Replaced {
                return Ok(RetryOutcome::Requeued);
            }",
    },
    Mutant {
        name: "an operator's retry forgets its message",
        file: "manager/send.rs",
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
        file: "schedule/mod.rs",
        find: "pub const LOOK_AHEAD: std::time::Duration = std::time::Duration::from_mins(5);",
        replace: "pub const LOOK_AHEAD: std::time::Duration = std::time::Duration::from_secs(30);",
    },
    Mutant {
        name: "acks a message whose job could not be parked",
        file: "processor/requeue.rs",
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
        name: "the receive count is the claim's id",
        file: "processor/claim.rs",
        find: "let claim = self.new_claim(alone);
            let claiming",
        replace: "let mut claim = self.new_claim(alone);
            claim.id = crate::job::ClaimId::from(job.received.receive_count.to_string());
            let claiming",
    },
    Mutant {
        name: "tombstones are trimmed after a day",
        file: "job/retention.rs",
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
        name: "a crash is blamed on every job of its batch",
        file: "processor/refused_claim.rs",
        find: "if held.alone || record.isolated { RefusedClaim::Blame } else { RefusedClaim::RunAlone }",
        replace: "RefusedClaim::Blame",
    },
    Mutant {
        name: "a snooze spends an attempt",
        file: "job/record.rs",
        find: "self.snoozes = self.snoozes.saturating_add(1);",
        replace: "self.snoozes = self.snoozes.saturating_add(1);
        self.failures = self.failures.saturating_add(1);",
    },
    Mutant {
        name: "a job that heeds its cancellation fails",
        file: "processor/outcome.rs",
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
        file: "processor/refused_claim.rs",
        find: "if held.alone || record.isolated { RefusedClaim::Blame } else { RefusedClaim::RunAlone }",
        replace: "RefusedClaim::RunAlone",
    },
    Mutant {
        name: "a suspect runs among others",
        file: "processor/takeover.rs",
        find: "claims.suspects.push(Suspect { job: claiming.job, record });",
        replace: "claims.ready.extend(self.take_over(claiming, record).await);",
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
        file: "processor/refused_claim.rs",
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
        file: "processor/state.rs",
        find: "let retained = order.into_iter().filter(|id| fates.get(id) != Some(&Fate::Acked)).collect();",
        replace: "drop((order, fates));
        let retained = Vec::new();",
    },
    Mutant {
        name: "acks a message that can't be sent again",
        file: "processor/requeue.rs",
        find: "Ok(()) => self.state.ack(received),
                Err(error) => tracing",
        replace: "_ if true => self.state.ack(received),
                Ok(()) => {}
                Err(error) => tracing",
    },
    Mutant {
        name: "acks a message that the dead-letter queue refused",
        file: "processor/dead_letters.rs",
        find: r#"Err(error) => tracing::error!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "can't be sent to the dead-letter queue; it comes back"
                ),"#,
        replace: "Err(_) => self.state.ack(&received),",
    },
    Mutant {
        name: "a delay is rounded down",
        file: "message/mod.rs",
        find: "whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Millis, true)",
        replace: "whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Secs, true)",
    },
    Mutant {
        name: "a short wait is never a fresh message",
        file: "processor/requeue.rs",
        find: "const FRESH_AFTER_RECEIVES: u32 = 10;",
        replace: "const FRESH_AFTER_RECEIVES: u32 = 1_000;",
    },
    Mutant {
        name: "a fresh message forgets when it is due",
        file: "processor/requeue.rs",
        find: "let copy = JobMessage { due_at: self.until, recorded: true, ..message.clone() };",
        replace: "let now = chrono::DateTime::UNIX_EPOCH;
        let copy = JobMessage { due_at: now, recorded: true, ..message.clone() };",
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
        find: "let limit = self.processor.clock.sleep(timeout);",
        replace: "let limit = self.processor.clock.sleep(timeout * 100);",
    },
    Mutant {
        name: "a finished job may run again",
        file: "processor/refused_claim.rs",
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
        file: "processor/outcome.rs",
        find: "if record.failures >= max_retries || error.is_permanent() {",
        replace: "if record.failures > max_retries || error.is_permanent() {",
    },
    Mutant {
        name: "a crash never uses up the last attempt",
        file: "processor/takeover.rs",
        find: "let spent_all = record.failures >= job.handler.max_retries(job.definition());",
        replace: "let spent_all = record.failures > job.handler.max_retries(job.definition());",
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
        name: "a throttled claim ends all doubt",
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
        find: "let is_unique = |one: &Job| one.message.definition.unique_key.is_some();",
        replace: "let is_unique = |one: &Job| one.message.definition.unique_key.is_none() && one.received.body.is_empty();",
    },
    Mutant {
        name: "takes over a key whose job has not ended",
        file: "unique/mod.rs",
        find: "Some(record) if !record.status.is_finished() => Standing::Held,",
        replace: "Some(record) if record.status.is_waiting() => Standing::Held,",
    },
    Mutant {
        name: "takes over a key whose job is not recorded yet",
        file: "unique/mod.rs",
        find: "None if now >= hold.since + PROVISIONAL => Standing::Free,",
        replace: "None if now >= hold.since => Standing::Free,",
    },
    Mutant {
        name: "takes over a key whose job is about to be claimed",
        file: "protection/key_locks.rs",
        find: "hold: KeyHold { since: now, ..hold.clone() }",
        replace: "hold: KeyHold { since: hold.since.min(now), ..hold.clone() }",
    },
    Mutant {
        name: "a breaker is cached for twenty seconds",
        file: "protection/breakers/mod.rs",
        find: "pub(crate) const CACHE: Duration = Duration::from_secs(2);",
        replace: "pub(crate) const CACHE: Duration = Duration::from_secs(20);",
    },
    Mutant {
        name: "a call is made though its breaker can't be read",
        file: "protection/breakers/mod.rs",
        find: "let Some(breaker) = self.fresh(name) else { return Err(Refusal::Unreadable) };",
        replace: "let Some(breaker) = self.fresh(name) else { return Ok(Permit { breaker: name.clone(), probe: None }) };",
    },
    Mutant {
        name: "probes without the lease",
        file: "protection/breakers/mod.rs",
        find: "Admission::Admitted => {",
        replace: "Admission::Probe => return Ok(Permit { breaker: name.clone(), probe: None }),
                Admission::Admitted => {",
    },
    Mutant {
        name: "a probe's lease ends while the call is made",
        file: "breaker/state.rs",
        find: "self.turned(Phase::HalfOpen { probe, lease_until }, now).written(now)",
        replace: "let lease_until = lease_until.min(now + TimeDelta::seconds(1));
        self.turned(Phase::HalfOpen { probe, lease_until }, now).written(now)",
    },
    Mutant {
        name: "a full bulkhead lets every batch call",
        file: "protection/breakers/mod.rs",
        find: "BulkheadDecision::Full(since) => return Err(Refusal::Full(since)),",
        replace: "BulkheadDecision::Full(_) => return Ok(Permit { breaker: name.clone(), probe: None }),",
    },
    Mutant {
        name: "a bulkhead has one lease too many",
        file: "bulkhead/state.rs",
        find: ">= terms.batches as usize",
        replace: "> terms.batches as usize",
    },
    Mutant {
        name: "a bulkhead's lease is not returned",
        file: "protection/breakers/leases.rs",
        find: "let leases = holder.release(all);",
        replace: "let mut leases = holder.release(all);
        leases.clear();",
    },
    Mutant {
        name: "a probe that is not made keeps its lease",
        file: "processor/protect.rs",
        find: "for job in &returned {
            self.return_probes(&job.probes).await;
        }",
        replace: "",
    },
    Mutant {
        name: "a probe is made whatever became of its breaker since",
        file: "handler/calls.rs",
        find: "            && self.guards.breakers.is_probing(name, probe).await\n",
        replace: "",
    },
    Mutant {
        name: "an attempt that does not make its probe keeps the lease",
        file: "handler/calls.rs",
        find: "for (breaker, probe) in probes {",
        replace: "for (breaker, probe) in probes.into_iter().filter(|_| timed_out) {",
    },
    Mutant {
        name: "jobs that wait for a breaker come back with its probe",
        file: "breaker/ramp.rs",
        find: "let seconds = if position == 0 { 0 } else { second_of(position) };",
        replace: "let seconds = if position == 0 { 0 } else { second_of(position) - second_of(position) };",
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
        file: "processor/outcome.rs",
        find: "Outcome::Failed(error) if error.is_deferral() =>",
        replace: "Outcome::Failed(error) if error.is_deferral() && error.is_permanent() =>",
    },
    Mutant {
        name: "a limit is asked and not heeded",
        file: "processor/protect.rs",
        find: "let is_let_through = answer.lets_through(position, crowd.returning);",
        replace: "let is_let_through = position < 1_000 || answer.lets_through(position, crowd.returning);",
    },
    Mutant {
        name: "a limit's lease is not returned",
        file: "processor/protect.rs",
        find: "if !leases.is_empty() {",
        replace: "if leases.len() > 1_000 {",
    },
    Mutant {
        name: "a crash keeps its lease of a limit for ever",
        file: "limit/state.rs",
        find: "self.leases.retain(|lease| lease.lease_until > now);",
        replace: "",
    },
    Mutant {
        name: "a limit's lease ends before its job",
        file: "processor/protect.rs",
        find: "lease_until: self.lease_until,",
        replace: "lease_until: self.now() + chrono::TimeDelta::seconds(1),",
    },
    Mutant {
        name: "a limit gives every token twice",
        file: "limit/state.rs",
        find: "later(full_at.max(now), times(rate.interval(), taken))",
        replace: "later(full_at.max(now), times(rate.interval(), taken / 2))",
    },
];
