//! Where secrets come from.

/// Makes secrets. Unlike [`Entropy`](super::Entropy), which may be seeded and never fails, what comes from here
/// nobody must be able to guess, so that it fails where the operating system has nothing to give.
pub trait Secrets: Send + Sync {
    /// 32 bytes that nobody can guess.
    fn secret(&self) -> Result<[u8; 32], SecretsError>;
}

/// No secret can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("make a secret: {0}")]
pub struct SecretsError(pub String);
