//! Lists of deliveries, of any status.
//!
//! No index holds finished deliveries, because every delivery would pay for it. So a list, and the recovery of failed
//! deliveries, read the table, a thousand items at a time. A page holds no more than was asked for; the next page reads
//! the rest again.

use lambda_jobs_core::families::webhook::ports::{DeliveryQuery, DeliveryStatus, WebhookDelivery};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::ServiceError;

use super::{DynamoWebhooks, SK, read_head};
use crate::dynamodb::requests::{key_at, place_of};
use crate::dynamodb::{Item, text};

/// The most items that a request reads, unless the page is larger.
const LOOKED_AT: usize = 1_000;

impl DynamoWebhooks {
    pub(super) async fn list_deliveries(
        &self,
        query: &DeliveryQuery,
    ) -> Result<Page<WebhookDelivery>, ServiceError> {
        let (items, next) = self.scan(query).await?;
        let mut found = Vec::new();
        for item in items {
            let place = place_of(&item);
            match read_head(item) {
                Ok(delivery) if query.asks_for(&delivery) => found.push((place, delivery)),
                Ok(_) => {}
                // An invalid delivery that a person wrote must not hide the others.
                Err(reason) => tracing::error!(delivery = place, reason, "can't read a delivery"),
            }
        }
        let is_cut = found.len() > query.page();
        found.truncate(query.page());
        let cursor = if is_cut { found.last().map(|(place, _)| place.clone()) } else { next };
        Ok(Page { items: found.into_iter().map(|(_, delivery)| delivery).collect(), cursor })
    }

    /// The items that may match, and where the request ended. The filter leaves out only items that do not match; the
    /// query decides about the rest.
    async fn scan(&self, query: &DeliveryQuery) -> Result<(Vec<Item>, Option<String>), ServiceError> {
        let mut filter = "sk = :delivery".to_owned();
        let mut call = self
            .dynamo
            .client()
            .scan()
            .table_name(self.table())
            .consistent_read(true)
            .limit(i32::try_from(query.page().max(LOOKED_AT)).unwrap_or(i32::MAX))
            .expression_attribute_values(":delivery", text(SK))
            .set_exclusive_start_key(query.cursor.as_deref().and_then(key_at));
        if let Some(endpoint) = &query.endpoint {
            filter += " AND webhookId = :endpoint";
            call = call.expression_attribute_values(":endpoint", text(endpoint));
        }
        if let Some(wanted) = query.status {
            // A delivery written by hand may have no status.
            let others = DeliveryStatus::ALL.into_iter().filter(|status| *status != wanted);
            let others: Vec<&str> = others.map(DeliveryStatus::as_str).collect();
            filter = format!("{filter} AND NOT #status IN (:{})", others.join(", :"));
            call = call.expression_attribute_names("#status", "status");
            for other in others {
                call = call.expression_attribute_values(format!(":{other}"), text(other));
            }
        }
        let page = call.filter_expression(filter).send().await;
        let page = page.map_err(|error| self.dynamo.error("list deliveries in", self.table(), error))?;
        let next = page.last_evaluated_key.filter(|key| !key.is_empty()).map(|key| place_of(&key));
        Ok((page.items.unwrap_or_default(), next))
    }
}
