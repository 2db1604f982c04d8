//! Versioned states: breakers and limits in the state table, webhook endpoints in the data table.
//!
//! `state` is the state as JSON, `revision` is its version, and `expiresAt` is when DynamoDB may delete it.
//!
//! Each write carries a random number of its writer. Two environments that count the same failure at the same moment
//! make the same change of the same revision; only that number shows which of them wrote it.
//!
//! One request reads up to 100 states or writes up to 25. A write that loses a conflict may cost one more read. A
//! breaker costs one write unit, however much it has counted, if its name has at most 64 bytes and no batch holds a
//! lease of its bulkhead; each lease adds some 130 bytes. So does a limit on a rate, and a limit on concurrency with up
//! to four leases. With a hundred leases it costs 13 units. Split a limit with so many holders, for example by tenant.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use lambda_jobs_core::ports::{ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::versioned::VersionedState;

use crate::dynamodb::requests::{Condition, Failed, Outcome, Update, Write};
use crate::dynamodb::{Dynamo, Item, hash, key, number, text, text_of};
use crate::settings::Tables;

/// The number of partitions of the states of one kind.
const SHARDS: u64 = 16;
/// The same for states that are listed often and seldom written: one query lists them.
const SHARDS_OF_DATA: u64 = 1;
/// The attributes of a state.
const STATE: [&str; 3] = ["state", "revision", "expiresAt"];

/// [`VersionedStore`] in DynamoDB, for the states of one kind.
#[derive(Debug)]
pub struct DynamoVersioned<T> {
    dynamo: Dynamo,
    table: fn(&Tables) -> &str,
    shards: u64,
    kind: PhantomData<fn() -> T>,
}

fn shard<T: VersionedState>(shard: u64) -> String {
    format!("{}#{shard}", T::KIND)
}

fn revision(revision: u64) -> aws_sdk_dynamodb::types::AttributeValue {
    number(i64::try_from(revision).unwrap_or(i64::MAX))
}

fn item<T: VersionedState>(state: &T) -> Result<Item, ServiceError> {
    let json = serde_json::to_string(state).map_err(|error| {
        ServiceError::new(format!("write {} {}", T::KIND, state.name()), error.to_string())
    })?;
    let mut item =
        Item::from([("state".to_owned(), text(json)), ("revision".to_owned(), revision(state.revision()))]);
    if let Some(at) = state.expires_at() {
        item.insert("expiresAt".to_owned(), number(at.timestamp()));
    }
    Ok(item)
}

impl<T: VersionedState> DynamoVersioned<T> {
    /// The states in the state table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo, table: |tables| &tables.state, shards: SHARDS, kind: PhantomData }
    }

    /// The states in the data table, for a kind with few states that are listed often.
    #[must_use]
    pub const fn in_data(dynamo: Dynamo) -> Self {
        Self { dynamo, table: |tables| &tables.data, shards: SHARDS_OF_DATA, kind: PhantomData }
    }

    fn table(&self) -> &str {
        (self.table)(self.dynamo.tables())
    }

    fn partition(&self, name: &str) -> String {
        shard::<T>(hash(name.as_bytes()) % self.shards)
    }

    fn read(&self, item: &Item) -> Result<T, ServiceError> {
        serde_json::from_str(text_of(item, "state")).map_err(|error| {
            let name = text_of(item, "sk");
            let doing = format!("read {} {name} from table {}", T::KIND, self.table());
            ServiceError::new(doing, error.to_string())
        })
    }

    fn write(&self, state: &T) -> Result<Write, ServiceError> {
        let name = state.name();
        let (item, partition) = (item(state)?, self.partition(&name));
        // No revision comes before 0, so no write can expect one.
        let before = match state.revision().checked_sub(1) {
            Some(0) => return Ok(Write::insert(self.table(), partition, name, item)),
            Some(before) => revision(before),
            None => number(-1),
        };
        let update = Update::default().to(&item, STATE).when(Condition::Equals("revision", before));
        Ok(Write::update(self.table(), partition, name, update))
    }

    async fn answer(
        &self,
        state: &T,
        outcome: Result<Outcome, Failed>,
    ) -> Result<VersionedOutcome<T>, ServiceError> {
        let seen = match outcome? {
            Outcome::Written(_) => return Ok(VersionedOutcome::Saved),
            Outcome::Refused { item, .. } => item.filter(|item| !item.is_empty()),
            Outcome::Unknown => None,
        };
        let found = match seen {
            Some(item) => Some(self.read(&item)?),
            None => self.load(&[state.name()]).await?.pop().flatten(),
        };
        // An earlier try whose answer was lost may have written this.
        if found.as_ref() == Some(state) {
            return Ok(VersionedOutcome::Saved);
        }
        Ok(VersionedOutcome::Conflict(found.map(Box::new)))
    }

    async fn list_shard(&self, number: u64) -> Result<Vec<Item>, ServiceError> {
        let mut found = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let call = self
                .dynamo
                .client()
                .query()
                .table_name(self.table())
                .key_condition_expression("pk = :partition")
                .expression_attribute_values(":partition", text(shard::<T>(number)))
                .set_exclusive_start_key(start);
            let doing = format!("list {}s in", T::KIND);
            let page = call.send().await.map_err(|error| self.dynamo.error(&doing, self.table(), error))?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

#[async_trait]
impl<T: VersionedState> VersionedStore<T> for DynamoVersioned<T> {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<T>>, ServiceError> {
        // A call must not name an item twice.
        let wanted: Vec<&String> = names.iter().collect::<HashSet<_>>().into_iter().collect();
        let mut found = HashMap::new();
        let keys: Vec<Item> = wanted.iter().map(|name| key(self.partition(name), name.as_str())).collect();
        for item in self.dynamo.read_all(&format!("read {}s from", T::KIND), self.table(), &keys).await? {
            found.insert(text_of(&item, "sk").to_owned(), self.read(&item)?);
        }
        Ok(names.iter().map(|name| found.get(name).cloned()).collect())
    }

    async fn save(&self, states: &[T]) -> Vec<Result<VersionedOutcome<T>, ServiceError>> {
        let mut answers: Vec<Result<VersionedOutcome<T>, ServiceError>> = Vec::with_capacity(states.len());
        let writes: Result<Vec<Write>, ServiceError> = states.iter().map(|state| self.write(state)).collect();
        match writes {
            Ok(writes) => {
                let doing = format!("write {}s to", T::KIND);
                let outcomes = self.dynamo.write_all(&doing, &writes).await;
                let judged = states.iter().zip(outcomes).map(|(state, outcome)| self.answer(state, outcome));
                answers.extend(join_all(judged).await);
            }
            Err(error) => {
                let reason = error.to_string();
                let doing = format!("write {}s to table {}", T::KIND, self.table());
                answers.extend(states.iter().map(|_| Err(ServiceError::new(doing.clone(), reason.clone()))));
            }
        }
        answers
    }

    async fn list(&self) -> Result<Vec<T>, ServiceError> {
        let mut found = Vec::new();
        for items in try_join_all((0..self.shards).map(|number| self.list_shard(number))).await? {
            for item in items {
                match self.read(&item) {
                    Ok(state) => found.push(state),
                    // The list still shows the others.
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a {} can't be read",
                        T::KIND
                    ),
                }
            }
        }
        found.sort_by_key(T::name);
        Ok(found)
    }
}
