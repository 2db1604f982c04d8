//! The queues and their dead letters, on queues like the template's.

use std::collections::HashMap;

use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use lambda_jobs_core::{JobConfig, Queue};
use lambda_jobs_infra::aws::shared_config;
use lambda_jobs_infra::{QueueNames, SqsClient, SqsJobQueue};
use lambda_jobs_testing::conformance::job_queue;
use lambda_jobs_tests::SqsReceiver;
use serde_json::json;

use crate::suite::{Outcome, Running, both, caught, fixture, fresh_prefix};

pub(crate) fn run() -> Running {
    Box::pin(async {
        let queues = Queues::new().await;
        let outcome = match queues.create().await {
            Ok(()) => caught(suite(queues.0.clone())).await,
            Err(error) => Err(error),
        };
        both(outcome, queues.delete().await)
    })
}

async fn suite(client: SqsClient) {
    let queue = SqsJobQueue::new(client.clone());
    let receiver = SqsReceiver(client);
    let setup = job_queue::Setup { queue: &queue, dead_letters: &queue, receiver: &receiver };
    job_queue::suite(&setup, &fixture()).await;
}

/// All queues of a new prefix.
pub(crate) struct Queues(pub(crate) SqsClient);

impl Queues {
    pub(crate) async fn new() -> Self {
        Self(SqsClient::new(shared_config().await, QueueNames { prefix: fresh_prefix() }))
    }

    pub(crate) async fn create(&self) -> Outcome {
        let kept = (Attribute::MessageRetentionPeriod, "1209600".to_owned());
        let encrypted = (Attribute::SqsManagedSseEnabled, "true".to_owned());
        let common = HashMap::from([kept, encrypted]);
        for queue in Queue::ALL {
            let letters = self.0.names().dead_letters(queue);
            self.create_one(&letters, common.clone()).await?;
            let redrive = json!({
                "deadLetterTargetArn": self.arn(&letters).await?,
                "maxReceiveCount": JobConfig::MAX_RECEIVE_COUNT,
            });
            let mut attributes = common.clone();
            attributes.insert(Attribute::VisibilityTimeout, "540".to_owned());
            attributes.insert(Attribute::RedrivePolicy, redrive.to_string());
            self.create_one(&self.0.names().queue(queue), attributes).await?;
        }
        Ok(())
    }

    async fn create_one(&self, name: &str, attributes: HashMap<Attribute, String>) -> Outcome {
        let call = self.0.client().create_queue().queue_name(name).set_attributes(Some(attributes));
        call.send().await.map_err(|error| format!("create queue {name}: {}", DisplayErrorContext(error)))?;
        Ok(())
    }

    /// The ARN of the queue with this full name.
    pub(crate) async fn arn(&self, name: &str) -> Result<String, String> {
        let url = self.0.url(name).await.map_err(|error| error.to_string())?;
        let call = self.0.client().get_queue_attributes().queue_url(url).attribute_names(Attribute::QueueArn);
        let found = call.send().await;
        let found = found.map_err(|error| format!("look at queue {name}: {}", DisplayErrorContext(error)))?;
        let arn = found.attributes.and_then(|mut all| all.remove(&Attribute::QueueArn));
        arn.ok_or_else(|| format!("queue {name} has no ARN"))
    }

    pub(crate) async fn delete(&self) -> Outcome {
        let mut outcome = Ok(());
        let names = self.0.names();
        for name in Queue::ALL.iter().flat_map(|queue| [names.queue(*queue), names.dead_letters(*queue)]) {
            // A queue without a URL was not created.
            let Ok(url) = self.0.url(&name).await else { continue };
            let deleted = self.0.client().delete_queue().queue_url(url).send().await;
            let failed = |error| format!("delete queue {name}: {}", DisplayErrorContext(error));
            outcome = both(outcome, deleted.map(|_| ()).map_err(failed));
        }
        outcome
    }
}
