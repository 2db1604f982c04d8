//! What holds in every history.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Admission, Breaker, BreakerPolicy, Counts, Phase, ProbeEnd, Ramp, Window};
use super::{at, new, secs};

#[derive(Clone, Debug)]
enum Event {
    Wait(i64),
    Calls { failures: u64, successes: u64 },
    Enter,
    Probed(ProbeEnd),
    StaleProbed,
    Join(u64),
    ForceOpen,
    ForceClosed,
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..50_000_i64).prop_map(Event::Wait),
        4 => (0..4_u64, 0..4_u64).prop_map(|(failures, successes)| Event::Calls { failures, successes }),
        6 => Just(Event::Enter),
        4 => prop_oneof![Just(ProbeEnd::Succeeded), Just(ProbeEnd::Failed), Just(ProbeEnd::Unused)]
            .prop_map(Event::Probed),
        1 => Just(Event::StaleProbed),
        4 => (1..20_u64).prop_map(Event::Join),
        1 => Just(Event::ForceOpen),
        1 => Just(Event::ForceClosed),
        1 => Just(Event::Reset),
    ]
}

/// A fleet that obeys the breaker.
struct Fleet {
    breaker: Breaker,
    policy: BreakerPolicy,
    now: DateTime<Utc>,
    probes: u64,
    /// Probes that have not ended and whose lease lasts.
    leases: Vec<(u64, DateTime<Utc>)>,
    /// The instants on the current ramp.
    places: Vec<DateTime<Utc>>,
}

impl Fleet {
    fn step(&mut self, event: &Event) {
        let before = self.breaker.clone();
        let next = match event {
            Event::Wait(millis) => {
                self.now += TimeDelta::milliseconds(*millis);
                return;
            }
            Event::Calls { failures, successes } => {
                let mut calls = Window::new();
                let counts = Counts { calls: failures + successes, failures: *failures, slow: 0 };
                calls.count(self.now, counts, self.policy.monitoring_period());
                Some(before.clone().recorded(&calls, &self.policy, self.now))
            }
            Event::Enter => self.enter(),
            Event::Probed(end) => {
                let probe = self.leases.pop().map_or(0, |(probe, _)| probe);
                before.clone().probed(probe, *end, &self.policy, self.now)
            }
            Event::StaleProbed => {
                let stale = before.clone().probed(u64::MAX, ProbeEnd::Succeeded, &self.policy, self.now);
                assert_eq!(stale, None, "a probe that is not under way");
                return;
            }
            Event::Join(jobs) => self.join(*jobs),
            Event::ForceOpen => Some(before.clone().forced_open(self.now)),
            Event::ForceClosed => Some(before.clone().forced_closed(self.now)),
            Event::Reset => Some(before.clone().reset(self.now)),
        };
        let Some(next) = next else { return };
        assert_eq!((next.revision, next.written_at), (before.revision + 1, self.now), "{event:?}");
        if next.ramp != before.ramp && !matches!(event, Event::Join(_)) {
            self.places.clear();
        }
        self.breaker = next;
        if !matches!(self.breaker.phase, Phase::HalfOpen { .. }) {
            self.leases.clear();
        }
    }

    fn enter(&mut self) -> Option<Breaker> {
        let admission = self.breaker.admission(self.now);
        match (self.breaker.phase, admission) {
            (Phase::Closed { .. }, Admission::Admitted) => None,
            (Phase::Open { probe_at }, Admission::Refused(until)) => {
                assert_eq!(until, probe_at);
                assert!(probe_at.is_none_or(|at| at > self.now), "refused for no reason");
                None
            }
            (Phase::HalfOpen { lease_until, .. }, Admission::Refused(until)) => {
                assert!(until == Some(lease_until) && lease_until > self.now);
                None
            }
            (phase, Admission::Probe) => {
                let from = self.breaker.next_probe_at();
                assert!(from.is_some_and(|from| from <= self.now), "{phase:?} admits before its time");
                self.leases.retain(|(_, until)| *until > self.now);
                assert_eq!(self.leases, [], "one probe at a time");
                self.probes += 1;
                let lease_until = self.now + TimeDelta::seconds(30);
                self.leases.push((self.probes, lease_until));
                Some(self.breaker.clone().probing(self.probes, lease_until, self.now))
            }
            (phase, admission) => panic!("{phase:?} answers {admission:?}"),
        }
    }

    fn join(&mut self, jobs: u64) -> Option<Breaker> {
        let (next, places) = self.breaker.clone().joined(jobs, self.now);
        if self.breaker.phase == (Phase::Open { probe_at: None }) {
            assert_eq!((&next, places.len()), (&self.breaker, 0));
            return None;
        }
        assert_eq!(places.len() as u64, jobs);
        let earliest = self.breaker.next_probe_at().filter(|_| self.breaker.phase.as_str() == "open");
        let earliest = earliest.map_or(self.now + TimeDelta::seconds(1), |at| at.max(self.now));
        assert!(places.iter().all(|place| *place >= earliest), "{places:?} {earliest}");
        self.places.extend(places);
        assert!(self.places.is_sorted(), "{:?}", self.places);
        Some(next)
    }

    /// The number of waiting jobs without those of the next second, and with them: a new ramp may begin within it.
    fn waiting(&self) -> (u64, u64) {
        let after = |instant| self.places.iter().filter(|place| **place > instant).count() as u64;
        (after(self.now + TimeDelta::seconds(1)), after(self.now))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nobody_calls_before_the_time_nor_beside_a_probe_and_all_wait_in_line(events in vec(event(), 1..150)) {
        let policy = BreakerPolicy::default().failure_count(3).unwrap().recovery(secs(20)).unwrap();
        let policy = policy.growing(2, secs(100)).unwrap();
        let breaker = new();
        let mut fleet =
            Fleet { now: at(0), probes: 0, leases: Vec::new(), places: Vec::new(), breaker, policy };
        for event in &events {
            fleet.step(event);
            let (surely, all) = fleet.waiting();
            let deferred = fleet.breaker.deferred(fleet.now);
            prop_assert!((surely..=all).contains(&deferred), "{deferred} of {surely} to {all} after {event:?}");
            let json = serde_json::to_string(&fleet.breaker).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Breaker>(&json).unwrap(), &fleet.breaker);
        }
    }

    #[test]
    fn places_are_in_order_and_as_many_wait_as_have_a_place_to_come(
        steps in vec((0..3_000_i64, 1..400_u64), 1..40), start in 0..60_i64,
    ) {
        let mut line = Ramp::new(at(start));
        let (mut now, mut places) = (at(0), Vec::new());
        for (millis, jobs) in steps {
            now += TimeDelta::milliseconds(millis);
            let from = line.from;
            places.extend(line.join(jobs, from.max(now)));
            prop_assert!(places.is_sorted());
            let waiting = places.iter().filter(|place| **place > now).count();
            prop_assert_eq!(line.waiting(now), waiting as u64);
        }
        for some in places.windows(402) {
            let apart = some[401] - some[0];
            prop_assert!(apart >= TimeDelta::seconds(1), "a hundred a second, beside those who come anew");
        }
    }
}
