//! Thousands of histories in which everything goes wrong that AWS allows.
//!
//! The real processor, manager and dispatcher run against SQS, DynamoDB and Lambda as AWS *promises* them, not as they
//! usually behave. Messages come twice, late and in any order. Writes take effect although no answer arrives. Workers
//! die at any await, and no destructor runs. Clocks differ. Time is virtual: days take milliseconds. Whatever
//! happens, the guarantees must hold. Once the faults end, all work must end too.
//!
//! A history is a plan of steps drawn from a seed, so it can be replayed without some of its steps and kinds of faults.
//! The simulator uses that to find the shortest history that breaks a guarantee. The watch observes every write and
//! every start from outside and checks them against the guarantees, one function each in `invariants`. Nothing there
//! knows how the processor decides.
//!
//! Random failures of the store come at most three in a row, because no number of retries outlasts a store that never
//! answers. Outages do last. A claim whose answer is lost in an outage looks like a crash. That is documented, and
//! counted against no other job. The simulator keeps the futures of killed workers until the history ends, so no
//! destructor runs during it.
//!
//! Your own handlers run in it too, with your own invariants:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::{Arc, Mutex};
//! use lambda_jobs_testing::simulation::Simulation;
//! use lambda_jobs_core::{JobContext, JobError, JobHandler, NewJob};
//! use serde_json::{Value, json};
//!
//! /// The payment service: an idempotency key is charged once.
//! #[derive(Clone, Default)]
//! struct Payments(Arc<Mutex<HashMap<String, u64>>>);
//!
//! struct Charge(Payments);
//!
//! impl JobHandler for Charge {
//!     type Payload = Value;
//!     type Output = ();
//!
//!     fn name(&self) -> &str { "charge" }
//!
//!     async fn execute(&self, order: Value, ctx: &JobContext) -> Result<(), JobError> {
//!         let key = ctx.job_id().to_string();
//!         self.0.0.lock().unwrap().entry(key).or_insert(order["cents"].as_u64().unwrap_or_default());
//!         Ok(())
//!     }
//! }
//!
//! Simulation::new(|scenario| {
//!     let payments = Payments::default();
//!     scenario.register(Charge(payments.clone())).unwrap();
//!     for order in 0..5 {
//!         let job = scenario.enqueue(NewJob::new("charge").payload(json!({ "order": order, "cents": 700 })));
//!         scenario.again(job);
//!     }
//!     scenario.invariant("no order is charged twice", move || {
//!         let charged: u64 = payments.0.lock().unwrap().values().sum();
//!         if charged <= 5 * 700 { Ok(()) } else { Err(format!("{charged} cents for five orders")) }
//!     });
//! })
//! .run(1..=100)
//! .unwrap_or_else(|breach| panic!("{breach}"));
//! ```

mod callers;
mod changing;
mod dice;
mod environment;
mod facts;
mod faults;
mod fleet;
mod guarded;
mod history;
mod invariants;
mod lagging;
mod link;
mod mappings;
mod odd;
mod outside;
mod plan;
mod recurring;
mod replay;
mod scenario;
mod scripted;
mod settings;
mod shrink;
mod summary;
mod terms;
mod ticks;
mod timeline;
mod watch;
mod weather;
mod workload;
mod world;

use std::collections::BTreeSet;

pub use dice::Dice;
pub use facts::Broken;
pub use faults::{Fault, FaultCounts};
pub use replay::Replay;
pub use scenario::{Planned, Scenario};
pub use summary::{Breach, Summary};

use history::{History, Outcome};
use plan::Step;
use timeline::Timeline;
use weather::Weather;

/// Histories of one kind of scenario.
pub struct Simulation {
    scenario: Box<dyn Fn(&mut Scenario) + Send + Sync>,
    weather: fn(u64) -> Weather,
}

impl Simulation {
    /// Histories with your own handlers and jobs. Each history calls `scenario` once, with a new [`Scenario`].
    #[must_use]
    pub fn new(scenario: impl Fn(&mut Scenario) + Send + Sync + 'static) -> Self {
        Self { scenario: Box::new(scenario), weather: |_| Weather::Rough }
    }

    /// The histories that this project must pass.
    ///
    /// Jobs succeed, fail, panic, hang, block and crash. They are sent, enqueued, cancelled, rescheduled and retried, among
    /// messages that no worker can run. Schedules are put, edited, disabled, deleted and put back. In every third history breakers and limits hold jobs back, while dependencies fail, slow
    /// down and heal. Every fourth history has no faults, so promptness and the number of requests are checked too.
    #[must_use]
    pub fn standard() -> Self {
        let weather = |seed: u64| match seed % 8 {
            0 => Weather::Calm,
            4 => Weather::Quiet,
            _ => Weather::Rough,
        };
        let scenario = |about: &mut Scenario| match about.weather {
            Weather::Rough => workload::everything(about),
            Weather::Calm => workload::calm(about),
            Weather::Quiet => workload::quiet(about),
        };
        Self { scenario: Box::new(scenario), weather }
    }

    /// Runs the histories of these seeds. Stops at the first that breaks a guarantee, and returns the shortest
    /// history that breaks it.
    pub fn run(&self, seeds: impl IntoIterator<Item = u64>) -> Result<Summary, Box<Breach>> {
        let mut summary = Summary::default();
        for seed in seeds {
            summary.add(&self.history(seed)?);
        }
        Ok(summary)
    }

    /// Runs the history of one seed. If it breaks a guarantee, returns the shortest history that breaks it.
    pub fn history(&self, seed: u64) -> Result<Summary, Box<Breach>> {
        self.check(seed).map_err(|broken| Box::new(self.shortest(seed, broken)))
    }

    /// Runs the history of one seed. Does not look for a shorter one, so it is faster than [`history`](Self::history).
    pub fn check(&self, seed: u64) -> Result<Summary, Broken> {
        let outcome = self.tell(&Replay::of(seed), Timeline::off());
        let summary = Summary::of(&outcome);
        outcome.broken.map_or(Ok(summary), Err)
    }

    /// Replays the history that a breach names.
    pub fn replay(&self, replay: &Replay) -> Result<Summary, Box<Breach>> {
        let outcome = self.tell(replay, Timeline::on());
        match outcome.broken {
            Some(broken) => Err(Box::new(Breach { broken, replay: replay.clone(), lines: outcome.lines })),
            None => Ok(Summary::of(&outcome)),
        }
    }

    /// What happens in the history of a seed, in order, with the number of each step.
    fn plan(&self, seed: u64) -> (Scenario, Vec<(usize, Step)>) {
        let mut dice = Dice::new(seed);
        let weather = (self.weather)(seed);
        let mut scenario = Scenario::new(dice.fork(), weather);
        (self.scenario)(&mut scenario);
        let mut steps = scenario.steps.clone();
        if weather == Weather::Rough {
            steps.extend(plan::troubles(&mut dice, scenario.span));
        }
        let mut steps: Vec<(usize, Step)> = steps.into_iter().enumerate().collect();
        steps.sort_by_key(|(_, step)| step.after);
        (scenario, steps)
    }

    fn tell(&self, replay: &Replay, timeline: Timeline) -> Outcome {
        let (scenario, steps) = self.plan(replay.seed);
        let is_kept = |step: &(usize, Step)| replay.steps.as_ref().is_none_or(|kept| kept.contains(&step.0));
        let steps: Vec<(usize, Step)> = steps.into_iter().filter(is_kept).collect();
        let faults = replay.faults.clone().unwrap_or_else(|| self.faults(replay.seed));
        History::new(replay.seed, scenario, faults, timeline).unfold(&steps)
    }

    fn faults(&self, seed: u64) -> BTreeSet<Fault> {
        match (self.weather)(seed) {
            Weather::Rough => Fault::ALL.iter().copied().collect(),
            Weather::Calm | Weather::Quiet => BTreeSet::new(),
        }
    }
}
