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
        find: "if !request.fits(record) {",
        replace: "if record.definition.spec.name != request.name {",
    },
    Mutant {
        name: "claims a suspect among others",
        file: "job/record.rs",
        find: "self.due_at <= now && !self.isolated",
        replace: "self.due_at <= now",
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
        file: "manager/accept.rs",
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
        find: "Ok(()) => sent.push(record.without_payload().dispatched()),",
        replace: "Ok(()) => sent.push(record.without_payload().dispatched()),
                Err(_) if record.parked => sent.push(record.without_payload().dispatched()),",
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
        file: "manager/schedules/fire.rs",
        find: "let may_pass = matches!(error, EnqueueError::Service(_));",
        replace: "let may_pass = false;",
    },
    Mutant {
        name: "an occurrence has a new id whenever it is fired",
        file: "manager/schedules/fire.rs",
        find: "jobs.extend(made);",
        replace: "jobs.extend(made.into_iter().map(|job| NewJob { id: None, ..job }));",
    },
    Mutant {
        name: "what a change took back is lost, though the schedule makes it again",
        file: "manager/schedules/occurrences.rs",
        find: "Self::Earlier => record.yields_to(edition),",
        replace: "Self::Earlier => record.yields_to(edition) && !record.withdrawn,",
    },
    Mutant {
        name: "what was made ahead keeps its definition",
        file: "schedule/state.rs",
        find: "next_at: missed.into_iter().chain(new.next_run(now)).min(),",
        replace: "next_at: missed.or_else(|| new.next_run(now)),",
    },
    Mutant {
        name: "a message of an earlier edition runs",
        file: "ports/store.rs",
        find: "&& self.edition.is_none_or(|edition| definition.edition == Some(edition))",
        replace: "",
    },
    Mutant {
        name: "a tick ignores that its schedule has changed",
        file: "manager/schedules/fire.rs",
        find: "Ok(false) => self.agree_at_last(firing).await,",
        replace: "Ok(false) => Ok(()),",
    },
    Mutant {
        name: "a change takes nothing back",
        file: "schedule/state.rs",
        find: "withdrawing: self.unmade(old, new, now),",
        replace: "withdrawing: Vec::new(),",
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
        find: "let keep = TimeDelta::from_std(self.of(status)).ok()?;",
        replace: "let keep = TimeDelta::from_std(self.of(status) / 15).ok()?;",
    },
    Mutant {
        name: "two copies of one id in a batch",
        file: "processor/gate.rs",
        find: "copies.push(older(&mut candidates[*first.get()], candidate));",
        replace: "let _ = (first, &mut copies, older);
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
        file: "message/copy.rs",
        find: "whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Millis, true)",
        replace: "whole_millis(self.due_at).to_rfc3339_opts(SecondsFormat::Secs, true)",
    },
    Mutant {
        name: "a payload is read into a tree and written again",
        file: "message/decode.rs",
        find: "|text| Payload::within(body, text)",
        replace: "|text| {
                serde_json::from_str::<serde_json::Value>(text)
                    .map_or_else(|_| Payload::within(body, text), Payload::from)
            }",
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
        find: "if record.has_ended(&job.spec.name) {
        return RefusedClaim::Finished;",
        replace: "if record.has_ended(&job.spec.name) {
        return RefusedClaim::Redriven;",
    },
    Mutant {
        name: "a cancelled job may be claimed",
        file: "job/status.rs",
        find: "matches!(self, Self::Queued | Self::Scheduled | Self::Waiting | Self::Retrying)",
        replace: "matches!(self, Self::Queued | Self::Scheduled | Self::Waiting | Self::Retrying | Self::Cancelled)",
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
        find: "(_, Some(current)) if settlement.is_written_in(&current) => SettleOutcome::Settled,",
        replace: "(_, Some(current)) if settlement.is_written_in(&current) => {
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
        find: "if !next.revision.follows(current.revision) {",
        replace: "if next.revision < current.revision {",
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
        name: "cancels a job as a duplicate by the key of a stranger's message",
        file: "processor/unique.rs",
        find: "&& own.definition.unique_key == asked.unique_key",
        replace: "",
    },
    Mutant {
        name: "claims a job under the key of a stranger's message",
        file: "ports/store.rs",
        find: "&& definition.unique_key == self.unique_key",
        replace: "",
    },
    Mutant {
        name: "a refused copy fails the job whose id it has",
        file: "processor/dead_letters.rs",
        find: "!record.status.is_finished() && !is_covered_elsewhere && record.is_same_job(message)",
        replace: "let name = &message.spec.name;
    let _ = is_covered_elsewhere;
    !record.status.is_finished() && !record.is_leased(now) && record.definition.spec.name == *name",
    },
    Mutant {
        name: "renews the messages of jobs that have ended",
        file: "dispatcher/renewal.rs",
        find: "record.leaves_nothing_to(&job.definition) || is_covered",
        replace: "is_covered",
    },
    Mutant {
        name: "a batch of messages counts as sent if its first was",
        file: "processor/requeue.rs",
        find: "for (received, outcome) in resent.iter().zip(sent) {",
        replace: "let is_first_sent = sent.first().is_some_and(Result::is_ok);
        let sent = sent.into_iter().map(|one| if is_first_sent { Ok(()) } else { one });
        for (received, outcome) in resent.iter().zip(sent) {",
    },
    Mutant {
        name: "the dispatcher writes over what has changed since its index",
        file: "dispatcher/due.rs",
        find: "            for error in ports.store.replace_all(&sent).await.into_iter().filter_map(Result::err) {",
        replace: "            let outcomes = ports.store.replace_all(&sent).await;
            let mut over = Vec::new();
            for (record, outcome) in sent.iter().zip(&outcomes) {
                if let Ok(crate::ports::ReplaceOutcome::Conflict(Some(current))) = outcome {
                    over.push(JobRecord { revision: current.revision.next(), ..record.clone() });
                }
            }
            drop(ports.store.replace_all(&over).await);
            for error in outcomes.into_iter().filter_map(Result::err) {",
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
        name: "a number of failures alone opens a breaker",
        file: "breaker/trip.rs",
        find: "failures >= threshold && (are_in_a_row || are_most)",
        replace: "failures >= threshold || are_in_a_row || are_most",
    },
    Mutant {
        name: "successes do not count",
        file: "protection/breakers/counts.rs",
        find: "known.local.unwritten.count(now, call.counts, policy.monitoring_period());",
        replace: "if call.counts.failures > 0 || call.counts.slow > 0 {
                known.local.unwritten.count(now, call.counts, policy.monitoring_period());
            }",
    },
    Mutant {
        name: "a wish counts as a failure",
        file: "handler/calls.rs",
        find: " || error.hold().is_some()",
        replace: "",
    },
    Mutant {
        name: "nobody is told of a wish",
        file: "handler/calls.rs",
        find: "            self.heed(name, &outcome, took).await;\n",
        replace: "",
    },
    Mutant {
        name: "a hold lets every call through",
        file: "breaker/state.rs",
        find: "self.hold_on(tenant, now)\n            && self.phase",
        replace: "self.hold_on(tenant, now)\n            && false && self.phase",
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
    Mutant {
        name: "an error is kept whole, whatever an item holds",
        file: "processor/kept.rs",
        find: "const MAX_ERROR_BYTES: usize = 4 * 1024;",
        replace: "const MAX_ERROR_BYTES: usize = 4 * 1024 * 1024;",
    },
    Mutant {
        name: "a copy is larger than SQS takes it",
        file: "message/copy.rs",
        find: "    bytes <= MAX_BODY_BYTES",
        replace: "    bytes <= 2 * MAX_BODY_BYTES",
    },
    Mutant {
        name: "a copy leaves its payload to a record that has none",
        file: "processor/large_payloads.rs",
        find: "None => new.push(record),",
        replace: "None if record.trimmed => new.push(record),
            None => drop(stored.insert(record.definition.id)),",
    },
    Mutant {
        name: "a payload expires though its job waits",
        file: "job/retention.rs",
        find: "(self.record_until(record) > until).then(|| self.payload_until(record))",
        replace: "(self.record_until(record) > until + PAYLOAD_GRACE * 100).then(|| self.payload_until(record))",
    },
    Mutant {
        name: "goes by the caller's settings",
        file: "manager/settings.rs",
        find: "match &control.settings {",
        replace: "match &None::<crate::control::NotedSettings>.filter(|_| control.settings.is_some()) {",
    },
    Mutant {
        name: "lets a worker store its settings over the dispatcher's",
        file: "control/settings.rs",
        find: "if self.settings.is_some() { self.clone() }",
        replace: "if self.settings.as_ref().is_some_and(|noted| noted.settings == *settings) { self.clone() }",
    },
    Mutant {
        name: "stores settings that are stored already",
        file: "control/settings.rs",
        find: "noted.settings == *settings || noted.since",
        replace: "noted.since",
    },
    Mutant {
        name: "writes no end of a record's retention",
        file: "processor/settle.rs",
        find: "let record = record.parked_if_far(now).kept(retention);",
        replace: "let _ = retention;
        let record = record.parked_if_far(now);",
    },
    Mutant {
        name: "does not count dead letters",
        file: "processor/dead_letters.rs",
        find: "self.count_letters(counts).await;",
        replace: "drop(counts);",
    },
    Mutant {
        name: "counts a stranger's names by themselves",
        file: "processor/dead_letters.rs",
        find: ".filter(|name| registry.get(name).is_some());",
        replace: ".filter(|name| registry.get(name).is_some() || !name.is_empty());",
    },
    Mutant {
        name: "a batch does not take back what it said",
        file: "processor/mod.rs",
        find: "        batch.withdraw().await;
",
        replace: "",
    },
    Mutant {
        name: "a batch says that it runs for ever",
        file: "processor/running.rs",
        find: "until: self.lease_until, jobs };",
        replace: "until: self.lease_until + chrono::TimeDelta::days(1), jobs };",
    },
    Mutant {
        name: "a cleanup trims what may be redriven",
        file: "manager/cleanup/trim.rs",
        find: "!job.trimmed && !job.dead_lettered && last.is_before(job)",
        replace: "!job.trimmed && last.is_before(job)",
    },
    Mutant {
        name: "a batch is said to be counted before its root is sealed",
        file: "batches/close.rs",
        find: "        self.seal(batch, NodeId::Root, count).await?;
        // Last: from now on nobody closes it again.
        let counted = |head: BatchHead| ((), Some(BatchHead { total: Some(total), ..head }));
        self.change_head(batch, counted).await?;
",
        replace: "        let counted = |head: BatchHead| ((), Some(BatchHead { total: Some(total), ..head }));
        self.change_head(batch, counted).await?;
        self.seal(batch, NodeId::Root, count).await?;
",
    },
    Mutant {
        name: "a cancelled batch has a success",
        file: "batches/gather.rs",
        find: "is_complete && !head.abandoned && !head.cancelled;",
        replace: "is_complete && !head.abandoned;",
    },
    Mutant {
        name: "a full group is not marked in the root",
        file: "batches/mark.rs",
        find: "        while node.is_over() {",
        replace: "        while node.is_over() && !matches!(id, NodeId::Group(_)) {",
    },
    Mutant {
        name: "a failed child counts as completed",
        file: "batch/mod.rs",
        find: "JobStatus::Failed => Some(Self::Failed),",
        replace: "JobStatus::Failed => Some(Self::Completed),",
    },
    Mutant {
        name: "what follows a batch is made before its last child has ended",
        file: "batches/gather.rs",
        find: "        if !self.nodes.root(batch).await?.is_over() || self.takes_back(&head).await? {
            return Ok(self.waits(&head));
        }
        let tally = self.progress(&head).await?.tally;
        if !is_over(tally) {",
        replace: "        let tally = self.progress(&head).await?.tally;
        if tally.ended() + 1 < total {",
    },
];
