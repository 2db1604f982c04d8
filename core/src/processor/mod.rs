//! A batch of messages, from receipt to answer.
//!
//! SQS delivers at least once, Lambda may stop anywhere, and a batch mixes strangers. So each message goes
//! through five steps, and each step can end it: decode, gate, claim, run, settle. Two rules hold at every
//! await:
//!
//! - **Cover.** Every unfinished job is covered by a live message or by an entry in the due index. A transition
//!   makes the new cover before it drops the old.
//! - **Fence.** Whatever the worker writes about a running job, it writes under the claim that ran it.
//!
//! The settlement is written while the received message is still held. Only then does the worker change the
//! message's visibility, send a fresh one, or ack it. Writing `retrying` first drops no cover: a copy that
//! arrives before the record changes meets the lease and waits for its end. A message about which nothing was
//! decided is retained, so an oversight can't lose it.
//!
//! Breakers, unique keys and limits are checked between gate and claim, once per batch. Jobs that need none of
//! them pay nothing.
//!
//! The decisions are pure functions: `gate`, `refused_claim` and `conclude`. The rest carries them out.

mod attempt;
mod backoff;
mod cancellation;
mod children;
mod claim;
mod control_cache;
mod dead_letters;
mod decode;
mod deferral;
mod early_delete;
mod gate;
mod job;
mod kept;
mod large_payloads;
mod letter_counts;
mod observed;
mod outcome;
mod park;
mod permits;
mod protect;
mod records;
mod refused_claim;
mod requeue;
mod run;
mod running;
mod settle;
mod slots;
mod snooze;
mod state;
mod stored_payload;
mod takeover;
mod unique;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{Either, join, select};

pub(crate) use large_payloads::{keep_payloads, store_payloads};
pub use observed::RunObserver;
pub use state::{SqsBatchReport, SqsBatchSummary};

use crate::batches::Batches;
use crate::clock::{Clock, Entropy};
use crate::config::JobConfig;
use crate::handler::{JobRegistry, StopSignal};
use crate::job::{Claim, ClaimId};
use crate::ports::{CorePorts, JobQueue, JobStore, ReceivedMessage, RunningJobs, UniqueKeys};
use crate::protection::{Breakers, Limits};
use cancellation::CancelWatch;
use control_cache::ControlCache;
use permits::Permits;
use running::Noted;
use state::SqsBatchState;

/// Runs batches of messages.
pub struct JobProcessor {
    registry: Arc<JobRegistry>,
    config: JobConfig,
    store: Arc<dyn JobStore>,
    running: Arc<dyn RunningJobs>,
    queue: Arc<dyn JobQueue>,
    control: ControlCache,
    unique: Arc<dyn UniqueKeys>,
    batches: Batches,
    breakers: Arc<Breakers>,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn RunObserver>,
    /// The name of this worker, if it has one.
    worker: Option<String>,
}

/// The circumstances under which a batch is processed.
#[derive(Clone)]
pub struct Invocation {
    /// When the environment is frozen or killed. The processor answers everything before.
    pub deadline: DateTime<Utc>,
    /// Raised when the environment wants to stop early. The processor then starts nothing new. A running job has
    /// [`JobProcessor::STOP_GRACE`] to end before it goes back unspent.
    pub stop: StopSignal,
}

/// A batch on its way through the steps.
struct SqsBatch<'a> {
    /// A random number, by which all claims of the batch name it.
    id: u64,
    processor: &'a JobProcessor,
    invocation: &'a Invocation,
    /// When the batch's leases end.
    lease_until: DateTime<Utc>,
    state: SqsBatchState,
    permits: Permits,
    cancel_watch: CancelWatch,
    noted: Noted,
}

impl JobProcessor {
    /// How long a running job may go on after a stop was asked for.
    pub const STOP_GRACE: Duration = Duration::from_secs(5);
    /// The time kept for the answer when everything else is cut short.
    const ANSWER_MARGIN: Duration = Duration::from_secs(1);

    /// A processor of jobs for these handlers.
    #[must_use]
    pub fn new(registry: Arc<JobRegistry>, config: JobConfig, ports: &CorePorts) -> Self {
        let breakers = Breakers::new(ports, registry.clone());
        Self {
            registry,
            config,
            store: ports.store.clone(),
            running: ports.running.clone(),
            queue: ports.queue.clone(),
            control: ControlCache::new(ports.control.clone(), ports.clock.clone()),
            unique: ports.unique.clone(),
            batches: Batches::new(ports),
            breakers: Arc::new(breakers),
            limits: Arc::new(Limits::new(ports)),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            observer: Arc::new(()),
            worker: None,
        }
    }

    /// Reports each poll of a job's future, so that a job that never yields can be named.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn RunObserver>) -> Self {
        self.observer = observer;
        self
    }

    /// Names this worker in the attempts that are kept, so that its own log can be found. At most 128 bytes are kept.
    #[must_use]
    pub fn named(mut self, worker: Option<String>) -> Self {
        self.worker = worker;
        self
    }

    /// Prepares an environment before its first batch, for at most 2 s: reads the control item, so that the connection
    /// is open, and stores the deployment's settings if none are stored. Never fails.
    pub async fn prepare(&self) {
        self.control.start(&self.config.deployed()).await;
    }

    /// Processes a batch. Never fails: a message whose fate is unknown is reported as retained, and SQS delivers
    /// it again when its visibility timeout ends.
    pub async fn process(&self, messages: Vec<ReceivedMessage>, invocation: &Invocation) -> SqsBatchReport {
        let started = self.clock.monotonic();
        let batch = SqsBatch::new(self, invocation, &messages);
        let time_left = (invocation.deadline - self.clock.now()).to_std().unwrap_or_default();
        let cut = self.clock.sleep(time_left.saturating_sub(Self::ANSWER_MARGIN));
        let work = Box::pin(batch.work(messages));
        let asides = join(batch.watch_for_cancellations(), batch.note_what_runs());
        let watched = select(work, Box::pin(asides));
        if let Either::Right(_) = select(watched, cut).await {
            tracing::error!("the batch was cut short at its deadline; what is not settled comes back");
        }
        batch.withdraw().await;
        let report = batch.state.into_report();
        let elapsed = self.clock.monotonic().saturating_sub(started);
        report.summary.log(elapsed);
        report
    }
}

impl<'a> SqsBatch<'a> {
    fn new(processor: &'a JobProcessor, invocation: &'a Invocation, messages: &[ReceivedMessage]) -> Self {
        let lease_until = invocation.deadline + JobConfig::CLOCK_SKEW;
        Self {
            id: ClaimId::batch_of(&*processor.entropy),
            processor,
            invocation,
            lease_until,
            state: SqsBatchState::new(messages),
            permits: Permits::new(lease_until),
            cancel_watch: CancelWatch::default(),
            noted: Noted::default(),
        }
    }

    /// Takes the messages through the steps. `run` settles jobs as they end, and copies are settled last.
    async fn work(&self, messages: Vec<ReceivedMessage>) {
        let decoded = self.decode(messages);
        let gated = self.gate(decoded).await;
        let jobs = self.with_payloads(gated.jobs).await;
        let jobs = self.protect(jobs).await;
        let claims = self.claim(jobs).await;
        self.keep_permits_of(&claims).await;
        self.run(claims).await;
        self.return_all_permits().await;
        self.settle_copies(gated.copies).await;
        self.mark_children().await;
    }

    fn new_claim(&self, alone: bool) -> Claim {
        Claim { id: ClaimId::in_batch(self.now(), self.id), lease_until: self.lease_until, alone }
    }

    fn now(&self) -> DateTime<Utc> {
        self.processor.clock.now()
    }
}
