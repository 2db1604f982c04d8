//! Prints the findings as a table of Markdown.

use super::counted::Counts;
use super::process::Cores;
use super::turn::Turn;
use super::{BASE, Findings, SUBJECTS};
use crate::quantiles::quantiles;

pub(super) fn print(profile: &str, cores: Option<Cores>, findings: &[Findings]) {
    let rounds = findings.first().map_or(0, |found| found.turns.len());
    let pinned = if cores.is_some() { "on cores of their own" } else { "not pinned to cores" };
    println!("\nprofile {profile}; {rounds} rounds; function and store {pinned}");
    println!("median (p10 to p90), ratio to {}\n", SUBJECTS[BASE].title);
    println!("| per job, in batches of 10 | {} |", SUBJECTS.map(|subject| subject.title).join(" | "));
    println!("| --- |{}", " --- |".repeat(SUBJECTS.len()));
    timed(findings, "CPU of the function, µs", |turn| turn.cpu.map(|time| time.as_secs_f64() * 1e6));
    timed(findings, "CPU of the store, µs", |turn| turn.store_cpu.map(|time| time.as_secs_f64() * 1e6));
    timed(findings, "jobs/s of one environment", |turn| Some(1.0 / turn.time.as_secs_f64()));
    counted(findings, "requests", 2, |counts| counts.requests);
    counted(findings, "bytes sent", 0, |counts| counts.sent);
    counted(findings, "bytes sent as headers", 0, |counts| counts.headers);
    counted(findings, "bytes received", 0, |counts| counts.received);
    counted(findings, "write units", 2, |counts| counts.write_units);
    counted(findings, "bytes of log, standard output", 0, |counts| counts.output);
    counted(findings, "bytes of log, standard error", 0, |counts| counts.errors);
    println!("\n| per process | {} |", SUBJECTS.map(|subject| subject.title).join(" | "));
    println!("| --- |{}", " --- |".repeat(SUBJECTS.len()));
    timed(findings, "start to first answer, ms", |turn| Some(turn.first_answer.as_secs_f64() * 1e3));
    timed(findings, "peak memory, MiB", |turn| turn.memory.map(|bytes| mega(bytes, 1024.0)));
    row("binary, MB", findings, |found| once(mega(found.binary_bytes, 1000.0), binary(&findings[BASE]), 1));
}

fn binary(found: &Findings) -> f64 {
    mega(found.binary_bytes, 1000.0)
}

#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn mega(bytes: u64, kilo: f64) -> f64 {
    bytes as f64 / kilo / kilo
}

fn row(title: &str, findings: &[Findings], cell: impl Fn(&Findings) -> String) {
    println!("| {title} | {} |", findings.iter().map(cell).collect::<Vec<_>>().join(" | "));
}

/// A figure that each turn has. The ratio is the median of the rounds' ratios.
fn timed(findings: &[Findings], title: &str, figure: impl Fn(&Turn) -> Option<f64>) {
    row(title, findings, |found| {
        let samples: Vec<f64> = found.turns.iter().filter_map(&figure).collect();
        if samples.is_empty() {
            return "unknown".to_owned();
        }
        let rounds = found.turns.iter().zip(&findings[BASE].turns);
        let ratios = rounds.filter_map(|(turn, base)| Some(figure(turn)? / figure(base)?));
        let ([ratio], [p10, p50, p90]) = (quantiles(ratios, [50]), quantiles(samples, [10, 50, 90]));
        let digits = usize::from(p50 < 100.0);
        format!("{p50:.digits$} ({p10:.digits$} to {p90:.digits$}), {ratio:.2} x")
    });
}

/// A figure that is the same in each turn.
fn counted(findings: &[Findings], title: &str, digits: usize, figure: impl Fn(&Counts) -> f64) {
    row(title, findings, |found| once(figure(&found.counts), figure(&findings[BASE].counts), digits));
}

fn once(value: f64, base: f64, digits: usize) -> String {
    if base > 0.0 { format!("{value:.digits$}, {:.2} x", value / base) } else { format!("{value:.digits$}") }
}
