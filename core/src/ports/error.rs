//! The error of a service: a store, a queue, or any other service behind a port.

/// A service failed. The requested action may have happened.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {reason}")]
pub struct ServiceError {
    action: String,
    reason: String,
    throttled: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ServiceError {
    /// An error while doing `action` (such as "claim jobs in table lambda-jobs-jobs").
    pub fn new(action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { action: action.into(), reason: reason.into(), throttled: false, source: None }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Marks it as throttled: the service asked for fewer requests.
    #[must_use]
    pub const fn throttled(mut self) -> Self {
        self.throttled = true;
        self
    }

    /// The same error for another caller of a shared request, without the cause.
    #[must_use]
    pub fn repeated(&self) -> Self {
        let (action, reason) = (self.action.clone(), self.reason.clone());
        Self { action, reason, throttled: self.throttled, source: None }
    }

    /// Whether the service asked for fewer requests.
    #[must_use]
    pub const fn is_throttled(&self) -> bool {
        self.throttled
    }
}
