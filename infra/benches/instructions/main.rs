//! Counts the instructions of what every job makes a worker do, and compares them with `baselines.json`.
//!
//! Counts repeat where times do not, so a change that makes a job dearer shows on any machine. callgrind, a part of
//! valgrind, counts. Each function runs in a process of its own, once for a few rounds and once for many: the difference
//! is the function's alone, without what starting a process costs.
//!
//! ```sh
//! .ci/instructions          # counts and compares
//! .ci/instructions set      # counts, and makes the counts the baselines
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the work is fixed: nothing that it meets is input"
)]

mod verdict;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

type Failure = Box<dyn std::error::Error>;

/// The rounds of the two runs.
const FEW: u32 = 20;
const MANY: u32 = 220;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", name, rounds] => run(name, rounds),
        ["check"] => check(),
        ["set"] => set(),
        _ => {
            println!("usage: .ci/instructions [set]");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, rounds: &str) -> Result<(), Failure> {
    let function = work::ALL.iter().find(|(known, _)| *known == name).ok_or("no such function")?.1;
    function(rounds.parse()?);
    Ok(())
}

fn baselines_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baselines.json")
}

fn check() -> Result<(), Failure> {
    let baselines: BTreeMap<String, u64> = serde_json::from_str(&std::fs::read_to_string(baselines_path())?)?;
    let counts = counts(&baselines)?;
    let complaints = verdict::complaints(&baselines, &counts);
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

fn set() -> Result<(), Failure> {
    let counts = counts(&BTreeMap::new())?;
    std::fs::write(baselines_path(), serde_json::to_string_pretty(&counts)? + "\n")?;
    Ok(())
}

fn counts(baselines: &BTreeMap<String, u64>) -> Result<BTreeMap<String, u64>, Failure> {
    println!("{:<24} {:>12} {:>12}", "instructions", "counted", "baseline");
    let mut counts = BTreeMap::new();
    for (name, _) in work::ALL {
        let more = count(name, MANY)?.checked_sub(count(name, FEW)?).ok_or("more rounds cost less")?;
        let counted = more / u64::from(MANY - FEW);
        let baseline = baselines.get(*name).map_or_else(|| "-".to_owned(), u64::to_string);
        println!("{name:<24} {counted:>12} {baseline:>12}");
        counts.insert((*name).to_owned(), counted);
    }
    Ok(counts)
}

/// The instructions of a process that runs a function for so many rounds.
fn count(name: &str, rounds: u32) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(std::env::current_exe()?).args(["run", name, &rounds.to_string()]);
    let output = command.output().map_err(|error| format!("start valgrind: {error}; install it"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told.lines().find_map(|line| line.split_once("Collected :"));
    let counted =
        counted.filter(|_| output.status.success()).and_then(|(_, count)| count.trim().parse().ok());
    counted.ok_or_else(|| format!("count {name}: {told}").into())
}
