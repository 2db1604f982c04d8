//! The handlers and jobs of a history, and its invariants.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::simulation::dice::Dice;
use crate::simulation::facts::Broken;
use crate::simulation::outside::Outside;
use crate::simulation::plan::{Expected, Step, Twist, What};
use crate::simulation::recurring::Runs;
use crate::simulation::terms::Allowed;
use crate::simulation::weather::Weather;
use lambda_jobs_core::bulkhead::BulkheadTerms;
use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::handler::{JobHandler, JobRegistry, RegisterError};
use lambda_jobs_core::job::{JobId, NewJob, Queue};

/// Checked after every event, and at the end.
pub(super) type Invariant = Box<dyn Fn() -> Result<(), String> + Send>;

/// The handlers and jobs of one history, and its invariants. Every seed gets a new one, so nothing leaks from one
/// history to the next.
pub struct Scenario {
    pub(super) dice: Dice,
    pub(super) config: JobConfig,
    pub(super) registry: JobRegistry,
    pub(super) steps: Vec<Step>,
    pub(super) invariants: Vec<(&'static str, Invariant)>,
    pub(super) span: Duration,
    pub(super) weather: Weather,
    /// What a handler asks the simulator to do to its worker.
    pub(super) doom: Arc<Mutex<Option<Doom>>>,
    /// The jobs whose handler stopped after it learned of their cancellation.
    pub(super) heeded: Arc<Mutex<BTreeSet<JobId>>>,
    /// The starts of occurrences of changing schedules.
    pub(super) runs: Runs,
    /// The dependencies that jobs call.
    pub(super) outside: Outside,
    /// The longest time that a breaker stays open before it lets a call through.
    pub(super) longest_recovery: Duration,
    /// How many failures open each dependency's breaker, and within which window, if its breaker counts failures.
    pub(super) thresholds: Vec<Option<(u32, Duration)>>,
    /// The bulkhead of each dependency: how many batches may call it while it is slow, if bounded.
    pub(super) bulkheads: Vec<Option<BulkheadTerms>>,
    /// The limits on the jobs of each handler that has limits.
    pub(super) allowed: HashMap<&'static str, Allowed>,
}

/// What a handler can do to its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doom {
    /// The process ends, as if out of memory.
    Crash,
    /// The handler never yields again.
    Block,
}

/// A job that a step will send, for other steps to refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned(pub(super) usize);

impl Scenario {
    pub(super) fn new(mut dice: Dice, weather: Weather) -> Self {
        let function_timeout = Duration::from_secs(*dice.pick(&[40, 60, 90, 90]));
        let concurrency = *dice.pick(&[1, 2, 5, 5]);
        let config = JobConfig { concurrency, function_timeout, ..JobConfig::default() };
        let span = dice.millis(1_000..600_000);
        let registry = JobRegistry::new(&config);
        Self {
            dice,
            config,
            registry,
            steps: Vec::new(),
            invariants: Vec::new(),
            span,
            weather,
            doom: Arc::default(),
            heeded: Arc::default(),
            runs: Arc::default(),
            outside: Outside::default(),
            longest_recovery: Duration::ZERO,
            thresholds: Vec::new(),
            bulkheads: Vec::new(),
            allowed: HashMap::new(),
        }
    }

    /// Seeded chance, for scenarios that differ from seed to seed.
    pub const fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// Registers a handler.
    pub fn register<H: JobHandler>(&mut self, handler: H) -> Result<(), RegisterError> {
        self.registry.register(handler).map(drop)
    }

    /// Enqueues this job at a random instant.
    pub fn enqueue(&mut self, job: NewJob) -> Planned {
        self.add(What::Enqueue { job: Box::new(job), expected: Expected::Anything })
    }

    /// Sends this message body to a queue at a random instant.
    pub fn send(&mut self, queue: Queue, body: Value) -> Planned {
        self.add(What::Send { queue, body, expected: Expected::Anything })
    }

    /// Sends or enqueues the same job again at a random instant.
    pub fn again(&mut self, job: Planned) {
        self.add(What::Again { of: job.0 });
    }

    /// Sends a message with the job's id and another field at a random instant, if the job has a record by then.
    pub(super) fn copy(&mut self, job: Planned) {
        let twist = *self.dice.pick(&Twist::ALL);
        self.add(What::Copy { of: job.0, twist });
    }

    /// Cancels the job at a random instant, perhaps before it is sent.
    pub fn cancel(&mut self, job: Planned) {
        self.add(What::Cancel { of: job.0 });
    }

    /// Retries the job at a random instant.
    pub fn retry(&mut self, job: Planned) {
        let retried = self.add(What::Retry { of: job.0 });
        // Late enough that most jobs have failed by then.
        let wait = self.dice.millis(0..600_000);
        self.steps[retried.0].after += wait;
    }

    /// Adds an invariant. `check` runs after every event, and returns an error that states what it found.
    pub fn invariant(&mut self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + 'static) {
        self.invariants.push((name, Box::new(check)));
    }

    pub(super) fn add(&mut self, what: What) -> Planned {
        let span = u64::try_from(self.span.as_millis()).unwrap_or(u64::MAX);
        let after = self.dice.millis(0..span);
        self.steps.push(Step { after, what });
        Planned(self.steps.len() - 1)
    }

    /// The dependencies whose breakers an operator opens or closes.
    pub(super) fn ordered(&self) -> BTreeSet<usize> {
        let ordered = |step: &Step| match step.what {
            What::Order { dependency, .. } => Some(dependency),
            _ => None,
        };
        self.steps.iter().filter_map(ordered).collect()
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        for (guarantee, check) in &self.invariants {
            check().map_err(|what| Broken { guarantee, what })?;
        }
        Ok(())
    }
}
