//! Randomness from the operating system.

use std::hash::{BuildHasher, RandomState};

use lambda_jobs_core::clock::Entropy;
use lambda_jobs_core::families::webhook::ports::{Secrets, SecretsError};

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn next_u64(&self) -> u64 {
        // Ids must differ, and need not be secret. If the system's source fails, the standard library's seeds still
        // differ, because each call makes new ones.
        getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(std::time::Instant::now()))
    }
}

/// Secrets from the operating system's random numbers, and from nowhere else.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsSecrets;

impl Secrets for OsSecrets {
    fn secret(&self) -> Result<[u8; 32], SecretsError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| SecretsError(error.to_string()))?;
        Ok(bytes)
    }
}
