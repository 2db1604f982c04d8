//! Publishing: an event becomes a delivery and a job for each endpoint that wants it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{WebhookError, WebhookService, check_size};
use crate::families::webhook::endpoint::{Endpoint, is_event_type};
use crate::families::webhook::job::{LONGEST_EVENT, delivery_job, fits, own_id};
use crate::families::webhook::ports::WebhookDelivery;
use crate::invalid::Invalid;
use crate::job::bounds::check_due;
use crate::job::{JobId, NewJob, Payload};
use crate::manager::EnqueueError;

/// An event to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Its type, by which endpoints choose.
    pub event_type: String,
    /// The body to send, of at most 1,048,576 bytes.
    pub payload: Payload,
    /// The tenant that it belongs to.
    pub tenant: Option<String>,
    /// Its identity, of at most 150 bytes; generated if absent.
    pub id: Option<JobId>,
    /// When it is due, at most 366 days ahead; at once if absent.
    pub run_at: Option<DateTime<Utc>>,
}

/// A published event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The event's identity.
    pub event_id: JobId,
    /// Its deliveries, one for each endpoint that wants it.
    pub deliveries: Vec<PublishedDelivery>,
}

/// A delivery and its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedDelivery {
    /// The delivery's id: the `webhook-id` that its receiver sees.
    pub delivery_id: String,
    /// The job that delivers it.
    pub job_id: JobId,
}

impl WebhookService {
    /// Sends an event to every endpoint that wants it. Checks everything before the first write. The store writes the
    /// deliveries in batches.
    pub async fn publish(&self, event: NewEvent) -> Result<Published, WebhookError> {
        if !is_event_type(&event.event_type) {
            let expected = "1 to 128 letters, digits, '.', '-', '_', '/' or ':'";
            return Err(Invalid::text("event type", expected, &event.event_type).into());
        }
        check_size(&event.payload)?;
        let now = self.ports.core.clock.now();
        let event_id = event.id.clone().unwrap_or_else(|| JobId::generate(now, &*self.ports.core.entropy));
        fits("event id", event_id.as_str(), LONGEST_EVENT)?;
        check_due(event.run_at.unwrap_or(now), now).map_err(EnqueueError::from)?;
        let endpoints = self.ports.webhooks.endpoints.list().await?;
        let wanting = endpoints.into_iter().filter(|endpoint| {
            endpoint.is_enabled() && endpoint.spec.wants(&event.event_type, event.tenant.as_deref())
        });
        let deliveries: Vec<WebhookDelivery> =
            wanting.map(|endpoint| delivery(&endpoint, &event, &event_id, now)).collect();
        let jobs = deliveries.iter().map(|one| Ok(delivery_job(one, own_id(&one.id, one.replays)?)));
        let jobs: Vec<NewJob> = jobs.collect::<Result<_, Invalid>>()?;
        for job in &jobs {
            self.jobs.check(job.clone(), now)?;
        }
        for written in self.ports.webhooks.deliveries.put(&deliveries).await {
            written?;
        }
        let mut published = Vec::with_capacity(deliveries.len());
        for (delivery, answer) in deliveries.into_iter().zip(self.jobs.enqueue_all(jobs).await) {
            published.push(PublishedDelivery { delivery_id: delivery.id, job_id: answer?.job_id });
        }
        Ok(Published { event_id, deliveries: published })
    }
}

fn delivery(endpoint: &Endpoint, event: &NewEvent, id: &JobId, now: DateTime<Utc>) -> WebhookDelivery {
    let id = format!("{id}.{}", endpoint.id);
    let mut delivery = WebhookDelivery::new(id, endpoint.spec.url.clone(), event.payload.clone(), now);
    delivery.webhook_id = Some(endpoint.id.to_string());
    delivery.event_type = Some(event.event_type.clone());
    delivery.method = endpoint.spec.method;
    delivery.headers.clone_from(&endpoint.spec.headers);
    delivery.max_attempts = endpoint.spec.attempts();
    delivery.next_attempt_at = event.run_at;
    delivery
}
