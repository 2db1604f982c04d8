//! The progress of a job that is watched: a bar on a terminal, lines elsewhere.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use lambda_jobs_core::job::Progress;

use super::{Failure, percent_and_words};
use crate::output;

/// The letters of a job's words beside a bar.
const WORDS: usize = 60;
/// How many signs a bar has.
const BAR: usize = 20;

/// Shows the progress of one job.
#[derive(Default)]
pub(super) struct WatchedProgress {
    bar: Option<ProgressBar>,
}

impl WatchedProgress {
    /// Shows new progress, in place of the last one on a terminal.
    pub(super) fn show(&mut self, progress: &Progress) -> Result<(), Failure> {
        if !io::stderr().is_terminal() {
            output::line(&format!("progress: {}", percent_and_words(progress, 200)))?;
            return Ok(());
        }
        let bar = self.bar.get_or_insert_with(bar);
        bar.set_position(progress.percent.get().into());
        bar.set_message(percent_and_words(progress, WORDS));
        Ok(())
    }

    /// Takes the bar away, before anything else is printed.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{bar:30.green} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Progress in a table: on a terminal with a bar of text before it.
pub(super) fn row(progress: &Progress) -> String {
    let text = percent_and_words(progress, 200);
    if !io::stdout().is_terminal() {
        return text;
    }
    let done = usize::from(progress.percent.get()) * BAR / 100;
    format!("{}{} {text}", "█".repeat(done), "░".repeat(BAR - done))
}
