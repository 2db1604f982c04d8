//! What lambda-jobs costs beside workers that are written by hand.
//!
//! Every function runs in its own process under the Lambda Runtime API, against an embedded DynamoDB in another process,
//! over plain HTTP. The functions take turns, so that other load on this machine affects all alike, and each turn has a
//! new function and a new store. `by_hand` makes two conditional writes for each job, ten jobs at once.
//! `by_hand_batched` makes two batches of statements for ten jobs. Ratios compare with `by_hand`, round by round.
//!
//! Before anything is measured, [`checks`] shows that the workers do the same: what runs twice is not a cheaper worker.
//! [`counted`] counts requests, bytes and units in a run of its own, so that counting costs the timed runs nothing.

mod checks;
mod counted;
mod jobs;
mod process;
mod report;
mod store;
mod turn;

use std::path::Path;

use lambda_jobs_tests::Function;

use crate::Failure;
use crate::functions::{self, Part};
use counted::Counts;
use process::Cores;
pub(crate) use store::serve as serve_store;
use turn::Turn;

/// A function to measure.
struct Subject {
    title: &'static str,
    binary: &'static str,
    /// Whether it runs jobs, so that it has to pass the checks.
    works: bool,
}

const SUBJECTS: [Subject; 4] = [
    Subject { title: "bare function, 1 GetItem", binary: "bare_function", works: false },
    Subject { title: "by hand", binary: "by_hand", works: true },
    Subject { title: "by hand, batched", binary: "by_hand_batched", works: true },
    Subject { title: "lambda-jobs", binary: "quiet_worker", works: true },
];
/// The position of the subject that the others are compared with.
const BASE: usize = 1;

impl Subject {
    fn function(&self, binaries: &Path, endpoint: &str) -> Function {
        Function::new(binaries.join(self.binary), endpoint).with("TABLE", store::TABLE)
    }

    fn context(&self, error: &Failure) -> Failure {
        format!("{}: {error}", self.binary).into()
    }
}

/// What was found out about a subject.
struct Findings {
    binary_bytes: u64,
    counts: Counts,
    turns: Vec<Turn>,
}

pub(crate) async fn run(rounds: usize, profile: &str) -> Result<(), Failure> {
    let binaries = functions::build(profile, &parts(profile))?;
    let cores = Cores::of_this_machine();
    let mut findings = Vec::with_capacity(SUBJECTS.len());
    for subject in &SUBJECTS {
        let found = prepare(subject, &binaries).await.map_err(|error| subject.context(&error))?;
        findings.push(found);
    }
    for round in 0..rounds {
        for at in 0..SUBJECTS.len() {
            // Nobody always follows the same one.
            let at = (at + round) % SUBJECTS.len();
            let turn = turn::measure(&SUBJECTS[at], &binaries, cores).await;
            findings[at].turns.push(turn.map_err(|error| SUBJECTS[at].context(&error))?);
        }
    }
    report::print(profile, cores, &findings);
    Ok(())
}

/// Built together with this benchmark, the worker shares all dependencies, and is there soon. Built alone it has no
/// features but its own, as a deployed worker.
fn parts(profile: &str) -> [Part; 2] {
    let both = &[functions::OWN, "lambda-jobs-tests"];
    let packages = if profile == "bench" { both } else { &both[..1] };
    [
        Part { packages, features: "worker", binaries: &["quiet_worker"] },
        Part {
            packages: &[functions::OWN],
            features: "by-hand",
            binaries: &["bare_function", "by_hand", "by_hand_batched"],
        },
    ]
}

async fn prepare(subject: &Subject, binaries: &Path) -> Result<Findings, Failure> {
    if subject.works {
        checks::run(subject, binaries).await?;
    }
    Ok(Findings {
        binary_bytes: process::stripped_size(&binaries.join(subject.binary))?,
        counts: counted::count(subject, binaries).await?,
        turns: Vec::new(),
    })
}
