//! Randomness that can be repeated.

use std::sync::{Mutex, PoisonError};

use crate::clock::Entropy;

/// Random numbers that follow from a seed.
///
/// ```
/// use lambda_jobs_core::{clock::Entropy, memory::SeededEntropy};
/// assert_eq!(SeededEntropy::new(7).next_u64(), SeededEntropy::new(7).next_u64());
/// ```
#[derive(Debug)]
pub struct SeededEntropy(Mutex<fastrand::Rng>);

impl SeededEntropy {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        // A generator is valid after every step, so a panic elsewhere can't have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}
