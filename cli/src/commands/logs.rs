//! The attempts at a job, for people.

use lambda_jobs_core::job::PastAttempt;

use super::time;
use crate::output;

/// The longest line of a log that is shown, in letters.
const LINE: usize = 1_000;

/// The attempts, each with its log. Every line of a log is indented, so that none can look like the command's own.
pub(super) fn attempts(attempts: &[PastAttempt]) -> String {
    if attempts.is_empty() {
        return "no attempt has begun, or nothing is kept of any\n".to_owned();
    }
    attempts.iter().map(attempt).collect()
}

fn attempt(attempt: &PastAttempt) -> String {
    let took = attempt.execution_time.map(|took| format!("took {} ms", took.as_millis()));
    let took = took.unwrap_or_else(|| "not known to have ended".to_owned());
    let worker = attempt.worker.as_ref().map(|worker| format!("  worker {}", output::plain(worker, LINE)));
    let worker = worker.unwrap_or_default();
    let mut lines =
        vec![format!("attempt {}  started {}  {took}{worker}", attempt.attempt, time(attempt.started_at))];
    lines.extend(attempt.error.as_ref().map(|error| format!("  error: {}", output::plain(error, LINE))));
    if attempt.log_dropped > 0 {
        lines.push(format!("  ({} bytes before this were dropped)", attempt.log_dropped));
    }
    let log = attempt.log.iter().flat_map(|log| log.lines());
    lines.extend(log.map(|line| format!("  | {}", output::plain(line, LINE))));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    fn one() -> PastAttempt {
        PastAttempt::new(2, DateTime::UNIX_EPOCH, Some(Duration::from_millis(1234)))
    }

    #[test]
    fn an_attempt_is_shown_with_what_is_known_of_it() {
        let log = Some("row 7\nrow 8\n".to_owned());
        let worker = Some("2026/11/23/[1]c0ffee".to_owned());
        let attempt = PastAttempt { log, worker, log_dropped: 12, ..one().because(Some("no date")) };
        let expected = "attempt 2  started 1970-01-01 00:00:00.000  took 1234 ms  worker 2026/11/23/[1]c0ffee\n  \
                        error: no date\n  (12 bytes before this were dropped)\n  | row 7\n  | row 8\n";
        assert_eq!(attempts(&[attempt]), expected);
        let crashed = PastAttempt::new(1, DateTime::UNIX_EPOCH, None);
        let expected = "attempt 1  started 1970-01-01 00:00:00.000  not known to have ended\n";
        assert_eq!(attempts(&[crashed]), expected);
    }

    #[test]
    fn no_log_can_command_the_terminal_or_look_like_the_commands_own_lines() {
        let log = Some("\u{1b}]0;owned\u{7}\u{9b}2J\r\nattempt 9  started\u{85}never\n".to_owned());
        let text = attempts(&[PastAttempt { log, ..one().because(Some("\u{1b}[31mred\nattempt 8")) }]);
        assert!(text.lines().flat_map(str::chars).all(|letter| !letter.is_control()), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("attempt")).count(), 1, "{text}");
    }
}
