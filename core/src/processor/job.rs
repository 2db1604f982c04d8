//! A job on its way through a batch.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::handler::Registered;
use crate::job::{BreakerName, JobDefinition, JobId, JobRecord};
use crate::message::JobMessage;
use crate::ports::{Fence, ReceivedMessage, Settlement};

/// A received message, the job in it, and the handler that runs it.
pub(super) struct Job {
    pub(super) received: ReceivedMessage,
    pub(super) message: JobMessage,
    pub(super) handler: Arc<Registered>,
}

/// A job that may run, and the fence under which its end is written.
pub(super) struct Claimed {
    pub(super) job: Job,
    pub(super) record: JobRecord,
    pub(super) fence: Fence,
}

/// A job that crashed beside others. It runs alone, after all others, and is claimed when its turn comes.
pub(super) struct Suspect {
    pub(super) job: Job,
    pub(super) record: JobRecord,
}

/// A job whose attempt has ended, and what to write about it.
pub(super) struct Ended {
    pub(super) job: Job,
    pub(super) settlement: Settlement,
}

impl Job {
    pub(super) const fn definition(&self) -> &JobDefinition {
        &self.message.definition
    }

    pub(super) const fn id(&self) -> &JobId {
        &self.message.definition.id
    }

    pub(super) fn tenant(&self) -> Option<&str> {
        self.message.definition.spec.tenant.as_deref()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.handler.timeout(&self.message.definition)
    }

    /// The breakers that the job needs, by its handler and its message.
    pub(super) fn breakers(&self) -> impl Iterator<Item = &BreakerName> {
        self.handler.breakers().iter().chain(&self.message.definition.breakers)
    }

    /// Whether it is a bare message on its first receive, which has no record yet, most likely.
    pub(super) const fn is_new(&self) -> bool {
        self.received.receive_count == 1 && !self.message.recorded
    }

    /// The first record of the job, due at this instant.
    pub(super) fn accepted(&self, due_at: DateTime<Utc>) -> JobRecord {
        let definition = self.message.definition.clone();
        JobRecord::accepted(definition, self.received.queue, self.received.sent_at, due_at)
    }
}

impl Claimed {
    pub(super) const fn id(&self) -> &JobId {
        self.record.id()
    }
}

impl Suspect {
    pub(super) const fn id(&self) -> &JobId {
        self.record.id()
    }
}

impl Ended {
    pub(super) const fn record(&self) -> &JobRecord {
        &self.settlement.record
    }
}
