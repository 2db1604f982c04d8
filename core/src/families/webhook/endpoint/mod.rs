//! Endpoints: where webhooks go, which events they get, their secrets and their health.

mod check;
mod health;
mod id;
mod secrets;
mod spec;
mod state;

pub use check::MAX_ATTEMPTS;
pub(super) use check::is_reserved;
pub use health::HealthPolicy;
pub(super) use health::HealthSignal;
pub use id::EndpointId;
pub use secrets::DEFAULT_OVERLAP;
pub(super) use spec::is_event_type;
pub use spec::{EndpointSpec, RateLimit};
pub use state::{Disabled, DisabledReason, Endpoint};

/// The beginning of a text, quoted.
pub(super) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!("{shown:?}")
}
