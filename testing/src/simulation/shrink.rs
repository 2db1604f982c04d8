//! Shortens a history that breaks a guarantee to the shortest that still breaks it.

use std::collections::BTreeSet;

use crate::simulation::Simulation;
use crate::simulation::facts::Broken;
use crate::simulation::faults::Fault;
use crate::simulation::replay::Replay;
use crate::simulation::summary::Breach;
use crate::simulation::timeline::Timeline;

/// How many histories to try on the way.
const MOST_TRIES: usize = 400;

/// A history that breaks a guarantee, while it gets shorter.
struct Shrinking<'a> {
    simulation: &'a Simulation,
    guarantee: &'static str,
    tries: usize,
}

impl Shrinking<'_> {
    fn still_breaks(&mut self, replay: &Replay) -> bool {
        self.tries += 1;
        self.tries <= MOST_TRIES
            && self
                .simulation
                .tell(replay, Timeline::off())
                .broken
                .is_some_and(|broken| broken.guarantee == self.guarantee)
    }

    /// Removes what the breach does not need: first large parts, then smaller ones.
    fn leave_out<T: Copy + Ord>(
        &mut self,
        mut kept: BTreeSet<T>,
        with: impl Fn(BTreeSet<T>) -> Replay,
    ) -> BTreeSet<T> {
        let mut size = kept.len().div_ceil(2);
        while size > 0 && !kept.is_empty() {
            let before = kept.len();
            let all: Vec<T> = kept.iter().copied().collect();
            for part in all.chunks(size) {
                let fewer: BTreeSet<T> = kept.iter().copied().filter(|one| !part.contains(one)).collect();
                if self.still_breaks(&with(fewer.clone())) {
                    kept = fewer;
                }
            }
            // Repeats the last round until no step can be removed: removing one may make another unnecessary.
            if size > 1 || kept.len() == before {
                size /= 2;
            }
        }
        kept
    }
}

impl Simulation {
    pub(super) fn shortest(&self, seed: u64, broken: Broken) -> Breach {
        let mut shrinking = Shrinking { simulation: self, guarantee: broken.guarantee, tries: 0 };
        let all = self.faults(seed);
        let steps: BTreeSet<usize> = (0..self.plan(seed).1.len()).collect();
        let named = |steps: &BTreeSet<usize>, faults: &BTreeSet<Fault>| Replay {
            seed,
            steps: Some(steps.clone()),
            faults: Some(faults.clone()),
        };
        let faults = shrinking.leave_out(all, |faults| named(&steps, &faults));
        let steps = shrinking.leave_out(steps, |steps| named(&steps, &faults));
        let faults = shrinking.leave_out(faults, |faults| named(&steps, &faults));
        let replay = named(&steps, &faults);
        let outcome = self.tell(&replay, Timeline::on());
        let broken = outcome.broken.unwrap_or(broken);
        Breach { broken, replay, lines: outcome.lines }
    }
}
