//! The ports: what the core needs from the outside world, as small traits without SDK types.
//!
//! Each has an in-memory adapter in [`crate::memory`], real adapters in the `infra` crate, and one
//! conformance suite in `testing::conformance` that all of them pass. Ports take slices where a
//! service can batch, because requests are what costs money.

mod archive;
mod backlog;
mod clock;
mod control;
mod entropy;
mod event_sources;
mod events;
mod headers;
mod http;
mod index;
mod queue;
mod schedules;
mod secrets;
mod shared;
mod store;
mod unique;
mod webhooks;

pub use archive::{Archived, FinishedJob, HistoryPart, JobArchive};
pub use backlog::{Backlog, QueueDepth, QueueStats};
pub use clock::{BoxFuture, Clock};
pub use control::{ControlStore, SaveOutcome};
pub use entropy::Entropy;
pub use event_sources::{ChangeOutcome, EventSource, EventSourceError, EventSources, SourceState};
pub use events::{EventKind, EventSink, JobEvent};
pub use headers::Headers;
pub use http::{HttpError, HttpRequest, HttpResponse, HttpSender, Method};
pub use index::{DueQuery, HistoryQuery, JobIndex, ListQuery, Page};
pub use queue::{
    DeadLetter, DeadLetterQueue, DeadLettered, Deferral, JobQueue, MAX_SEND_DELAY, Outgoing, QueueError,
    ReceivedMessage, is_beyond_a_message,
};
pub use schedules::{Advance, DueSchedules, ScheduleStore, StoredSchedule};
pub use secrets::{Secrets, SecretsError};
pub use shared::{SharedOutcome, SharedState, SharedStore};
pub use store::{
    ClaimOutcome, ClaimRequest, Counters, Fence, HistoryEntry, InsertOutcome, JobStore, ReplaceOutcome,
    SettleBatch, SettleOutcome, Settlement, StoreError,
};
pub use unique::{KeyClaim, KeyHold, KeyOutcome, UniqueKeys};
pub(crate) use webhooks::unanswered;
pub use webhooks::{
    AttemptOutcome, Awaited, DeliveryAttempt, DeliveryQuery, DeliveryStatus, EndedAttempt, WaitingDelivery,
    WaitingQuery, WebhookDelivery, Webhooks,
};
