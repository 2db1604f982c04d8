//! The source of secrets.

/// Makes secrets that nobody can guess. Unlike [`Entropy`](crate::clock::Entropy), it is never seeded, and fails if the
/// operating system gives no randomness.
pub trait Secrets: Send + Sync {
    /// 32 bytes that nobody can guess.
    fn secret(&self) -> Result<[u8; 32], SecretsError>;
}

/// No secret can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("make a secret: {0}")]
pub struct SecretsError(pub String);
