//! Randomness from the operating system.

use std::hash::{BuildHasher, RandomState};

use lambda_jobs_core::ports::Entropy;

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn next_u64(&self) -> u64 {
        // Ids need to differ, not to be secret: where the system's source fails, the standard
        // library's own seeds, new for each call, still differ.
        getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(std::time::Instant::now()))
    }
}
