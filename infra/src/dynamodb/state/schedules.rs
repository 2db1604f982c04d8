//! Schedules.
//!
//! | attribute | |
//! | --- | --- |
//! | `schedule` | the schedule, in the JSON that a user writes |
//! | `revision`, `edition`, `last`, `ahead`, `nextAt`, `withdrawing`, `madeUntil` | its state |
//! | `due`, `dueAt` | its keys in the sparse index `due` of the state table: `schedule#<shard>`, `<instant>#<id>` |
//!
//! The sparse index finds schedules by their next occurrence, so a tick reads only those that fire. Putting a schedule
//! writes it whole; a firing writes its state alone.

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{Advance, DueSchedules, ScheduleStore, ServiceError, StoredSchedule};
use lambda_jobs_core::schedule::{Schedule, ScheduleState};

use crate::dynamodb::requests::{Condition, Dynamo, Failed, Outcome, Shards, Update, Write};
use crate::dynamodb::tables::DUE_INDEX;
use crate::dynamodb::{Item, hash, instant, key, text, text_of};

/// [`ScheduleStore`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoSchedules {
    dynamo: Dynamo,
}

/// The number of partitions of schedules, in the table and in the index.
const SHARDS: u16 = 4;
/// The attributes of a state.
const STATE: [&str; 9] =
    ["revision", "edition", "last", "ahead", "nextAt", "withdrawing", "madeUntil", "due", "dueAt"];

fn shard(id: &ScheduleId) -> u16 {
    // The remainder is less than the divisor, so it fits.
    u16::try_from(hash(id.as_str().as_bytes()) % u64::from(SHARDS)).unwrap_or_default()
}

fn partition(shard: u16) -> String {
    format!("schedule#{shard}")
}

fn schedule_key(id: &ScheduleId) -> Item {
    key(partition(shard(id)), id.as_str())
}

fn state_item(id: &ScheduleId, state: &ScheduleState) -> Item {
    let mut item = Item::from([
        ("revision".to_owned(), number(state.revision)),
        ("edition".to_owned(), number(state.edition)),
    ]);
    for (name, at) in [
        ("last", state.last),
        ("ahead", state.ahead),
        ("nextAt", state.next_at),
        ("madeUntil", state.made_until),
    ] {
        if let Some(at) = at {
            item.insert(name.to_owned(), text(instant::write(at)));
        }
    }
    if !state.withdrawing.is_empty() {
        let instants = state.withdrawing.iter().map(|at| text(instant::write(*at))).collect();
        item.insert("withdrawing".to_owned(), AttributeValue::L(instants));
    }
    if let Some(due_at) = state.due_at() {
        item.insert("due".to_owned(), text(partition(shard(id))));
        item.insert("dueAt".to_owned(), text(format!("{}#{id}", instant::write(due_at))));
    }
    item
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn withdrawing(item: &Item) -> Option<Vec<DateTime<Utc>>> {
    let Some(listed) = item.get("withdrawing") else { return Some(Vec::new()) };
    listed.as_l().ok()?.iter().map(|at| instant::read(at.as_s().ok()?)).collect()
}

fn read(item: &Item) -> Result<StoredSchedule, String> {
    let schedule: Schedule =
        serde_json::from_str(text_of(item, "schedule")).map_err(|error| error.to_string())?;
    let instant_of = |name: &str| {
        let written = text_of(item, name);
        let read = instant::read(written);
        if read.is_none() && item.contains_key(name) {
            return Err(format!("{name}: expected an instant, got {written:?}"));
        }
        Ok(read)
    };
    let number_of = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
    let state = ScheduleState {
        revision: number_of("revision").ok_or("revision: expected a number")?,
        edition: number_of("edition").unwrap_or_default(),
        last: instant_of("last")?,
        ahead: instant_of("ahead")?,
        next_at: instant_of("nextAt")?,
        withdrawing: withdrawing(item).ok_or("withdrawing: expected a list of instants")?,
        made_until: instant_of("madeUntil")?,
    };
    Ok(StoredSchedule { schedule, state })
}

impl DynamoSchedules {
    /// The schedules in the state table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo }
    }

    fn table(&self) -> &str {
        &self.dynamo.tables().state
    }

    fn unreadable(&self, item: &Item, reason: &str) -> ServiceError {
        let id = text_of(item, "sk");
        ServiceError::new(format!("read schedule {id} from table {}", self.table()), reason)
    }

    /// The schedules in items. Leaves out a schedule that can't be read, so that the others fire.
    fn readable(items: &[Item]) -> Vec<StoredSchedule> {
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            match read(item) {
                Ok(stored) => found.push(stored),
                Err(reason) => {
                    tracing::error!(schedule = text_of(item, "sk"), reason, "a schedule can't be read");
                }
            }
        }
        found
    }

    async fn list_shard(&self, shard: u16) -> Result<Vec<Item>, ServiceError> {
        let mut found = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let call = self
                .dynamo
                .client()
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :partition")
                .expression_attribute_values(":partition", text(partition(shard)))
                .set_exclusive_start_key(start);
            let page = call.send().await;
            let page = page.map_err(|error| self.dynamo.error("list schedules in", self.table(), error))?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn due_of(
        &self,
        shard: u16,
        shards: &Shards,
        query: &DueSchedules,
    ) -> Result<(Vec<Item>, Option<String>), ServiceError> {
        let Some(start) = shards.start(shard) else { return Ok((Vec::new(), None)) };
        let start = start.map(|at| {
            let id = at.split_once('#').map_or("", |(_, id)| id);
            let mut start = key(partition(shard), id);
            start.insert("due".to_owned(), text(partition(shard)));
            start.insert("dueAt".to_owned(), text(at));
            start
        });
        let call = self
            .dynamo
            .client()
            .query()
            .table_name(self.table())
            .index_name(DUE_INDEX)
            .key_condition_expression("due = :partition AND dueAt <= :until")
            .expression_attribute_values(":partition", text(partition(shard)))
            .expression_attribute_values(":until", text(Shards::until(query.until)))
            .limit(shards.share(query.limit))
            .set_exclusive_start_key(start);
        let page = call.send().await;
        let page = page.map_err(|error| self.dynamo.error("find due schedules in", self.table(), error))?;
        let last = page.last_evaluated_key.filter(|key| !key.is_empty());
        let last = last.map(|key| text_of(&key, "dueAt").to_owned());
        Ok((page.items.unwrap_or_default(), last))
    }

    async fn advanced(
        &self,
        advance: &Advance,
        outcome: Result<Outcome, Failed>,
    ) -> Result<bool, ServiceError> {
        let item = match outcome? {
            Outcome::Written(_) => return Ok(true),
            Outcome::Refused { item, .. } => item.filter(|item| !item.is_empty()),
            Outcome::Unknown => None,
        };
        let found = match item {
            Some(item) => Some(read(&item).map_err(|reason| self.unreadable(&item, &reason))?),
            None => self.get(&advance.id).await?,
        };
        Ok(found.is_some_and(|found| found.state == advance.state))
    }
}

#[async_trait]
impl ScheduleStore for DynamoSchedules {
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError> {
        let id = &stored.schedule.id;
        let mut item = state_item(id, &stored.state);
        item.extend(schedule_key(id));
        item.insert("schedule".to_owned(), text(serde_json::to_string(&stored.schedule).unwrap_or_default()));
        let call = self.dynamo.client().put_item().table_name(self.table()).set_item(Some(item));
        let call = match replacing {
            None => call.condition_expression("attribute_not_exists(pk)"),
            Some(before) => call
                .condition_expression("revision = :before")
                .expression_attribute_values(":before", number(before)),
        };
        match call.send().await {
            Ok(_) => Ok(true),
            // The SDK's own retry may have found what a try with a lost answer wrote.
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Ok(self.get(id).await?.as_ref() == Some(stored))
            }
            Err(error) => Err(self.dynamo.error("write a schedule to", self.table(), error)),
        }
    }

    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError> {
        let call = self.dynamo.client().get_item().table_name(self.table()).consistent_read(true);
        let found = call.set_key(Some(schedule_key(id))).send().await;
        let found = found.map_err(|error| self.dynamo.error("read a schedule from", self.table(), error))?;
        let Some(item) = found.item else { return Ok(None) };
        read(&item).map(Some).map_err(|reason| self.unreadable(&item, &reason))
    }

    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError> {
        let items: Vec<Vec<Item>> = try_join_all((0..SHARDS).map(|shard| self.list_shard(shard))).await?;
        let mut found: Vec<StoredSchedule> = items.iter().flat_map(|items| Self::readable(items)).collect();
        found.sort_by(|one, other| one.schedule.id.cmp(&other.schedule.id));
        Ok(found)
    }

    async fn delete(&self, id: &ScheduleId, revision: u64) -> Result<bool, ServiceError> {
        let call = self.dynamo.client().delete_item().table_name(self.table());
        let call = call
            .set_key(Some(schedule_key(id)))
            .condition_expression("revision = :revision")
            .expression_attribute_values(":revision", number(revision));
        match call.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Ok(false)
            }
            Err(error) => Err(self.dynamo.error("delete a schedule from", self.table(), error)),
        }
    }

    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError> {
        let shards = Shards::read(query.cursor.as_deref(), SHARDS);
        let asked = (0..SHARDS).map(|shard| self.due_of(shard, &shards, query));
        let (items, last): (Vec<Vec<Item>>, Vec<Option<String>>) =
            try_join_all(asked).await?.into_iter().unzip();
        let mut items: Vec<Item> = items.into_iter().flatten().collect();
        items.sort_by(|one, other| text_of(one, "dueAt").cmp(text_of(other, "dueAt")));
        Ok(Page { items: Self::readable(&items), cursor: Shards::cursor(last) })
    }

    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>> {
        let write = |Advance { id, state }: &Advance| {
            let before = number(state.revision.saturating_sub(1));
            let update = Update::default()
                .to(&state_item(id, state), STATE)
                .when(Condition::Equals("revision", before));
            Write::update(self.table(), partition(shard(id)), id.as_str().to_owned(), update)
        };
        let writes: Vec<Write> = advances.iter().map(write).collect();
        let outcomes = self.dynamo.write_all("advance schedules in", &writes).await;
        let mut answers = Vec::with_capacity(advances.len());
        for (advance, outcome) in advances.iter().zip(outcomes) {
            answers.push(self.advanced(advance, outcome).await);
        }
        answers
    }
}
