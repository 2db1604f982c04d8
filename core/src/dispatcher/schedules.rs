//! Firing stored schedules.

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt};

use super::{Dispatcher, TickReport};
use crate::ports::DueSchedules;

/// How many schedules are read at once.
const PAGE: usize = 1_000;
/// How many of them are fired together.
const CHUNK: usize = 100;
/// How many chunks are under way at once.
const CONCURRENT_CHUNKS: usize = 4;
/// The most rounds of one tick, if schedules have too many occurrences for one round.
const ROUNDS: usize = 10;

impl Dispatcher {
    /// Makes the jobs of all occurrences that are due soon.
    pub(super) async fn fire_schedules(&self, deadline: DateTime<Utc>, report: &mut TickReport) {
        for _ in 0..ROUNDS {
            if !self.fire_round(deadline, report).await {
                return;
            }
        }
        report.is_partial = true;
    }

    /// Fires every due schedule once. Returns whether another round would find more.
    async fn fire_round(&self, deadline: DateTime<Utc>, report: &mut TickReport) -> bool {
        let until = self.manager.ports().clock.now() + Self::LOOK_AHEAD;
        let mut query = DueSchedules { until, limit: PAGE, cursor: None };
        let mut more = false;
        loop {
            if self.is_late(deadline) {
                report.is_partial = true;
                return false;
            }
            let page = match self.manager.ports().schedules.due(&query).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "can't read the schedules");
                    report.is_partial = true;
                    return false;
                }
            };
            let mut chunks = Vec::new();
            for chunk in page.items.chunks(CHUNK) {
                chunks.push(self.manager.fire(chunk.to_vec()));
            }
            let mut chunks = stream::iter(chunks).buffer_unordered(CONCURRENT_CHUNKS);
            while let Some(fired) = chunks.next().await {
                report.fired += fired.jobs;
                report.failed += fired.failed;
                more |= fired.more > 0;
            }
            match page.cursor {
                None => return more,
                cursor => query.cursor = cursor,
            }
        }
    }
}
