//! Randomness comes in through a port, so that a run can be repeated from its seed.

/// A source of randomness for ids, jitter and shards. Never for secrets.
pub trait Entropy: Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}
