//! The outcome of histories, for a person to read.

use std::fmt;

use chrono::TimeDelta;

use crate::simulation::facts::Broken;
use crate::simulation::faults::{Fault, FaultCounts};
use crate::simulation::history::Outcome;
use crate::simulation::replay::Replay;

/// The figures of histories that broke no guarantee.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Histories that ran.
    pub histories: u64,
    /// Jobs that were accepted.
    pub jobs: u64,
    /// Attempts that were started.
    pub attempts: u64,
    /// Batches that were delivered.
    pub batches: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages that another worker held at the same time or had already acked.
    pub duplicates: u64,
    /// Calls of dependencies that a breaker let through.
    pub calls: u64,
    /// How often a breaker opened.
    pub openings: u64,
    /// How often a breaker let a probe through.
    pub probes: u64,
    /// How often a breaker or a limit deferred a job.
    pub deferrals: u64,
    /// Faults, by kind.
    pub faults: FaultCounts,
    /// Virtual time that passed in them.
    pub time: TimeDelta,
}

impl Summary {
    pub(super) fn of(outcome: &Outcome) -> Self {
        Self {
            histories: 1,
            jobs: outcome.jobs,
            attempts: outcome.attempts,
            batches: outcome.figures.invocations,
            messages: outcome.figures.messages,
            duplicates: outcome.figures.duplicates,
            calls: outcome.protection.calls,
            openings: outcome.protection.openings,
            probes: outcome.protection.probes,
            deferrals: outcome.protection.deferrals,
            faults: outcome.counts.clone(),
            time: outcome.took,
        }
    }

    /// Adds the figures of another summary.
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.jobs += other.jobs;
        self.attempts += other.attempts;
        self.batches += other.batches;
        self.messages += other.messages;
        self.duplicates += other.duplicates;
        self.calls += other.calls;
        self.openings += other.openings;
        self.probes += other.probes;
        self.deferrals += other.deferrals;
        self.faults.add(&other.faults);
        self.time += other.time;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>12} histories, {} days in all", self.histories, self.time.num_days())?;
        writeln!(f, "{:>12} jobs", self.jobs)?;
        writeln!(f, "{:>12} attempts", self.attempts)?;
        writeln!(f, "{:>12} batches", self.batches)?;
        writeln!(f, "{:>12} messages delivered", self.messages)?;
        writeln!(f, "{:>12} duplicates delivered", self.duplicates)?;
        writeln!(f, "{:>12} calls of dependencies", self.calls)?;
        writeln!(f, "{:>12} openings of breakers, {} probes", self.openings, self.probes)?;
        writeln!(f, "{:>12} deferrals by breakers and limits", self.deferrals)?;
        write!(f, "{:>12} faults", self.faults.total())?;
        for fault in Fault::ALL {
            write!(f, "\n{:>12} {fault}", self.faults.of(*fault))?;
        }
        Ok(())
    }
}

/// The shortest history found that breaks a guarantee.
///
/// Its text names the guarantee, what was seen, the last events, and the [`Replay`] that shows it again.
#[derive(Clone, Debug)]
pub struct Breach {
    /// The guarantee that does not hold.
    pub broken: Broken,
    /// Shows it again, with [`Simulation::replay`](super::Simulation::replay).
    pub replay: Replay,
    /// The last events, one a line.
    pub lines: Vec<String>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broken: Broken { guarantee, what }, replay, lines } = self;
        writeln!(f, "broken: {guarantee}")?;
        writeln!(f, "  {what}")?;
        writeln!(f, "seed {}; in the shortest history found:", replay.seed)?;
        for line in lines {
            writeln!(f, "  {line}")?;
        }
        write!(f, "replay: {replay}")
    }
}

impl std::error::Error for Breach {}
