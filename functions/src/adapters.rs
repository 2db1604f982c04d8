//! The adapters that every function shares, built once from one SDK configuration.

use std::sync::Arc;

use aws_config::SdkConfig;
use lambda_jobs_core::families::webhook::WebhookDeliveryHandler;
use lambda_jobs_core::manager::ManagerPorts;
use lambda_jobs_core::ports::Webhooks;
use lambda_jobs_core::processor::ProcessorPorts;
use lambda_jobs_infra::{
    DynamoJobStore, DynamoWebhooks, OsEntropy, ReqwestSender, Settings, SqsJobQueue, SystemClock,
};

/// The ports on real services.
pub struct Adapters {
    store: Arc<DynamoJobStore>,
    queue: Arc<SqsJobQueue>,
    webhooks: Arc<DynamoWebhooks>,
    http: Arc<ReqwestSender>,
    clock: Arc<SystemClock>,
    entropy: Arc<OsEntropy>,
}

impl Adapters {
    /// Adapters for the tables and queues that the settings name. Nothing is connected to yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, settings: &Settings) -> Self {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        Self {
            store: Arc::new(DynamoJobStore::new(dynamodb.clone(), settings)),
            queue: Arc::new(SqsJobQueue::new(aws_sdk_sqs::Client::new(sdk), settings)),
            webhooks: Arc::new(DynamoWebhooks::new(dynamodb, settings)),
            http: Arc::new(ReqwestSender::new()),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// What a processor needs.
    #[must_use]
    pub fn processor_ports(&self) -> ProcessorPorts {
        ProcessorPorts {
            store: self.store.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// What a manager needs.
    #[must_use]
    pub fn manager_ports(&self) -> ManagerPorts {
        ManagerPorts {
            store: self.store.clone(),
            index: self.store.clone(),
            queue: self.queue.clone(),
            dead_letters: self.queue.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// The queues.
    #[must_use]
    pub fn queue(&self) -> Arc<SqsJobQueue> {
        self.queue.clone()
    }

    /// Where webhook deliveries are kept.
    #[must_use]
    pub fn webhooks(&self) -> Arc<dyn Webhooks> {
        self.webhooks.clone()
    }

    /// The handler of the webhook family.
    #[must_use]
    pub fn webhook_handler(&self) -> WebhookDeliveryHandler {
        WebhookDeliveryHandler::new(self.webhooks.clone(), self.http.clone())
    }
}
