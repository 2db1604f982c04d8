//! Holds: the dependency asked for no calls until an instant.
//!
//! A dependency that answers "too many requests" works, and says when it takes calls again. That is a wish and no
//! failure. So it does not open the breaker: it holds the breaker's calls until then, for the price of one write. The
//! jobs wait unspent, and come back on a ramp of the hold.
//!
//! Many tenants may call one host, each under a quota of its own. So a hold can be one tenant's, and the others go on.
//! A dependency can't make the state grow: when there are too many holds, the one that ends first makes room.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Breaker, Phase, Ramp};

/// A dependency's wish not to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The tenant whose calls it is about; `None` if it is about all.
    pub tenant: Option<String>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// A wish that the fleet heeds, and the jobs that wait for its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The tenant whose calls it holds; `None` if it holds all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The jobs that wait. It begins when the hold ends.
    #[serde(rename = "line")]
    pub ramp: Ramp,
}

/// The longest hold that a dependency can ask for. One that asks for more gets this.
pub const LONGEST_HOLD: Duration = Duration::from_hours(1);
/// How many holds there are at once.
const MAX_HOLDS: usize = 8;

impl Hold {
    /// When it ends.
    #[must_use]
    pub const fn until(&self) -> DateTime<Utc> {
        self.ramp.from
    }

    fn is_about(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }
}

impl Breaker {
    /// The hold that ends last, of those on the calls of a tenant, or of a job without one.
    #[must_use]
    pub fn hold_on(&self, tenant: Option<&str>, now: DateTime<Utc>) -> Option<&Hold> {
        let live = self.holds.iter().filter(|hold| hold.until() > now && hold.is_about(tenant));
        live.max_by_key(|hold| hold.until())
    }

    /// The hold that ends last, whoever's calls it holds.
    #[must_use]
    pub fn last_hold(&self, now: DateTime<Utc>) -> Option<&Hold> {
        self.holds.iter().filter(|hold| hold.until() > now).max_by_key(|hold| hold.until())
    }

    /// Whether there is nothing to do about this wish: the breaker holds its calls for long enough already, or an
    /// operator keeps the breaker closed, whatever the dependency asks for.
    #[must_use]
    pub fn heeds(&self, wish: &Wish, now: DateTime<Utc>) -> bool {
        let same = |hold: &&Hold| hold.tenant.is_none() || hold.tenant == wish.tenant;
        self.phase == (Phase::Closed { forced: true })
            || wish.until <= now
            || self.holds.iter().filter(same).any(|hold| hold.until() >= wish.until)
    }

    /// The breaker with a hold for this wish. It replaces an earlier one on the same calls.
    #[must_use]
    pub fn held(mut self, wish: Wish, now: DateTime<Utc>) -> Self {
        let Wish { tenant, until } = wish;
        self.holds.retain(|hold| hold.until() > now && hold.tenant != tenant);
        if self.holds.len() >= MAX_HOLDS
            && let Some(first) = (0..self.holds.len()).min_by_key(|at| self.holds[*at].until())
        {
            self.holds.remove(first);
        }
        self.holds.push(Hold { tenant, ramp: Ramp::new(until) });
        self.written(now)
    }

    /// Puts refused jobs of a tenant on the ramp of the hold that refuses them; `None` if none does, or if a probe is due
    /// even later.
    pub(super) fn join_hold(
        &mut self,
        tenant: Option<&str>,
        jobs: u64,
        now: DateTime<Utc>,
    ) -> Option<Vec<DateTime<Utc>>> {
        let hold = self.hold_on(tenant, now)?;
        let (until, tenant) = (hold.until(), hold.tenant.clone());
        if matches!(self.phase, Phase::Open { probe_at } if probe_at.is_none_or(|at| at > until)) {
            return None;
        }
        let hold = self.holds.iter_mut().find(|hold| hold.tenant == tenant)?;
        Some(hold.ramp.join(jobs, until))
    }
}
