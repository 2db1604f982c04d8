//! The events of a history, one a line, for a person to read. Kept only if somebody will read them.

use std::collections::VecDeque;

use chrono::TimeDelta;

/// How many lines a breach shows.
const LINES: usize = 60;

#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    lines: Option<VecDeque<String>>,
}

impl Timeline {
    /// A timeline that keeps nothing.
    pub(super) const fn off() -> Self {
        Self { lines: None }
    }

    /// A timeline that keeps the last lines.
    pub(super) const fn on() -> Self {
        Self { lines: Some(VecDeque::new()) }
    }

    pub(super) fn tell(
        &mut self,
        at: TimeDelta,
        who: impl FnOnce() -> String,
        what: impl FnOnce() -> String,
    ) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() == LINES {
            lines.pop_front();
        }
        let (seconds, millis) = (at.num_seconds(), at.num_milliseconds() % 1000);
        lines.push_back(format!("{seconds:>7}.{millis:03} s  {:<10} {}", who(), what()));
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default().into()
    }
}
