//! The benchmarks. `cargo bench -p lambda-jobs-tests` lists them; `... -- jobs 5000` runs one.
//!
//! All of them are one executable, because each would link the whole AWS stack. Most run on the embedded
//! stack, in one process with the worker. [`cold_start`] and [`engine`] start functions as Lambda does, each in a process
//! of its own, and build them first.

mod backlog;
mod batch;
mod cold_start;
mod engine;
mod enqueue;
mod failing_host;
mod functions;
mod jobs;
mod protection;
mod quantiles;
mod webhooks;

use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures lambda-jobs on this machine.
#[derive(Parser)]
#[command(name = "bench", bin_name = "cargo bench -p lambda-jobs-tests --")]
struct Args {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
    // `cargo bench` adds it to every command line.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Jobs per second through one worker
    Jobs {
        /// How many jobs of each kind
        #[arg(default_value_t = 2000)]
        jobs: usize,
    },
    /// How fast the dispatcher sends jobs that are all due in one minute
    Backlog {
        /// How many jobs; a tenth as many schedules follow
        #[arg(default_value_t = 100_000)]
        jobs: usize,
    },
    /// What a batch costs, compared with as many jobs outside one
    Batch {
        /// How many jobs
        #[arg(default_value_t = 100_000)]
        jobs: usize,
    },
    /// How fast `enqueue_all` is, compared with nothing but `SendMessageBatch`
    Enqueue {
        /// How many jobs each way
        #[arg(default_value_t = 10_000)]
        jobs: usize,
        /// How many rounds
        #[arg(default_value_t = 5)]
        rounds: usize,
    },
    /// What a closed breaker costs each call, and a limit each job
    Protection {
        /// How many calls through one breaker
        #[arg(default_value_t = 100_000)]
        calls: u32,
        /// How many jobs of each kind
        #[arg(default_value_t = 2000)]
        jobs: u32,
    },
    /// Deliveries per second, alone and beside hosts that are down or slow
    Webhooks {
        /// How many deliveries to each endpoint
        #[arg(default_value_t = 1000)]
        deliveries: usize,
        /// How many milliseconds the receiver takes to answer
        #[arg(default_value_t = 0)]
        answer_ms: u64,
        /// Measure only hosts that fail a share of their calls
        #[arg(long)]
        failing: bool,
    },
    /// The time from process start to first answer, compared with a bare function
    ColdStart {
        /// How often to start each function
        #[arg(default_value_t = 30)]
        starts: usize,
    },
    /// What a job costs, compared with workers that are written by hand
    Engine {
        /// How often to measure each function
        #[arg(default_value_t = 30)]
        rounds: usize,
        /// The profile of the functions: `release` has the link-time optimisation of a deployed one
        #[arg(long, default_value = "bench")]
        profile: String,
    },
    /// The DynamoDB of `engine`, in a process of its own
    #[command(hide = true)]
    EngineStore,
}

/// The processor time that this process has used, in seconds, where Linux tells. Unlike the time on the clock, it does not
/// depend on what else the machine does.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold blanks: the 12th and 13th field count hundredths of a second.
    let fields = told.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Args::parse().benchmark {
        Some(Benchmark::Jobs { jobs }) => jobs::run(jobs).await,
        Some(Benchmark::Backlog { jobs }) => backlog::run(jobs).await,
        Some(Benchmark::Batch { jobs }) => batch::run(jobs).await,
        Some(Benchmark::Enqueue { jobs, rounds }) => enqueue::run(jobs, rounds.max(1)).await,
        Some(Benchmark::Protection { calls, jobs }) => protection::run(calls, jobs).await,
        Some(Benchmark::Webhooks { deliveries, answer_ms, failing: true }) => {
            failing_host::run(deliveries, Duration::from_millis(answer_ms)).await
        }
        Some(Benchmark::Webhooks { deliveries, answer_ms, .. }) => webhooks::run(deliveries, answer_ms).await,
        Some(Benchmark::ColdStart { starts }) => cold_start::run(starts).await,
        Some(Benchmark::Engine { rounds, profile }) => engine::run(rounds, &profile).await,
        Some(Benchmark::EngineStore) => engine::serve_store().await,
        None => Ok(Args::command().print_help()?),
    }
}
