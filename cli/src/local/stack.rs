//! Starts and stops the local stack.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_config::SdkConfig;
use chrono::Utc;
use lambda_jobs_core::clock::Entropy;
use lambda_jobs_core::{JobRegistry, RegisterError, StopSignal, Stopper};
use lambda_jobs_functions::{Adapters, OnBlocked, Worker, WorkerError};
use lambda_jobs_infra::{OsEntropy, Settings, SystemClock};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::activity::Activity;
use super::folder::{self, Opened};
use super::front::{Front, FrontMeter, router};
use super::rules::{Rule, Rules};
use super::sqs::{EndpointSettings, LogError, Meter, SqsEndpoint, TableLog};
use super::template::{Template, TemplateError};

/// The port and folder of a stack.
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The folder that keeps tables and queued messages between runs. Without one, nothing is kept.
    pub data: Option<PathBuf>,
}

/// Why a stack can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// Another program listens on the port.
    #[error(
        "port {port} on 127.0.0.1 is taken ({source}); stop the program that listens there (another stack, \
         LocalStack?), or choose another with --port, or a free one with --port 0"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder can't be used.
    #[error("folder {folder}: {reason}; choose another with --data")]
    Data {
        /// The folder.
        folder: String,
        /// The problem.
        reason: String,
    },
    /// Another stack uses the folder.
    #[error("folder {folder}: {holder} uses it; stop that stack, or choose another with --data")]
    DataInUse {
        /// The folder.
        folder: String,
        /// The process, as far as it is known.
        holder: String,
    },
    /// The kept queues can't be read.
    #[error("read the kept queues: {0}")]
    Log(#[from] LogError),
    /// The tables can't be created.
    #[error("create the tables: {0}")]
    Tables(#[from] lambda_jobs_core::ports::ServiceError),
    /// The queues can't be created.
    #[error("create the queues: {0}")]
    Queues(String),
    /// The template's rules can't be fired.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The worker can't run.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// A running stack: DynamoDB and SQS on one port, with tables and queues.
pub struct Stack {
    address: SocketAddr,
    sdk: SdkConfig,
    settings: Settings,
    adapters: Arc<Adapters>,
    sqs: SqsEndpoint,
    meter: Arc<FrontMeter>,
    activity: Activity,
    _servers: Servers,
    /// Held until the servers have ended.
    _lock: Option<File>,
}

/// The tasks that serve, ended on drop.
struct Servers(Vec<JoinHandle<()>>);

impl Drop for Servers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Takes a port without listening on it: clients can't connect yet, and nobody else gets it.
fn reserve(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // A port is free again as soon as its last stack has ended. On Windows this would let two stacks share it.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

/// A worker that polls a stack's queues.
pub struct RunningWorker {
    stopper: Stopper,
    polling: JoinHandle<Result<(), WorkerError>>,
}

impl Stack {
    /// Starts a stack. It listens once its tables and queues exist, so that a client that can connect finds them.
    pub async fn start(options: &StackOptions, settings: Settings) -> Result<Self, StackError> {
        let taken = |source| StackError::PortTaken { port: options.port, source };
        let socket = reserve(options.port).map_err(taken)?;
        let address = socket.local_addr().map_err(taken)?;
        let Opened { database, lock } = folder::open(options.data.as_deref())?;
        let inner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(taken)?;
        let dynamodb_url = format!("http://{}", inner.local_addr().map_err(taken)?);

        let sqs = SqsEndpoint::open(EndpointSettings {
            clock: Arc::new(SystemClock::new()),
            log: Arc::new(TableLog::open(database.clone())?),
            seed: OsEntropy.next_u64(),
            base_url: format!("http://{address}"),
        })?;
        let mut servers = Servers(vec![tokio::spawn(dynoxide::server::serve_on(inner, database))]);
        let setup = lambda_jobs_infra::aws::local_config(&dynamodb_url);
        lambda_jobs_infra::create_tables(Adapters::new(&setup, &settings).dynamo()).await?;
        super::queues::create(&sqs, &settings).await?;

        let meter = Arc::new(FrontMeter::default());
        let activity = Activity::default();
        let front = Front {
            sqs: sqs.clone(),
            dynamodb_url,
            client: reqwest::Client::builder().no_proxy().build().unwrap_or_default(),
            meter: Arc::clone(&meter),
            activity: activity.clone(),
        };
        let listener = socket.listen(BACKLOG).map_err(taken)?;
        servers.0.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router(front)).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the local stack stopped serving");
            }
        }));
        let sdk = lambda_jobs_infra::aws::local_config(&format!("http://{address}"));
        let adapters = Arc::new(Adapters::new(&sdk, &settings));
        Ok(Self { address, sdk, settings, adapters, sqs, meter, activity, _servers: servers, _lock: lock })
    }

    /// Tells when something was written to the tables.
    #[must_use]
    pub const fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Where it listens: the value for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The SDK configuration of its clients.
    #[must_use]
    pub const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The adapters on it.
    #[must_use]
    pub fn adapters(&self) -> &Adapters {
        &self.adapters
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Counts the requests to SQS.
    #[must_use]
    pub fn sqs_meter(&self) -> &Meter {
        self.sqs.meter()
    }

    /// Counts the requests to DynamoDB.
    #[must_use]
    pub fn dynamodb_meter(&self) -> &Meter {
        &self.meter.dynamodb
    }

    /// The template's rules that enqueue. They fire while [`Rules::run`] runs.
    pub fn rules(&self) -> Result<Rules, StackError> {
        let rules = Rule::of(&Template::own()?, &self.settings.queues)?;
        let ports = self.adapters.ports().core.clone();
        Ok(Rules::new(rules, ports.queue, ports.clock))
    }

    /// How many requests to DynamoDB have read one item.
    #[must_use]
    pub fn dynamodb_item_reads(&self) -> u64 {
        self.meter.item_reads.load(Ordering::Relaxed)
    }

    /// Starts a worker with the built-in job families and the handlers that `register` adds.
    pub fn start_worker(
        &self,
        register: impl FnOnce(&mut JobRegistry) -> Result<(), RegisterError>,
    ) -> Result<RunningWorker, StackError> {
        // The stack shares this process, so a job that blocks must not end it.
        let worker = Worker::new(self.settings.clone(), &self.adapters, OnBlocked::Report, register)?;
        let (stopper, stop) = StopSignal::new();
        let writes = self.activity.control_writes();
        let polling =
            lambda_jobs_functions::local::poll(Arc::new(worker), self.adapters.clone(), writes, stop);
        Ok(RunningWorker { stopper, polling: tokio::spawn(polling) })
    }

    /// Starts the dispatcher. Dropping the returned value stops it.
    #[must_use]
    pub fn start_dispatcher(&self) -> RunningDispatcher {
        let dispatcher = lambda_jobs_functions::dispatcher(&self.settings, &self.adapters.ports().core);
        let mut follower = self.activity.follow();
        let ticking = tokio::spawn(async move {
            loop {
                dispatcher.tick(Utc::now() + TICK_LIMIT).await;
                tokio::select! {
                    () = tokio::time::sleep(TICK_EVERY) => {}
                    () = follower.written(TICK_AFTER_WRITES) => {}
                }
            }
        });
        RunningDispatcher { ticking }
    }
}

/// A dispatcher that ticks beside a stack.
pub struct RunningDispatcher {
    ticking: JoinHandle<()>,
}

/// How often it ticks while nothing is written: as on AWS.
const TICK_EVERY: Duration = Duration::from_mins(1);
/// How soon it ticks after a write: sooner than on AWS, so that a person who watches need not wait.
const TICK_AFTER_WRITES: Duration = Duration::from_secs(10);
/// How long a tick may take, as on AWS.
const TICK_LIMIT: Duration = Duration::from_secs(55);

impl Drop for RunningDispatcher {
    /// The next tick does the work of an interrupted one.
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl RunningWorker {
    /// Stops polling, and waits until every running job has ended or was returned.
    pub async fn stop(self) -> Result<(), WorkerError> {
        self.stopper.raise();
        match self.polling.await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the worker's task failed");
                Ok(())
            }
        }
    }
}
