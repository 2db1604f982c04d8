//! Runs thousands of histories, replays one, or proves that the simulator catches a broken core.
//!
//! See [`lambda_jobs_testing::simulation`] for what a history is.

mod mutants;

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use lambda_jobs_testing::simulation::{Breach, Replay, Simulation, Summary};

use mutants::Terms;

/// How to replay a history.
const REPLAY: &str = "cargo run --release -p lambda-jobs-tests --bin simulate -- --replay";

/// Simulates lambda-jobs on an AWS that does everything that the real one may do
#[derive(Parser)]
#[command(name = "simulate")]
struct Args {
    /// The seeds of the histories to run, both ends included
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..2000", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// Replays one history: a seed, or the replay that a breach printed
    #[arg(long, value_name = "SEED[/STEPS/FAULTS]", conflicts_with = "mutants")]
    replay: Option<Replay>,
    /// Breaks the core on purpose, one way at a time, and lists which mutants are caught
    #[arg(long)]
    mutants: bool,
    /// Only checks that each mutant's text occurs exactly once in the core; builds and runs nothing
    #[arg(long, requires = "mutants")]
    check: bool,
    /// How many histories a mutant must survive
    #[arg(long, value_name = "COUNT", default_value_t = 8000)]
    mutant_seeds: u64,
    /// Stops a mutant after this time and reports it as unfit
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    mutant_limit: u64,
    /// How many mutants run at once; one per core by default
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let range = text.split_once("..").and_then(|(first, last)| {
        let last = last.strip_prefix('=').unwrap_or(last);
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    range
        .filter(|range| !range.is_empty())
        .ok_or_else(|| "expected two numbers, the smaller one first, such as 1..20000".to_owned())
}

fn main() -> ExitCode {
    let args = Args::parse();
    // The intended panics of jobs would bury all other output.
    std::panic::set_hook(Box::new(|_| {}));
    let threads =
        args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    if args.mutants {
        return try_mutants(&args, threads);
    }
    let outcome = match &args.replay {
        Some(replay) => Simulation::standard().replay(replay),
        None => run(args.seeds, threads),
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(breach) => {
            println!("{breach}\n{REPLAY} {}", breach.replay);
            ExitCode::FAILURE
        }
    }
}

/// Histories on several threads, until all are done or one breaks a guarantee.
struct Run {
    seeds: RangeInclusive<u64>,
    begun: Instant,
    next: AtomicU64,
    found: Mutex<Found>,
}

/// The summary so far.
#[derive(Default)]
struct Found {
    done: usize,
    summary: Summary,
    breach: Option<Box<Breach>>,
}

fn run(seeds: RangeInclusive<u64>, threads: usize) -> Result<Summary, Box<Breach>> {
    let next = AtomicU64::new(*seeds.start());
    let run = Run { seeds, begun: Instant::now(), next, found: Mutex::default() };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| run.work());
        }
    });
    let Found { summary, breach, .. } = run.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    breach.map_or(Ok(summary), Err)
}

impl Run {
    fn work(&self) {
        let simulation = Simulation::standard();
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed > *self.seeds.end() || !self.note(simulation.history(seed)) {
                return;
            }
        }
    }

    /// Adds a history to the results. Returns whether to continue.
    fn note(&self, outcome: Result<Summary, Box<Breach>>) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.done += 1;
        match outcome {
            Ok(summary) => found.summary.add(&summary),
            Err(breach) => drop(found.breach.get_or_insert(breach)),
        }
        let (done, all) = (found.done, self.seeds.clone().count());
        if done.is_multiple_of((all / 10).max(1)) {
            let per_minute = 60_000 * done as u128 / self.begun.elapsed().as_millis().max(1);
            eprintln!("{done} of {all} histories, {per_minute} per minute");
        }
        found.breach.is_none()
    }
}

/// Tries every mutant, or only checks that its text is in the core. Fails unless every mutant is caught, or found.
fn try_mutants(args: &Args, threads: usize) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if args.check {
        return check_mutants(&root);
    }
    let limit = Duration::from_secs(args.mutant_limit);
    match mutants::try_all(&root, Terms { seeds: args.mutant_seeds, limit, threads }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the mutants can't be built: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check_mutants(root: &Path) -> ExitCode {
    let misplaced = mutants::misplaced(root);
    for problem in &misplaced {
        println!("UNFIT     {problem}");
    }
    println!("mutants that find their text: {} of {}", mutants::count() - misplaced.len(), mutants::count());
    if misplaced.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
