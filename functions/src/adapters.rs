//! The adapters that every function shares, built once from one SDK configuration.

use std::sync::Arc;

use crate::events::LogEvents;
use aws_config::SdkConfig;
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::dispatcher::{MappingReconciler, Refresh};
use lambda_jobs_core::families::webhook::{DeliveryPorts, Endpoint, WebhookDeliveryHandler, WebhookPorts, WebhookService};
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::manager::ManagerPorts;
use lambda_jobs_core::ports::{EventSources, QueueError};
use lambda_jobs_core::families::webhook::ports::Webhooks;
use lambda_jobs_core::processor::ProcessorPorts;
use lambda_jobs_core::{JobManager, Queue};
use lambda_jobs_infra::{
    Dynamo, DynamoControlStore, DynamoJobStore, DynamoSchedules, DynamoVersioned, DynamoUniqueKeys,
    DynamoWebhooks, LambdaEventSources, OsEntropy, OsSecrets, ReqwestSender, Settings, SqsClient,
    SqsJobQueue, SystemClock,
};

/// The ports on real services.
pub struct Adapters {
    dynamo: Dynamo,
    sqs: SqsClient,
    store: Arc<DynamoJobStore>,
    queue: Arc<SqsJobQueue>,
    schedules: Arc<DynamoSchedules>,
    control: Arc<DynamoControlStore>,
    unique: Arc<DynamoUniqueKeys>,
    breakers: Arc<DynamoVersioned<Breaker>>,
    limits: Arc<DynamoVersioned<LimitState>>,
    events: Arc<LogEvents>,
    webhooks: Arc<DynamoWebhooks>,
    endpoints: Arc<DynamoVersioned<Endpoint>>,
    http: Arc<ReqwestSender>,
    clock: Arc<SystemClock>,
    entropy: Arc<OsEntropy>,
}

impl Adapters {
    /// Adapters for the tables and queues that the settings name. Nothing is connected to yet.
    #[must_use]
    pub fn new(sdk: &SdkConfig, settings: &Settings) -> Self {
        let dynamo = Dynamo::new(sdk, settings.tables.clone());
        let sqs = SqsClient::new(sdk, settings.queues.clone());
        Self {
            store: Arc::new(DynamoJobStore::new(dynamo.clone(), settings.jobs.retention)),
            queue: Arc::new(SqsJobQueue::new(sqs.clone())),
            schedules: Arc::new(DynamoSchedules::new(dynamo.clone())),
            control: Arc::new(DynamoControlStore::new(dynamo.clone())),
            unique: Arc::new(DynamoUniqueKeys::new(dynamo.clone())),
            breakers: Arc::new(DynamoVersioned::new(dynamo.clone())),
            limits: Arc::new(DynamoVersioned::new(dynamo.clone())),
            events: Arc::new(LogEvents),
            webhooks: Arc::new(DynamoWebhooks::new(dynamo.clone())),
            endpoints: Arc::new(DynamoVersioned::in_data(dynamo.clone())),
            http: Arc::new(ReqwestSender::new(settings.webhooks.clone())),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            dynamo,
            sqs,
        }
    }

    /// What a processor needs.
    #[must_use]
    pub fn processor_ports(&self) -> ProcessorPorts {
        ProcessorPorts {
            store: self.store.clone(),
            queue: self.queue.clone(),
            control: self.control.clone(),
            unique: self.unique.clone(),
            breakers: self.breakers.clone(),
            limits: self.limits.clone(),
            events: self.events.clone(),
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
            archive: self.store.clone(),
            queue: self.queue.clone(),
            schedules: self.schedules.clone(),
            dead_letters: self.queue.clone(),
            stats: self.queue.clone(),
            control: self.control.clone(),
            unique: self.unique.clone(),
            breakers: self.breakers.clone(),
            limits: self.limits.clone(),
            events: self.events.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// What sending anew needs that has waited too long in paused queues.
    #[must_use]
    pub fn refresh(&self) -> Refresh {
        Refresh {
            control: self.control.clone(),
            backlog: self.queue.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
        }
    }

    /// The event source mappings of the worker function, where the settings name it.
    #[must_use]
    pub fn event_sources(sdk: &SdkConfig, settings: &Settings) -> Option<Arc<dyn EventSources>> {
        let function = settings.worker_function.as_ref()?;
        Some(Arc::new(LambdaEventSources::new(sdk, function, settings.queues.clone())))
    }

    /// What makes event sources follow the control item.
    #[must_use]
    pub fn reconciler(&self, sources: Arc<dyn EventSources>) -> MappingReconciler {
        MappingReconciler::new(self.control.clone(), sources, self.clock.clone())
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
    pub async fn queue_url(&self, queue: Queue) -> Result<String, QueueError> {
        self.sqs.url(&self.sqs.names().queue(queue)).await
    }

    /// Where webhook deliveries are kept.
    #[must_use]
    pub fn webhooks(&self) -> Arc<dyn Webhooks> {
        self.webhooks.clone()
    }

    /// The handler of the webhook family.
    #[must_use]
    pub fn webhook_handler(&self, settings: &Settings) -> WebhookDeliveryHandler {
        let jobs = JobManager::new(settings.jobs.clone(), self.manager_ports());
        let ports = DeliveryPorts {
            webhooks: self.webhooks.clone(),
            endpoints: self.endpoints.clone(),
            http: self.http.clone(),
            events: self.events.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        WebhookDeliveryHandler::new(ports, Arc::new(jobs)).with_bulkhead(settings.webhook_bulkhead)
    }

    /// What operators and publishers do with webhooks.
    #[must_use]
    pub fn webhook_service(&self, jobs: Arc<JobManager>) -> WebhookService {
        let ports = WebhookPorts {
            webhooks: self.webhooks.clone(),
            endpoints: self.endpoints.clone(),
            secrets: Arc::new(OsSecrets),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        WebhookService::new(ports, jobs)
    }
}
