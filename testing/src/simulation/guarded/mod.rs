//! Jobs that breakers and limits hold back.
//!
//! Some jobs call a dependency through its breaker, and some of those declare the breaker beforehand. Other jobs are
//! under a limit on their tenant's concurrency or rate.

mod hosts;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::simulation::dice::Dice;
use crate::simulation::outside::{AtEnd, Outside, Seen, Trouble};
use crate::simulation::plan::{Expected, Order, Step, What};
use crate::simulation::scenario::{Planned, Scenario};
use crate::simulation::terms::{Allowed, Terms};
use crate::simulation::weather::{MAX_SKEW, Weather};
use lambda_jobs_core::Invalid;
use lambda_jobs_core::breaker::{BreakerPolicy, Trip};
use lambda_jobs_core::handler::{HandlerOptions, JobContext, JobError, JobHandler};
use lambda_jobs_core::job::{BreakerName, NewJob, Queue};
use lambda_jobs_core::limit::{Limit, LimitBy, Rate};

impl Scenario {
    /// The terms of breakers and limits, for the watch and the invariants.
    pub(super) fn terms(&self, start: DateTime<Utc>) -> Terms {
        let is_rough = self.weather == Weather::Rough;
        Terms {
            start,
            outside: self.outside.clone(),
            has_breakers: !self.longest_recovery.is_zero(),
            skew: if is_rough { MAX_SKEW * 2 } else { Duration::ZERO },
            recovery: (self.weather == Weather::Quiet).then_some(self.longest_recovery + RAMP),
            bulkheads: self.bulkheads.clone(),
            thresholds: self.thresholds.clone(),
            is_quiet: self.weather == Weather::Quiet,
            allowed: self.allowed.clone(),
        }
    }
}

/// The length of the ramp after the probe, in which few jobs start. Each of them may meet another job's probe. It
/// includes the lateness of messages whose delays are whole seconds.
const RAMP: Duration = Duration::from_secs(15);

/// The payload of such a job: it works, then calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Errand {
    /// The duration of its work, in milliseconds.
    work: u64,
    /// The dependency that it calls, by index.
    call: Option<usize>,
}

/// Runs such jobs.
struct Guarded {
    name: &'static str,
    options: HandlerOptions,
    outside: Outside,
}

/// The duration of a call to a healthy dependency.
const CALL: Duration = Duration::from_millis(50);

impl Guarded {
    /// Calls a dependency once.
    async fn call(&self, dependency: usize, ctx: &JobContext) -> Result<(), JobError> {
        let job = ctx.job_id().clone();
        let tenant = ctx.definition().spec.tenant.clone();
        self.outside.note(Seen::Called { dependency, job: job.clone(), tenant: tenant.clone() });
        let over = |failed| vec![Seen::Answered { dependency, job: job.clone(), failed }];
        let mut end = AtEnd::new(self.outside.clone(), over(true));
        let trouble = self.outside.now(dependency, ctx.clock().monotonic());
        let time = if let Some(Trouble::Slow(time)) = trouble { time } else { CALL };
        ctx.clock().sleep(time).await;
        match trouble {
            Some(Trouble::Fails) => return Err(JobError::retryable("the dependency is down")),
            Some(Trouble::Flaky(one_of)) if self.outside.fails_next(dependency, one_of) => {
                return Err(JobError::retryable("the dependency is flaky"));
            }
            Some(Trouble::Busy { wait, is_tenants }) => {
                let asked = JobError::rate_limited("the dependency is busy", wait);
                let tenant = tenant.filter(|_| is_tenants);
                end.notes = vec![Seen::Asked { dependency, job, tenant, wait }];
                return Err(if is_tenants { asked.for_tenant() } else { asked });
            }
            _ => {}
        }
        end.notes = over(false);
        Ok(())
    }
}

impl JobHandler for Guarded {
    type Payload = Errand;
    type Output = Value;

    fn name(&self) -> &str {
        self.name
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }

    async fn execute(&self, errand: Errand, ctx: &JobContext) -> Result<Value, JobError> {
        let job = ctx.job_id().clone();
        let (name, tenant) = (self.name.to_owned(), ctx.definition().spec.tenant.clone());
        self.outside.note(Seen::Begun { job: job.clone(), name, tenant });
        let over = Seen::Over { job: job.clone() };
        let mut end = AtEnd::new(self.outside.clone(), vec![over.clone(), Seen::Failed { job: job.clone() }]);
        ctx.clock().sleep(Duration::from_millis(errand.work)).await;
        if let Some(dependency) = errand.call {
            let called = ctx.breaker(&Outside::name(dependency)).call(self.call(dependency, ctx)).await;
            if let Err(error) = called {
                if error.is_deferral() {
                    end.notes = vec![over, Seen::Refused { job }];
                }
                return Err(error);
            }
        }
        end.notes = vec![over];
        Ok(json!({ "attempt": ctx.attempt() }))
    }
}

/// How the scenario draws breakers, limits and the faults of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Any trouble, short or long.
    Wild,
    /// So little load that only breakers and limits make a job wait.
    Tidy,
}

/// Breakers with their dependencies, limits with their tenants, and jobs for both.
pub(super) fn guarded(scenario: &mut Scenario, mood: Mood) {
    match scenario.dice().below(10) {
        0 | 1 => return hosts::mostly_answering(scenario),
        2 if mood == Mood::Wild => return hosts::probed_and_opened(scenario),
        _ => {}
    }
    let dependencies = 1 + scenario.dice().index(3);
    for dependency in 0..dependencies {
        let policy = policy(scenario, mood).expect("every policy that is chosen is one");
        protect(scenario, policy);
        for _ in 0..=scenario.dice().below(2) {
            trouble(scenario, dependency, mood);
        }
    }
    register(scenario);
    let mut jobs = Vec::new();
    let bursts = 1 + scenario.dice().below(if mood == Mood::Wild { 4 } else { 2 });
    for _ in 0..bursts {
        let first = scenario.steps.len();
        for _ in 0..=scenario.dice().below(10) {
            jobs.push(job(scenario, dependencies, mood));
        }
        let is_close = scenario.dice().one_in(2);
        let at = if scenario.dice().one_in(2) { amid_trouble(scenario) } else { scenario.steps[first].after };
        for step in scenario.steps.iter_mut().skip(first).filter(|_| is_close) {
            let wait = scenario.dice.millis(0..10_000);
            step.after = at + if mood == Mood::Wild { wait / 4 } else { wait };
        }
    }
    operators(scenario, &jobs, mood);
    if mood == Mood::Wild && scenario.dice().one_in(3) {
        orders(scenario, dependencies);
    }
}

/// Gives the next dependency its breaker.
fn protect(scenario: &mut Scenario, policy: BreakerPolicy) {
    let name = Outside::name(scenario.thresholds.len()).parse().expect("a name of a breaker");
    scenario.longest_recovery = scenario.longest_recovery.max(policy.recovery_after(u32::MAX));
    scenario.thresholds.push(match policy.trip() {
        Trip::Count(failures) if policy.slow().is_none() => Some((failures, policy.monitoring_period())),
        _ => None,
    });
    scenario.bulkheads.push(policy.bulkhead_terms());
    scenario.registry.protect(name, policy);
}

/// Operators open and close breakers and reset them soon after. A waiting message sometimes becomes two, so a job that
/// waited for days would have too many.
fn orders(scenario: &mut Scenario, dependencies: usize) {
    for _ in 0..=scenario.dice().below(3) {
        let dependency = scenario.dice().index(dependencies);
        let order = if scenario.dice().one_in(3) { Order::Close } else { Order::Open };
        scenario.add(What::Order { dependency, order });
        let begun = scenario.steps.last().map_or(Duration::ZERO, |step| step.after);
        let after = begun + scenario.dice().millis(0..300_000);
        scenario.steps.push(Step { after, what: What::Order { dependency, order: Order::Reset } });
    }
}

/// An instant at which a dependency is in trouble.
fn amid_trouble(scenario: &mut Scenario) -> Duration {
    let troubles: Vec<(Duration, Duration)> = scenario
        .steps
        .iter()
        .filter_map(|step| match step.what {
            What::Trouble { lasts, .. } => Some((step.after, lasts)),
            _ => None,
        })
        .collect();
    let (from, lasts) = *scenario.dice().pick(&troubles);
    from + scenario.dice().millis(0..u64::try_from(lasts.as_millis()).unwrap_or_default())
}

/// Occasionally an operator soon cancels one of the jobs or sends it again.
fn operators(scenario: &mut Scenario, jobs: &[Planned], mood: Mood) {
    for _ in 0..scenario.dice().below(4) {
        let job = *scenario.dice().pick(jobs);
        let act =
            if mood == Mood::Wild && scenario.dice().one_in(3) { Scenario::again } else { Scenario::cancel };
        act(scenario, job);
        let wait = scenario.dice().millis(0..20_000);
        let sent = scenario.steps[job.0].after;
        if let Some(step) = scenario.steps.last_mut() {
            step.after = sent + wait;
        }
    }
}

fn policy(scenario: &mut Scenario, mood: Mood) -> Result<BreakerPolicy, Invalid> {
    let dice = scenario.dice();
    let seconds = |dice: &mut Dice, most: u64| Duration::from_secs(1 + dice.below(most));
    let count = |dice: &mut Dice, most: u64| 1 + u32::try_from(dice.below(most)).unwrap_or_default();
    let few = |dice: &mut Dice| u8::try_from(20 + dice.below(70)).unwrap_or(50);
    let mut policy = BreakerPolicy::default().window(seconds(dice, 300))?;
    policy = if dice.one_in(2) {
        policy.failure_count(count(dice, 4))?
    } else {
        policy.failure_rate(few(dice), count(dice, 5))?
    };
    policy = policy.recovery(seconds(dice, 60))?;
    if dice.one_in(3) {
        policy = policy.growing(count(dice, 3), Duration::from_secs(60 + dice.below(60)))?;
    }
    if dice.one_in(2) {
        // Occasionally no response is prompt.
        let prompt = if dice.one_in(3) { CALL / 2 } else { dice.millis(200..3_000) };
        policy = policy.bulkhead(prompt, count(dice, 3))?;
    }
    if mood == Mood::Wild && dice.one_in(3) {
        policy = policy.slow_calls(seconds(dice, 5), few(dice), count(dice, 5))?;
    }
    Ok(policy)
}

fn trouble(scenario: &mut Scenario, dependency: usize, mood: Mood) {
    let dice = scenario.dice();
    let longest = *dice.pick(&[5_000, 60_000, 600_000]);
    let lasts = dice.millis(100..longest);
    let trouble = match dice.below(6) {
        0 | 1 if mood == Mood::Wild => Trouble::Slow(dice.millis(500..40_000)),
        2 => Trouble::Flaky(3 + dice.below(4)),
        3 => Trouble::Busy { wait: dice.millis(1_000..90_000), is_tenants: dice.one_in(2) },
        _ => Trouble::Fails,
    };
    if let Trouble::Busy { wait, .. } = trouble {
        scenario.longest_recovery = scenario.longest_recovery.max(wait);
    }
    scenario.add(What::Trouble { dependency, trouble, lasts });
    if scenario.dice().one_in(2) {
        // Before the first job arrives.
        if let Some(step) = scenario.steps.last_mut() {
            step.after = Duration::ZERO;
        }
    }
}

fn register(scenario: &mut Scenario) {
    let dice = scenario.dice();
    let few = |dice: &mut Dice| 1 + u32::try_from(dice.below(3)).unwrap_or_default();
    let at_once = (!dice.one_in(3)).then(|| few(dice));
    let per = Duration::from_secs(1 + dice.below(10));
    let rate = Rate::new(few(dice), per).and_then(|rate| rate.burst(few(dice)));
    let rate = rate.ok().filter(|_| at_once.is_none() || dice.one_in(2));
    let mut limits = Vec::new();
    limits.extend(at_once.map(|jobs| Limit::concurrency(LimitBy::Tenant, jobs).expect("a number of jobs")));
    limits.extend(rate.map(|rate| Limit::rate(LimitBy::Tenant, rate)));
    let first: BreakerName = Outside::name(0).parse().expect("a name of a breaker");
    let wired = HandlerOptions { breakers: vec![first], ..HandlerOptions::default() };
    let limited = HandlerOptions { limits, ..HandlerOptions::default() };
    for (name, options) in [("call", HandlerOptions::default()), ("wired", wired), ("limited", limited)] {
        let outside = scenario.outside.clone();
        scenario.register(Guarded { name, options, outside }).expect("the names differ");
    }
    scenario.allowed.insert("limited", Allowed { at_once, rate });
}

fn job(scenario: &mut Scenario, dependencies: usize, mood: Mood) -> Planned {
    let is_limited = scenario.dice().one_in(3);
    let dependency = if scenario.dice().one_in(2) { 0 } else { scenario.dice().index(dependencies) };
    let calls = scenario.dice().one_in(2) || !is_limited && !scenario.dice().one_in(6);
    let work = if mood == Mood::Wild && scenario.dice().one_in(3) {
        scenario.dice().below(20_000)
    } else {
        scenario.dice().below(100)
    };
    let errand = Errand { work, call: calls.then_some(dependency) };
    let payload = serde_json::to_value(errand).unwrap_or_default();
    let name = match (is_limited, dependency, scenario.dice().one_in(2)) {
        (true, ..) => "limited",
        (false, 0, true) => "wired",
        _ => "call",
    };
    let declares = scenario.dice().one_in(2);
    let tenant = format!("tenant-{}", scenario.dice().below(2));
    let breaker = Outside::name(dependency);
    if scenario.dice().one_in(2) {
        let mut body = json!({ "name": name, "payload": payload, "tenant": tenant });
        if declares {
            body["breakers"] = json!([breaker]);
        }
        return scenario.add(What::Send { queue: Queue::Normal, body, expected: Expected::Healthy });
    }
    let mut job = NewJob::new(name).payload(payload).tenant(tenant);
    if declares {
        job = job.breaker(breaker.parse().expect("a name of a breaker"));
    }
    scenario.add(What::Enqueue { job: Box::new(job), expected: Expected::Healthy })
}
