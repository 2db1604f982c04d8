//! How many messages wait in the queues.

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use futures_util::future::join_all;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{QueueDepth, QueueStats, ServiceError};

use super::SqsJobQueue;

const FIGURES: [Name; 3] = [
    Name::ApproximateNumberOfMessages,
    Name::ApproximateNumberOfMessagesDelayed,
    Name::ApproximateNumberOfMessagesNotVisible,
];

impl SqsJobQueue {
    async fn depth(&self, name: String) -> Result<QueueDepth, ServiceError> {
        let url = self.client.url(&name).await?;
        let call = self.client.client().get_queue_attributes().queue_url(url);
        let found = call.set_attribute_names(Some(FIGURES.to_vec())).send().await;
        let found = found.map_err(|error| self.client.error("measure", &name, error))?.attributes;
        let figure = |attribute: &Name| {
            let text = found.as_ref().and_then(|all| all.get(attribute)).map_or("", String::as_str);
            text.parse::<u64>().map_err(|_| {
                let reason = format!("{attribute}: expected a whole number, got {text:?}");
                ServiceError::new(format!("measure queue {name}"), reason)
            })
        };
        let [visible, delayed, in_flight] = FIGURES.each_ref().map(figure);
        Ok(QueueDepth { visible: visible?, delayed: delayed?, in_flight: in_flight? })
    }
}

#[async_trait]
impl QueueStats for SqsJobQueue {
    async fn depths(&self, queues: &[Queue]) -> Vec<Result<QueueDepth, ServiceError>> {
        let names = self.client.names();
        join_all(queues.iter().map(|queue| self.depth(names.queue(*queue)))).await
    }

    async fn dead_letters(&self, queues: &[Queue]) -> Vec<Result<u64, ServiceError>> {
        let names = self.client.names();
        let depths = join_all(queues.iter().map(|queue| self.depth(names.dead_letters(*queue)))).await;
        // Somebody who lists dead letters hides them for a moment.
        let all = |depth: QueueDepth| depth.waiting() + depth.in_flight;
        depths.into_iter().map(|depth| depth.map(all)).collect()
    }
}
