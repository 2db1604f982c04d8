//! Seeded chance: the seed determines everything random in a history.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// Seeded chance.
///
/// ```
/// use lambda_jobs_testing::simulation::Dice;
///
/// assert_eq!(Dice::new(7).below(1000), Dice::new(7).below(1000));
/// ```
#[derive(Clone, Debug)]
pub struct Dice(Rng);

impl Dice {
    /// Dice with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// A number below `sides`; 0 if `sides` is 0.
    pub fn below(&mut self, sides: u64) -> u64 {
        if sides == 0 { 0 } else { self.0.u64(..sides) }
    }

    /// Returns true once in `sides` calls, on average.
    pub fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    /// A duration within a range of milliseconds.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end.saturating_sub(range.start)))
    }

    /// Picks one of several items.
    ///
    /// # Panics
    ///
    /// If `items` is empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.index(from.len());
        &from[at]
    }

    /// An index below `length`; 0 if `length` is 0.
    pub fn index(&mut self, length: usize) -> usize {
        if length == 0 { 0 } else { self.0.usize(..length) }
    }

    /// Independent dice: drawing from one does not change the draws of the other.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }
}
