//! Live progress: a bar on a terminal, plain lines in a file or a pipe.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use lambda_jobs_core::JobStatus;
use tracing_subscriber::fmt::MakeWriter;

/// The figures that are shown, in this order.
const SHOWN: [JobStatus; 6] = [
    JobStatus::Scheduled,
    JobStatus::Queued,
    JobStatus::Running,
    JobStatus::Retrying,
    JobStatus::Completed,
    JobStatus::Failed,
];

/// Shows how many jobs have each status. Clones share one bar, so that log lines can go around it.
#[derive(Clone, Default)]
pub struct Progress {
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Progress {
    /// Begins to show `total` jobs.
    pub fn begin(&self, total: usize) {
        if io::stderr().is_terminal() {
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30.green} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
        }
    }

    /// Shows these figures. Without a terminal every call prints a line, so call it only when they changed.
    pub fn show(&self, counts: &BTreeMap<JobStatus, usize>) {
        let count = |status: &JobStatus| counts.get(status).copied().unwrap_or_default();
        let text: Vec<String> = SHOWN.iter().map(|status| format!("{status} {}", count(status))).collect();
        let text = text.join("  ");
        let finished: usize = JobStatus::ALL.iter().filter(|status| status.is_finished()).map(count).sum();
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => {
                bar.set_position(finished as u64);
                bar.set_message(text);
            }
            None => eprintln!("{text}"),
        }
    }

    /// Prints a line, above the bar if there is one.
    pub fn line(&self, text: &str) {
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

/// Standard error, written above the bar.
pub struct AroundBar(Option<ProgressBar>);

impl Write for AroundBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(bar) => bar.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Progress {
    type Writer = AroundBar;

    fn make_writer(&'a self) -> AroundBar {
        AroundBar(self.bar.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
