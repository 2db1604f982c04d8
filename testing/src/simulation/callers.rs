//! Those who enqueue, cancel and retry jobs, and may be cut off at any await.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use crate::simulation::faults::Fault;
use crate::simulation::history::History;
use crate::simulation::link::{Link, Party, core_ports};
use crate::simulation::outside::Outside;
use crate::simulation::plan::{Expected, Order, What};
use lambda_jobs_core::clock::{BoxFuture, Clock};
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::job::{JobId, NewJob};
use lambda_jobs_core::manager::{CancelOutcome, JobManager};
use lambda_jobs_core::schedule::{Schedule, occurrences_after};

/// What a caller learned.
pub(super) enum Answer {
    Enqueued(JobId),
    Cancelled(JobId),
    /// All of these will be made.
    Scheduled(Vec<JobId>),
    /// Whatever was asked for is done.
    Done,
    /// Nobody knows whether it is.
    Nothing,
}

/// Somebody who enqueues, cancels or retries.
pub(super) struct Caller {
    link: Arc<Link>,
    work: BoxFuture<'static, Answer>,
    polls_left: Option<u64>,
}

impl History {
    pub(super) fn enqueue(&mut self, number: usize, mut job: NewJob, expected: Expected) {
        let (manager, link) = self.caller();
        let due = link.now() + job.delay.unwrap_or_default();
        let id = job.id.clone().unwrap_or_else(|| JobId::generate(self.world.now(), &*link));
        job.id = Some(id.clone());
        self.jobs.insert(number, id.clone());
        let asked =
            job.spec.max_retries.map_or(Value::Null, |retries| serde_json::json!({ "maxRetries": retries }));
        self.expect(&id, &job.spec.name, &asked, expected, due);
        let work = async move {
            match manager.enqueue(job).await {
                Ok(enqueued) => Answer::Enqueued(enqueued.job_id),
                Err(_) => Answer::Nothing,
            }
        };
        self.ask(link, Box::pin(work));
    }

    pub(super) fn again(&mut self, of: usize) {
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

    pub(super) fn steer(&mut self, of: usize, retry: bool) -> bool {
        let Some(id) = self.jobs.get(&of).cloned() else { return false };
        // However healthy it is, it may end as somebody wishes.
        self.world.state().watch.job(&id).expected = Some(Expected::Anything);
        let (manager, link) = self.caller();
        let work = async move {
            if retry {
                return manager.retry(&id).await.map_or(Answer::Nothing, |_| Answer::Done);
            }
            match manager.cancel(&id).await {
                Ok(CancelOutcome::Cancelled) => Answer::Cancelled(id),
                _ => Answer::Nothing,
            }
        };
        self.ask(link, Box::pin(work));
        true
    }

    /// An operator has a breaker opened, closed or reset.
    pub(super) fn order(&mut self, dependency: usize, order: Order) {
        let Ok(name) = Outside::name(dependency).parse() else { return };
        let (manager, link) = self.caller();
        if order == Order::Reset {
            let clock = self.world.clock.clone();
            let work = async move {
                while manager.reset_breaker(&name).await.is_err() {
                    clock.sleep(Duration::from_secs(5)).await;
                }
                Answer::Done
            };
            self.callers.push(Caller { link, work: Box::pin(work), polls_left: None });
            return;
        }
        let work = async move {
            let done = match order {
                Order::Open => manager.open_breaker(&name).await,
                Order::Close | Order::Reset => manager.close_breaker(&name).await,
            };
            done.map_or(Answer::Nothing, |_| Answer::Done)
        };
        self.ask(link, Box::pin(work));
    }

    fn caller(&mut self) -> (JobManager, Arc<Link>) {
        self.next_caller += 1;
        let link = Arc::new(Link::new(Arc::clone(&self.world), Party::Caller(self.next_caller)));
        (manager(&link, self.scenario.config.clone()), link)
    }

    /// Somebody makes a job recur, some times in all.
    pub(super) fn schedule(&mut self, number: usize, every: Duration, times: u32) -> bool {
        let start = self.world.now() + TimeDelta::minutes(1);
        let until = start + every * (times - 1);
        let text = serde_json::json!({
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
        let (manager, link) = self.caller();
        let work = async move {
            manager.put_schedule(schedule).await.map_or(Answer::Nothing, |_| Answer::Scheduled(jobs))
        };
        self.ask(link, Box::pin(work));
        true
    }

    fn ask(&mut self, link: Arc<Link>, work: BoxFuture<'static, Answer>) {
        let mut state = self.world.state();
        let is_cut_off = state.strikes(Fault::CallerCutOff, 8);
        let polls_left = is_cut_off.then(|| state.dice.below(8));
        drop(state);
        self.callers.push(Caller { link, work, polls_left });
    }

    pub(super) fn poll_callers(&mut self, context: &mut Context<'_>) -> bool {
        let mut has_ended = false;
        for at in (0..self.callers.len()).rev() {
            let caller = &mut self.callers[at];
            if caller.polls_left == Some(0) {
                caller.link.tell(|| "is cut off".to_owned());
                let caller = self.callers.swap_remove(at);
                self.cut_off.push(caller.work);
                has_ended = true;
                continue;
            }
            match Pin::new(&mut caller.work).poll(context) {
                Poll::Pending => caller.polls_left = caller.polls_left.map(|left| left - 1),
                Poll::Ready(answer) => {
                    let caller = self.callers.swap_remove(at);
                    self.learn(&caller, answer);
                    has_ended = true;
                }
            }
        }
        has_ended
    }

    /// Holds the system to what it told a caller.
    fn learn(&mut self, caller: &Caller, answer: Answer) {
        let mut state = self.world.state();
        match answer {
            Answer::Enqueued(id) => {
                caller.link.tell_in(&mut state, || format!("is told that {id} is accepted"));
                state.watch.job(&id).is_accepted = true;
            }
            Answer::Cancelled(id) => {
                caller.link.tell_in(&mut state, || format!("is told that {id} is cancelled"));
                state.watch.job(&id).is_cancelled = true;
            }
            Answer::Scheduled(ids) => {
                caller.link.tell_in(&mut state, || format!("is told that {} jobs will be made", ids.len()));
                for id in ids {
                    state.watch.job(&id).is_accepted = true;
                }
            }
            Answer::Done | Answer::Nothing => {}
        }
    }
}

/// A manager at the end of a link.
pub(super) fn manager(link: &Arc<Link>, config: JobConfig) -> JobManager {
    JobManager::new(config, core_ports(link))
}
