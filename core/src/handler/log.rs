//! What an attempt says while it runs: its log and its progress.
//!
//! Neither costs a request or an await: the settlement carries the log, and the item by which a batch says what it runs
//! carries the progress. A handler may call both as often as it likes. Each keeps its memory and replaces what it holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::job::{AttemptLog, Percent, Progress, is_printable};

/// The log of the attempt that runs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct JobLog(Arc<Mutex<Lines>>);

/// The newest lines.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    dropped: u64,
}

impl JobLog {
    /// Adds a line. The log keeps the newest [`AttemptLog::MAX_BYTES`]. Control characters are replaced by `\u{fffd}`, except
    /// tabs and line breaks.
    pub fn add(&self, line: &str) {
        self.lines().add(line);
    }

    /// Takes what it holds.
    #[must_use]
    pub fn take(&self) -> AttemptLog {
        self.lines().take()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Every change leaves the lines whole, so a panic elsewhere can't have broken them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    const MOST: usize = AttemptLog::MAX_BYTES;

    fn add(&mut self, line: &str) {
        // Of a long line only the end can stay. Any letter takes at most three times its bytes.
        let skipped = line.ceil_char_boundary(line.len().saturating_sub(Self::MOST));
        self.dropped += skipped as u64;
        let shown =
            |letter: char| if is_printable(letter) || "\n\t".contains(letter) { letter } else { '\u{fffd}' };
        self.text.extend(line[skipped..].chars().map(shown));
        self.text.push('\n');
        // Moving the text is dear, so it happens once for many lines.
        if self.text.len() > 2 * Self::MOST {
            self.cut();
        }
    }

    /// Drops what is too old.
    fn cut(&mut self) {
        let old = self.text.ceil_char_boundary(self.text.len().saturating_sub(Self::MOST));
        self.dropped += old as u64;
        self.text.drain(..old);
    }

    fn take(&mut self) -> AttemptLog {
        self.cut();
        let Self { text, dropped } = std::mem::take(self);
        AttemptLog { text, dropped }
    }
}

/// What an attempt last said about its progress. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProgressCell(Arc<Mutex<Option<Progress>>>);

impl ProgressCell {
    pub(crate) fn set(&self, percent: Percent, words: &str) {
        self.cell().get_or_insert_default().set(percent, words);
    }

    pub(crate) fn get(&self) -> Option<Progress> {
        self.cell().clone()
    }

    fn cell(&self) -> MutexGuard<'_, Option<Progress>> {
        // Every change leaves the progress whole, so a panic elsewhere can't have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> AttemptLog {
        let log = JobLog::default();
        for line in lines {
            log.add(line);
        }
        log.take()
    }

    #[test]
    fn the_newest_lines_are_kept_and_what_was_dropped_is_counted() {
        assert_eq!(log(&["a", "b"]), AttemptLog { text: "a\nb\n".to_owned(), dropped: 0 });
        let numbers: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let AttemptLog { text, dropped } = log(&numbers);
        assert_eq!(text.len(), AttemptLog::MAX_BYTES);
        assert!(text.ends_with("9998\n9999\n"));
        assert_eq!(text.len() as u64 + dropped, 48_890);
    }

    #[test]
    fn a_line_is_cut_between_letters() {
        let text = log(&[&"\u{1f980}".repeat(100_000)]).text;
        assert!(AttemptLog::MAX_BYTES - 4 < text.len() && text.len() <= AttemptLog::MAX_BYTES);
        assert!(text.trim_end().chars().all(|letter| letter == '\u{1f980}'));
    }

    #[test]
    fn a_log_holds_no_control_characters_and_so_many_of_them_take_no_more_room() {
        assert_eq!(log(&["\u{1b}[2Jx\ty\r"]).text, "\u{fffd}[2Jx\ty\u{fffd}\n");
        assert!(log(&[&"\u{1}".repeat(100_000)]).text.len() <= AttemptLog::MAX_BYTES);
    }
}
