//! Runs histories by the thousand, tells one again, or proves that a broken core is caught.
//!
//! See [`lambda_jobs_core::testing::simulation`] for what a history is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports to a terminal")]

mod mutants;

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use lambda_jobs_core::testing::simulation::{Breach, Replay, Simulation, Summary};

use mutants::{Bench, Fate};

/// How a history is told again.
const REPLAY: &str = "cargo run --release -p lambda-jobs-tests --bin simulate -- --replay";

/// Simulates lambda-jobs on an AWS that does everything that the real one may do.
#[derive(Parser)]
#[command(name = "simulate")]
struct Args {
    /// The histories to run, both ends included
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..2000", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// Tells one history again: a seed, or what a breach was reported with
    #[arg(long, value_name = "SEED[/STEPS/FAULTS]", conflicts_with = "mutants")]
    replay: Option<Replay>,
    /// Breaks the core on purpose, in one way after another, and shows which of them are caught
    #[arg(long)]
    mutants: bool,
    /// How many histories a mutant has to survive
    #[arg(long, value_name = "COUNT", default_value_t = 3000)]
    mutant_seeds: u64,
    /// How many run at once; one for each core by default
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
    // What jobs panic with on purpose would bury everything else.
    std::panic::set_hook(Box::new(|_| {}));
    let threads =
        args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    if args.mutants {
        return try_mutants(args.mutant_seeds, threads);
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

/// Runs histories on several threads, until all are done or one breaks a guarantee.
fn run(seeds: RangeInclusive<u64>, threads: usize) -> Result<Summary, Box<Breach>> {
    let (begun, count) = (Instant::now(), seeds.clone().count());
    let next = AtomicU64::new(*seeds.start());
    let found: Mutex<(Summary, Option<Box<Breach>>)> = Mutex::default();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let simulation = Simulation::standard();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    let outcome = simulation.history(seed);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(summary) => found.0.add(&summary),
                        Err(breach) => {
                            next.store(u64::MAX / 2, Ordering::Relaxed);
                            found.1.get_or_insert(breach);
                        }
                    }
                    drop(found);
                    let done = 1 + done.fetch_add(1, Ordering::Relaxed);
                    if done.is_multiple_of((count / 10).max(1)) {
                        eprintln!(
                            "{done} of {count} histories, {} per minute",
                            per_minute(done, begun.elapsed())
                        );
                    }
                }
            });
        }
    });
    let (summary, breach) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    breach.map_or(Ok(summary), Err)
}

fn per_minute(done: usize, elapsed: Duration) -> u128 {
    60_000 * done as u128 / elapsed.as_millis().max(1)
}

/// Tries every mutant; fails unless all are caught.
fn try_mutants(seeds: u64, threads: usize) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let next = AtomicUsize::new(0);
    let caught = AtomicUsize::new(0);
    thread::scope(|scope| {
        for lane in 0..threads {
            let (root, next, caught) = (&root, &next, &caught);
            scope.spawn(move || {
                let bench = match Bench::set_up(root, lane) {
                    Ok(bench) => bench,
                    Err(error) => return eprintln!("the core can't be copied: {error}"),
                };
                while let Some(mutant) = mutants::all().get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let fate =
                        bench.try_out(mutant, seeds).unwrap_or_else(|error| Fate::Unfit(error.to_string()));
                    let time = begun.elapsed().as_secs();
                    match fate {
                        Fate::Caught(how) => {
                            caught.fetch_add(1, Ordering::Relaxed);
                            println!("caught    {} ({}, {time} s)", mutant.name, how.trim());
                        }
                        Fate::Survived => println!("SURVIVED  {} ({seeds} seeds, {time} s)", mutant.name),
                        Fate::Unfit(why) => println!("UNFIT     {}: {why}", mutant.name),
                    }
                }
            });
        }
    });
    let (caught, all) = (caught.into_inner(), mutants::all().len());
    println!("mutants caught: {caught} of {all}");
    if caught == all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
