//! The ports on real services, all built from one SDK configuration.

use std::sync::Arc;

use aws_config::SdkConfig;
use lambda_jobs_core::Queue;
use lambda_jobs_core::families::Ports;
use lambda_jobs_core::families::webhook::ports::WebhookPorts;
use lambda_jobs_core::ports::{CorePorts, ServiceError};

use crate::event_log::LogEvents;
use crate::{
    Dynamo, DynamoControlStore, DynamoJobStore, DynamoRunning, DynamoSchedules, DynamoUniqueKeys,
    DynamoVersioned, DynamoWebhooks, LambdaEventSources, OsEntropy, OsSecrets, ReqwestSender, Settings,
    SqsClient, SqsJobQueue, SystemClock,
};

/// The ports on real services, and the connections beneath them.
pub struct Adapters {
    dynamo: Dynamo,
    sqs: SqsClient,
    ports: Ports,
}

impl Adapters {
    /// Adapters for the tables, queues and function in the settings. Connects to nothing yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, settings: &Settings) -> Self {
        let dynamo = Dynamo::new(sdk, settings.tables.clone());
        let sqs = SqsClient::new(sdk, settings.queues.clone());
        let store = Arc::new(DynamoJobStore::new(dynamo.clone(), settings.jobs.retention));
        let queue = Arc::new(SqsJobQueue::new(sqs.clone()));
        let event_sources = settings
            .worker_function
            .as_ref()
            .map(|function| Arc::new(LambdaEventSources::new(sdk, function, settings.queues.clone())) as _);
        let core = CorePorts {
            index: store.clone(),
            pruner: store.clone(),
            store,
            dead_letters: queue.clone(),
            stats: queue.clone(),
            stale: queue.clone(),
            queue,
            event_sources,
            running: Arc::new(DynamoRunning::new(dynamo.clone())),
            schedules: Arc::new(DynamoSchedules::new(dynamo.clone())),
            control: Arc::new(DynamoControlStore::new(dynamo.clone())),
            unique: Arc::new(DynamoUniqueKeys::new(dynamo.clone())),
            breakers: Arc::new(DynamoVersioned::new(dynamo.clone())),
            limits: Arc::new(DynamoVersioned::new(dynamo.clone())),
            events: Arc::new(LogEvents),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        let deliveries = Arc::new(DynamoWebhooks::new(dynamo.clone()));
        let webhooks = WebhookPorts {
            attempts: deliveries.clone(),
            waiting: deliveries.clone(),
            deliveries,
            endpoints: Arc::new(DynamoVersioned::in_data(dynamo.clone())),
            http: Arc::new(ReqwestSender::new(settings.webhooks.clone())),
            secrets: Arc::new(OsSecrets),
        };
        Self { dynamo, sqs, ports: Ports { core, webhooks } }
    }

    /// All ports.
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
