//! Deliveries: sent, listed, replayed, recovered.

use chrono::{DateTime, Utc};

use super::{PublishedDelivery, WebhookError, WebhookService};
use crate::families::webhook::endpoint::{EndpointId, excerpt};
use crate::families::webhook::job::{LONGEST_DELIVERY, delivery_job, fits, own_id};
use crate::families::webhook::ports::{DeliveryAttempt, DeliveryQuery, WebhookDelivery};
use crate::invalid::Invalid;
use crate::manager::Enqueued;
use crate::paging::{Cursor, LatestPage, Page};

/// How many deliveries a list reads at a time.
const READ: usize = 500;

impl WebhookService {
    /// Lists deliveries, the newest first and those of one instant by id, without the paths of their URLs
    /// and the values of their headers, which may be secrets. Every page reads the whole table: an index by time would cost each delivery one more write, and
    /// operators list deliveries rarely. Deliveries made meanwhile move no page.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, WebhookError> {
        let expected = "one that came with a page of deliveries";
        let place = |cursor: &String| {
            Cursor::parse(cursor).ok_or_else(|| Invalid::new("cursor", expected, excerpt(cursor)))
        };
        let mut newest = LatestPage::new(query.cursor.as_ref().map(place).transpose()?, query.page());
        let mut next = DeliveryQuery { limit: READ, cursor: None, ..query.clone() };
        loop {
            let read = self.ports.webhooks.deliveries.list(&next).await?;
            let placed = |one: WebhookDelivery| (Cursor::new(one.created_at, one.id.clone()), one);
            newest.add(read.items.into_iter().map(placed));
            next.cursor = read.cursor;
            if next.cursor.is_none() {
                break;
            }
        }
        let mut page = newest.into_page();
        for delivery in &mut page.items {
            delivery.url = delivery.url.hidden();
            delivery.headers = delivery.headers.hidden();
        }
        Ok(page)
    }

    /// Sends one webhook that goes to no endpoint: writes the delivery, and enqueues its job.
    pub async fn deliver(&self, delivery: WebhookDelivery) -> Result<Enqueued, WebhookError> {
        check_replay(&delivery.id)?;
        delivery.url.check()?;
        self.ports.webhooks.deliveries.put_one(&delivery).await?;
        Ok(self.jobs.enqueue(delivery_job(&delivery, own_id(&delivery.id, 0)?)).await?)
    }

    /// The attempts at a delivery, the oldest first.
    pub async fn attempts(&self, delivery: &str) -> Result<Vec<DeliveryAttempt>, WebhookError> {
        if self.ports.webhooks.deliveries.find_one(delivery).await?.is_none() {
            return Err(WebhookError::NoDelivery(delivery.to_owned()));
        }
        Ok(self.ports.webhooks.attempts.attempts(delivery).await?)
    }

    /// Replays a delivery that has ended: it keeps its id and gets all its attempts again. Its endpoint must be enabled.
    pub async fn replay(&self, delivery: &str) -> Result<PublishedDelivery, WebhookError> {
        let Some(found) = self.ports.webhooks.deliveries.find_one(delivery).await? else {
            return Err(WebhookError::NoDelivery(delivery.to_owned()));
        };
        check_replay(delivery)?;
        if let Some(endpoint) = &found.webhook_id {
            self.check_open(endpoint).await?;
        }
        let Some(again) =
            self.ports.webhooks.deliveries.reopen(delivery, self.ports.core.clock.now()).await?
        else {
            return Err(WebhookError::Unfinished(delivery.to_owned()));
        };
        self.send_again(again).await
    }

    /// Replays all deliveries to an endpoint that failed since an instant. The endpoint must be enabled. If one of them
    /// can't be replayed, none is.
    pub async fn recover(
        &self,
        endpoint: &EndpointId,
        since: DateTime<Utc>,
    ) -> Result<Vec<PublishedDelivery>, WebhookError> {
        self.check_open(endpoint.as_str()).await?;
        let failed = self.failed_since(endpoint, since).await?;
        let mut again = Vec::new();
        for delivery in failed {
            if let Some(reopened) =
                self.ports.webhooks.deliveries.reopen(&delivery, self.ports.core.clock.now()).await?
            {
                again.push(self.send_again(reopened).await?);
            }
        }
        Ok(again)
    }

    /// The ids of deliveries to an endpoint that failed since an instant.
    async fn failed_since(
        &self,
        endpoint: &EndpointId,
        since: DateTime<Utc>,
    ) -> Result<Vec<String>, WebhookError> {
        let mut query = DeliveryQuery::failed_at(endpoint.as_str());
        let mut failed = Vec::new();
        loop {
            let page = self.ports.webhooks.deliveries.list(&query).await?;
            for delivery in page.items {
                let last = delivery.last_attempt_at.or(delivery.created_at);
                if last.is_some_and(|at| at >= since) {
                    check_replay(&delivery.id)?;
                    failed.push(delivery.id);
                }
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return Ok(failed);
            }
        }
    }

    async fn send_again(&self, delivery: WebhookDelivery) -> Result<PublishedDelivery, WebhookError> {
        let job = delivery_job(&delivery, own_id(&delivery.id, delivery.replays)?);
        let job_id = self.jobs.enqueue(job).await?.job_id;
        Ok(PublishedDelivery { delivery_id: delivery.id, job_id })
    }
}

/// Checks that the job of a further replay can have a name.
fn check_replay(delivery: &str) -> Result<(), WebhookError> {
    fits("delivery id", delivery, LONGEST_DELIVERY)?;
    own_id(delivery, u32::MAX)?;
    Ok(())
}
