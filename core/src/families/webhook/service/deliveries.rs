//! Deliveries: sent, listed, replayed, recovered.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{PublishedDelivery, WebhookError, WebhookService, check_size};
use crate::families::webhook::endpoint::{EndpointId, excerpt};
use crate::families::webhook::job::{LONGEST_DELIVERY, delivery_job, fits, own_id};
use crate::families::webhook::ports::{DeliveryAttempt, DeliveryQuery, WebhookDelivery};
use crate::invalid::Invalid;
use crate::manager::Enqueued;
use crate::paging::{Cursor, LatestPage, Page};

/// How many deliveries a list reads at a time at most, and how often.
const READ: usize = 1_000;
const READS: usize = 10;

/// A page of a list of deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryPage {
    /// The deliveries.
    pub items: Vec<WebhookDelivery>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
    /// Whether it looked at all deliveries. If not, the next pages look at the others, and may find later ones.
    pub complete: bool,
}

/// A place in a list: where the look begins, and after which of the deliveries seen there.
struct Place {
    look: Option<String>,
    after: Option<Cursor>,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('[') {
            return Some(Self { look: None, after: Some(Cursor::parse(text)?) });
        }
        let (look, after): (String, Option<String>) = serde_json::from_str(text).ok()?;
        let after = match after {
            Some(after) => Some(Cursor::parse(&after)?),
            None => None,
        };
        Some(Self { look: Some(look), after })
    }

    /// The text of a place. The first look's holds only a delivery.
    fn text(look: Option<String>, after: Option<String>) -> Option<String> {
        match look {
            None => after,
            Some(look) => Some(serde_json::json!([look, after]).to_string()),
        }
    }
}

/// What became of the deliveries that a recovery found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Those that are sent again.
    pub deliveries: Vec<PublishedDelivery>,
    /// Those that are not.
    pub failed: Vec<FailedReplay>,
}

/// A delivery that could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedReplay {
    /// The delivery's id.
    pub delivery_id: String,
    /// Why, in words.
    pub error: String,
}

impl WebhookService {
    /// Lists deliveries, the newest first and those of one instant by id, without their payloads, the paths of their URLs
    /// and the values of their headers, which may be large or secret.
    ///
    /// An index by time would cost each delivery one more write, and operators list deliveries rarely. So a page looks at a
    /// part of what is stored, and has the newest deliveries of that part: 10 reads of the store, in DynamoDB of up to 1,000
    /// items or 1 MB, attempts and payloads included. The pages after the part's last one look at the next part. If there is
    /// more than one part, a delivery that is made, changed or removed meanwhile may make another one be on two pages or on
    /// none; if there is one, it moves no page.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<DeliveryPage, WebhookError> {
        let Place { look, after } = match &query.cursor {
            Some(cursor) => Place::parse(cursor).ok_or_else(|| {
                Invalid::new("cursor", "one that came with a page of deliveries", excerpt(cursor))
            })?,
            None => Place { look: None, after: None },
        };
        let mut newest = LatestPage::new(after, query.page());
        let mut next = DeliveryQuery { limit: READ, cursor: look.clone(), ..query.clone() };
        for _ in 0..READS {
            let read = self.ports.webhooks.deliveries.list(&next).await?;
            let placed = |one: WebhookDelivery| (Cursor::new(one.created_at, one.id.clone()), one);
            newest.add(read.items.into_iter().map(placed));
            next.cursor = read.cursor;
            if next.cursor.is_none() {
                break;
            }
        }
        let complete = look.is_none() && next.cursor.is_none();
        let Page { mut items, cursor } = newest.into_page();
        let cursor =
            if cursor.is_some() { Place::text(look, cursor) } else { Place::text(next.cursor, None) };
        for delivery in &mut items {
            delivery.url = delivery.url.hidden();
            delivery.headers = delivery.headers.hidden();
        }
        Ok(DeliveryPage { items, cursor, complete })
    }

    /// Sends one webhook that goes to no endpoint, with a payload of at most 1,048,576 bytes: writes the delivery, and enqueues its job.
    pub async fn deliver(&self, delivery: WebhookDelivery) -> Result<Enqueued, WebhookError> {
        check_replay(&delivery.id)?;
        delivery.url.check()?;
        check_size(&delivery.payload)?;
        self.ports.webhooks.deliveries.put_one(&delivery).await?;
        Ok(self.jobs.enqueue(delivery_job(&delivery, own_id(&delivery.id, 0)?)).await?)
    }

    /// The attempts at a delivery, the oldest first.
    pub async fn attempts(&self, delivery: &str) -> Result<Vec<DeliveryAttempt>, WebhookError> {
        if self.ports.webhooks.deliveries.head(delivery).await?.is_none() {
            return Err(WebhookError::NoDelivery(delivery.to_owned()));
        }
        Ok(self.ports.webhooks.attempts.attempts(delivery).await?)
    }

    /// Replays a delivery that has ended: it keeps its id and gets all its attempts again. Its endpoint must be enabled.
    pub async fn replay(&self, delivery: &str) -> Result<PublishedDelivery, WebhookError> {
        let Some(found) = self.ports.webhooks.deliveries.head(delivery).await? else {
            return Err(WebhookError::NoDelivery(delivery.to_owned()));
        };
        check_replay(delivery)?;
        if let Some(endpoint) = &found.webhook_id {
            self.check_open(endpoint).await?;
        }
        self.reopen(delivery).await?.ok_or_else(|| WebhookError::Unfinished(delivery.to_owned()))
    }

    /// Replays all deliveries to an endpoint that failed since an instant. The endpoint must be enabled. A delivery that
    /// can't be replayed holds up no other.
    pub async fn recover(
        &self,
        endpoint: &EndpointId,
        since: DateTime<Utc>,
    ) -> Result<Recovered, WebhookError> {
        self.check_open(endpoint.as_str()).await?;
        let mut recovered = Recovered { deliveries: Vec::new(), failed: Vec::new() };
        for delivery_id in self.failed_since(endpoint, since).await? {
            match self.reopen(&delivery_id).await {
                Ok(Some(again)) => recovered.deliveries.push(again),
                // Somebody else was faster.
                Ok(None) => {}
                Err(error) => {
                    recovered.failed.push(FailedReplay { delivery_id, error: error.to_string() });
                }
            }
        }
        Ok(recovered)
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
                    failed.push(delivery.id);
                }
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return Ok(failed);
            }
        }
    }

    /// Opens a delivery again and enqueues its job; `None` if it has not ended.
    async fn reopen(&self, delivery: &str) -> Result<Option<PublishedDelivery>, WebhookError> {
        check_replay(delivery)?;
        let now = self.ports.core.clock.now();
        let Some(again) = self.ports.webhooks.deliveries.reopen(delivery, now).await? else {
            return Ok(None);
        };
        let job = delivery_job(&again, own_id(&again.id, again.replays)?);
        let job_id = self.jobs.enqueue(job).await?.job_id;
        Ok(Some(PublishedDelivery { delivery_id: again.id, job_id }))
    }
}

/// Checks that the job of a further replay can have a name.
fn check_replay(delivery: &str) -> Result<(), WebhookError> {
    fits("delivery id", delivery, LONGEST_DELIVERY)?;
    own_id(delivery, u32::MAX)?;
    Ok(())
}
