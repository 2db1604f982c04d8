//! Failures in a row: calls that failed, and no success between.
//!
//! Workers tell of their calls at different times. A success that ended before the row began does not end it, however
//! late the fleet hears of it. So the row knows when it began, and when the last success was.

/// The calls that failed since the last success. Instants are in milliseconds since 1970, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) failures: u64,
    /// When the first of them failed.
    pub(super) since: i64,
    pub(super) success_at: i64,
}

impl Run {
    pub(super) const NONE: Self = Self { failures: 0, since: 0, success_at: 0 };

    /// Calls that ended at one instant, of which some may have succeeded. Then none counts as failed in a row.
    pub(super) const fn of(at: i64, failures: u64, have_success: bool) -> Self {
        if have_success {
            Self { failures: 0, since: 0, success_at: at }
        } else {
            Self { failures, since: if failures > 0 { at } else { 0 }, success_at: 0 }
        }
    }

    /// Both together. Of calls that ended at one instant, those of `later` came later.
    pub(super) fn then(self, later: Self) -> Self {
        let is_broken = later.success_at > 0 && later.success_at >= self.since;
        let is_past = later.since < self.success_at;
        let earlier = if is_broken { Self::NONE } else { self };
        let later_failures = if is_past { Self::NONE } else { later };
        let first = [earlier, later_failures].into_iter().filter(|run| run.failures > 0).map(|run| run.since);
        Self {
            failures: earlier.failures.saturating_add(later_failures.failures),
            since: first.min().unwrap_or_default(),
            success_at: self.success_at.max(later.success_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(failures: u64, since: i64, success_at: i64) -> Run {
        Run { failures, since, success_at }
    }

    #[test]
    fn a_success_ends_a_row_only_if_it_came_after_its_beginning() {
        let row = run(4, 100, 90);
        assert_eq!(row.then(run(0, 0, 150)), run(0, 0, 150));
        assert_eq!(row.then(run(1, 120, 95)), run(5, 100, 95), "the success was told late");
        assert_eq!(row.then(run(2, 160, 150)), run(2, 160, 150));
        assert_eq!(row.then(run(2, 50, 40)), run(4, 100, 90), "the failures were told late");
        assert_eq!(row.then(Run::NONE), row);
        assert_eq!(Run::NONE.then(row), row);
    }
}
