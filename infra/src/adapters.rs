//! The ports on real services, all built from one SDK configuration.

use std::sync::Arc;

use aws_config::SdkConfig;
use lambda_jobs_core::Queue;
#[cfg(feature = "http")]
use lambda_jobs_core::families::{Ports, webhook::ports::WebhookPorts};
use lambda_jobs_core::ports::{BatchPorts, CorePorts, ServiceError};

#[cfg(feature = "lambda")]
use crate::LambdaEventSources;
use crate::event_log::LogEvents;
use crate::{
    Dynamo, DynamoBatchNodes, DynamoControlStore, DynamoJobStore, DynamoRunning, DynamoSchedules,
    DynamoUniqueKeys, DynamoVersioned, OsEntropy, Settings, SqsClient, SqsJobQueue, SystemClock,
};
#[cfg(feature = "http")]
use crate::{DynamoWebhooks, OsSecrets, ReqwestSender};

/// The ports on real services, and the connections beneath them.
pub struct Adapters {
    dynamo: Dynamo,
    sqs: SqsClient,
    ports: Ports,
}

/// Without the families.
#[cfg(not(feature = "http"))]
struct Ports {
    core: CorePorts,
}

impl Adapters {
    /// Adapters for the tables, queues and function in the settings. Connects to nothing yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, settings: &Settings) -> Self {
        let dynamo = Dynamo::new(sdk, settings.tables.clone());
        let sqs = SqsClient::new(sdk, settings.queues.clone());
        let store = Arc::new(DynamoJobStore::new(dynamo.clone(), settings.jobs.retention));
        let queue = Arc::new(SqsJobQueue::new(sqs.clone()));
        let core = CorePorts {
            index: store.clone(),
            pruner: store.clone(),
            store,
            dead_letters: queue.clone(),
            stats: queue.clone(),
            stale: queue.clone(),
            queue,
            event_sources: None,
            running: Arc::new(DynamoRunning::new(dynamo.clone())),
            schedules: Arc::new(DynamoSchedules::new(dynamo.clone())),
            control: Arc::new(DynamoControlStore::new(dynamo.clone())),
            unique: Arc::new(DynamoUniqueKeys::new(dynamo.clone())),
            breakers: Arc::new(DynamoVersioned::new(dynamo.clone())),
            limits: Arc::new(DynamoVersioned::new(dynamo.clone())),
            batches: BatchPorts {
                heads: Arc::new(DynamoVersioned::new(dynamo.clone())),
                chunks: Arc::new(DynamoVersioned::new(dynamo.clone())),
                nodes: Arc::new(DynamoBatchNodes::new(dynamo.clone())),
            },
            events: Arc::new(LogEvents),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        let ports = Ports {
            core,
            #[cfg(feature = "http")]
            webhooks: webhooks(&dynamo, settings),
        };
        Self { dynamo, sqs, ports }
    }

    /// The same adapters with the event source mappings of the worker function, if the settings name it. Only the
    /// dispatcher changes them, so no other function carries Lambda's client.
    #[cfg(feature = "lambda")]
    #[must_use]
    pub fn with_event_sources(mut self, sdk: &SdkConfig, settings: &Settings) -> Self {
        self.ports.core.event_sources = settings
            .worker_function
            .as_ref()
            .map(|function| Arc::new(LambdaEventSources::new(sdk, function, settings.queues.clone())) as _);
        self
    }

    /// The ports of the engine.
    #[must_use]
    pub const fn core(&self) -> &CorePorts {
        &self.ports.core
    }

    /// The ports of the engine and of the families.
    #[cfg(feature = "http")]
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The connection to DynamoDB.
    #[must_use]
    pub const fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    /// The connection to SQS.
    #[must_use]
    pub const fn sqs(&self) -> &SqsClient {
        &self.sqs
    }

    /// The URL of a queue.
    pub async fn queue_url(&self, queue: Queue) -> Result<String, ServiceError> {
        self.sqs.url(&self.sqs.names().queue(queue)).await
    }
}

#[cfg(feature = "http")]
fn webhooks(dynamo: &Dynamo, settings: &Settings) -> WebhookPorts {
    let deliveries = Arc::new(DynamoWebhooks::new(dynamo.clone()));
    WebhookPorts {
        attempts: deliveries.clone(),
        waiting: deliveries.clone(),
        deliveries,
        endpoints: Arc::new(DynamoVersioned::in_data(dynamo.clone())),
        http: Arc::new(ReqwestSender::new(settings.webhooks.clone())),
        secrets: Arc::new(OsSecrets),
    }
}
