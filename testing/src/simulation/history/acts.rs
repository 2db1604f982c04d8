//! Carrying out the steps of a history.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::simulation::callers::Answer;
use crate::simulation::faults::Fault;
use crate::simulation::history::History;
use crate::simulation::odd;
use crate::simulation::outside::Outside;
use crate::simulation::plan::{Expected, Order, RefusedField, Twist, What};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::job::{JobId, JobRecord, NewJob, Payload, Queue};
use lambda_jobs_core::manager::{CancelOutcome, CleanupOptions};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::Outgoing;
use lambda_jobs_core::schedule::{Schedule, occurrences_after};

impl History {
    /// Carries out one step, unless it is a forbidden fault.
    pub(super) fn take(&mut self, number: usize, what: &What) {
        let fault = what.fault();
        if fault.is_some_and(|fault| !self.world.state().allowed.contains(&fault)) {
            return;
        }
        self.world.tell(|| "step".to_owned(), || format!("{number}: {what}"));
        let happened = if fault.is_some() { self.go_wrong(what) } else { self.act(number, what) };
        self.world.expire();
        let mut state = self.world.state();
        state.stirred = true;
        if happened && let Some(fault) = fault {
            state.counts.note(fault);
        }
    }

    /// Lets a caller or an operator act. Returns whether there was anything to do.
    fn act(&mut self, number: usize, what: &What) -> bool {
        match what {
            What::Send { queue, body, expected } => {
                self.send(number, *queue, body, *expected);
                if body.get("id").is_some() && self.world.state().strikes(Fault::FiredTwice, 3) {
                    self.send(number, *queue, body, *expected);
                }
            }
            What::Poison { queue, body, reason } => {
                let is_sent = self.world.queue.send_body(*queue, body).is_ok();
                *self.poison.entry((*queue, reason)).or_default() += usize::from(is_sent);
            }
            What::Enqueue { job, expected } => self.enqueue(number, (**job).clone(), *expected),
            What::Schedule { every, times } => return self.schedule(number, *every, *times),
            What::Change { schedule, shape, lasts } => return self.change(*schedule, *shape, *lasts),
            What::Reschedule { of, wait } => return self.reschedule(*of, *wait),
            What::Trouble { dependency, trouble, lasts } => {
                self.scenario.outside.trouble(*dependency, *trouble, self.world.clock.monotonic() + *lasts);
            }
            What::Order { dependency, order } => self.order(*dependency, *order),
            What::Again { of } => self.again(*of),
            What::Copy { of, twist } => return self.copy(*of, *twist),
            What::Batch { children, times } => self.batch(number, children, *times),
            What::CancelBatch { of, child } => return self.cancel_batch(*of, *child),
            What::RetryBatch { of, child } => return self.retry_batch(*of, *child),
            What::Cancel { of } => return self.cancel(*of),
            What::Retry { of } => return self.retry(*of),
            What::Redrive => Queue::ALL.iter().for_each(|queue| self.world.queue.redrive(*queue)),
            What::Cleanup { keep } => self.cleanup(*keep),
            _ => return false,
        }
        true
    }

    /// Lets a fault happen. Returns whether it has already happened.
    fn go_wrong(&mut self, what: &What) -> bool {
        let now = self.world.now();
        match what {
            What::Kill { pick, polls } => {
                self.fleet.kill(*pick, *polls);
                // The environment counts the fault when it happens.
                return false;
            }
            What::Stall { pick, lasts } => return self.fleet.stall(*pick, now + *lasts),
            What::DeliverAgain { pick } => return self.fleet.deliver_again(*pick),
            What::StoreOutage { lasts } => self.world.state().store_back = now + *lasts,
            What::SharedOutage { lasts } => self.world.state().shared_back = now + *lasts,
            What::QueueOutage { lasts } => self.world.state().queue_back = now + *lasts,
            What::Pause { scope, lasts } => self.fleet.mappings.pause(*scope, now + *lasts),
            What::TurnOff { lasts } => self.fleet.turn_off(now + *lasts),
            _ => return false,
        }
        true
    }

    fn send(&mut self, number: usize, queue: Queue, body: &Value, expected: Expected) {
        let text = odd::json_of(body);
        let Ok(message_id) = self.world.queue.send_body(queue, &text) else { return };
        let now = self.world.now();
        let Ok(message) = JobMessage::decode(&text, &message_id, now) else { return };
        let id = message.definition.id;
        let delay = body.get("delay").and_then(Value::as_u64).unwrap_or_default();
        self.jobs.insert(number, id.clone());
        self.expect(&id, &message.definition.spec.name, body, expected, now + Duration::from_millis(delay));
        let mut state = self.world.state();
        let job = state.watch.job(&id);
        job.is_accepted = true;
        job.payload = body.get("payload").map(odd::json_of);
    }

    /// Notes the known facts about a job.
    pub(super) fn expect(
        &self,
        id: &JobId,
        name: &str,
        body: &Value,
        expected: Expected,
        due: DateTime<Utc>,
    ) {
        let registered = self.fleet.registered(name);
        let mut state = self.world.state();
        let job = state.watch.job(id);
        job.expected.get_or_insert(expected);
        job.due = Some(job.due.map_or(due, |earlier| earlier.min(due)));
        if let Some((is_claimed, max_retries)) = registered {
            let asked = body.get("maxRetries").and_then(Value::as_u64);
            job.max_retries = asked.and_then(|asked| u32::try_from(asked).ok()).unwrap_or(max_retries);
            job.is_claimed = is_claimed;
        }
    }

    fn enqueue(&mut self, number: usize, mut job: NewJob, expected: Expected) {
        let (manager, link) = self.callers.begin();
        let due = link.now() + job.delay.unwrap_or_default();
        let id = job.id.clone().unwrap_or_else(|| JobId::generate(self.world.now(), &*link));
        job.id = Some(id.clone());
        self.jobs.insert(number, id.clone());
        let asked = job.spec.max_retries.map_or(Value::Null, |retries| json!({ "maxRetries": retries }));
        self.expect(&id, &job.spec.name, &asked, expected, due);
        self.world.state().watch.job(&id).payload = Some(job.spec.payload.to_string());
        let work = async move {
            match manager.enqueue(job).await {
                Ok(enqueued) => Answer::Enqueued(enqueued.job_id),
                Err(_) => Answer::Nothing,
            }
        };
        self.callers.ask(link, Box::pin(work));
    }

    fn again(&mut self, of: usize) {
        let Some(step) = self.scenario.steps.get(of).cloned() else { return };
        let Some(id) = self.jobs.get(&of).cloned() else { return };
        match step.what {
            What::Send { queue, mut body, expected } => {
                body["id"] = id.as_str().into();
                self.send(of, queue, &body, expected);
            }
            What::Enqueue { job, expected } => self.enqueue(of, job.id(id), expected),
            _ => {}
        }
    }

    /// Sends a message with the id of a job that has a record, and one other field.
    fn copy(&mut self, of: usize, twist: Twist) -> bool {
        let Some(record) = self.jobs.get(&of).and_then(|id| self.world.record(id)) else { return false };
        // A copy of its message needs its payload.
        if record.definition.spec.payload.is_null() || !record.has_payload() {
            return false;
        }
        // A job that runs without claims has no key.
        if !matches!(twist, Twist::Refused(..)) && !self.is_claimed(&record) {
            return false;
        }
        let body = Outgoing::of_record(&record, self.world.now()).body;
        let Ok(mut fields) = serde_json::from_str::<BTreeMap<String, Payload>>(&body) else { return false };
        twist.apply(&mut fields);
        let Ok(body) = serde_json::to_string(&fields) else { return false };
        if self.world.queue.send_body(record.queue, &body).is_err() {
            return false;
        }
        if let Twist::Refused(reason, field) = twist {
            self.copied.insert(record.id().clone());
            *self.poison.entry((record.queue, reason)).or_default() += 1;
            if field == RefusedField::Timeout {
                *self.droppable.entry((record.queue, reason)).or_default() += 1;
            }
        }
        true
    }

    fn is_claimed(&self, record: &JobRecord) -> bool {
        self.fleet.registered(&record.definition.spec.name).is_some_and(|(is_claimed, _)| is_claimed)
    }

    /// The job of a step that somebody cancels or retries. From then on even a healthy job may end in any way.
    fn meddle(&self, of: usize) -> Option<JobId> {
        let id = self.jobs.get(&of).cloned()?;
        self.world.state().watch.job(&id).expected = Some(Expected::Anything);
        Some(id)
    }

    fn cancel(&mut self, of: usize) -> bool {
        let Some(id) = self.meddle(of) else { return false };
        let (manager, link) = self.callers.begin();
        let work = async move {
            match manager.cancel(&id).await {
                Ok(CancelOutcome::Cancelled | CancelOutcome::Unknown) => Answer::Cancelled(id),
                _ => Answer::Nothing,
            }
        };
        self.callers.ask(link, Box::pin(work));
        true
    }

    fn retry(&mut self, of: usize) -> bool {
        let Some(id) = self.meddle(of) else { return false };
        let (manager, link) = self.callers.begin();
        let work = async move { manager.retry(&id).await.map_or(Answer::Nothing, |_| Answer::Done) };
        self.callers.ask(link, Box::pin(work));
        true
    }

    fn cleanup(&mut self, keep: usize) {
        let (manager, link) = self.callers.begin();
        let options = CleanupOptions { keep_details: Some(keep), ..CleanupOptions::default() };
        let work = async move { manager.cleanup(options).await.map_or(Answer::Nothing, |_| Answer::Done) };
        self.callers.ask(link, Box::pin(work));
    }

    /// An operator opens, closes or resets a breaker.
    pub(super) fn order(&mut self, dependency: usize, order: Order) {
        let Ok(name) = Outside::name(dependency).parse() else { return };
        let (manager, link) = self.callers.begin();
        if order == Order::Reset {
            let clock = self.world.clock.clone();
            let work = async move {
                while manager.reset_breaker(&name).await.is_err() {
                    clock.sleep(Duration::from_secs(5)).await;
                }
                Answer::Done
            };
            self.callers.insist(link, Box::pin(work));
            return;
        }
        let work = async move {
            let done = match order {
                Order::Open => manager.open_breaker(&name).await,
                Order::Close | Order::Reset => manager.close_breaker(&name).await,
            };
            done.map_or(Answer::Nothing, |_| Answer::Done)
        };
        self.callers.ask(link, Box::pin(work));
    }

    /// Puts a schedule that makes this many jobs.
    fn schedule(&mut self, number: usize, every: Duration, times: u32) -> bool {
        let start = self.world.now() + TimeDelta::minutes(1);
        let until = start + every * (times - 1);
        let text = json!({
            "id": format!("recurring-{number}"), "rate": format!("rate({} seconds)", every.as_secs()),
            "start": start.to_rfc3339(), "end": until.to_rfc3339(), "missed": "all", "job": { "name": "job" },
        });
        let Ok(schedule) = Schedule::from_json(text) else { return false };
        let occurrences: Vec<_> = occurrences_after(&schedule, self.world.now()).collect();
        let mut jobs = Vec::with_capacity(occurrences.len());
        for occurrence in occurrences {
            let Ok(id) = schedule.job_id(occurrence.instant) else { return false };
            self.expect(&id, "job", &Value::Null, Expected::Healthy, occurrence.instant);
            jobs.push(id);
        }
        let (manager, link) = self.callers.begin();
        let work = async move {
            manager.put_schedule(schedule).await.map_or(Answer::Nothing, |_| Answer::Scheduled(jobs))
        };
        self.callers.ask(link, Box::pin(work));
        true
    }
}
