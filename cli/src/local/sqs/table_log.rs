//! Queues kept in a table of the embedded database.
//!
//! The local stack has a database already, so one file holds everything that `--data` keeps. Each queue and each
//! message is an item, and a change writes its own item alone. An item carries the version of its format; the log
//! refuses a newer one instead of misreading it.
//!
//! After a restart, messages that were in flight are visible again. Their jobs then wait for the lease that the dead
//! worker held.

use std::collections::{BTreeMap, HashMap};

use dynoxide::{
    AttributeValue, Database, ImportOptions, Item,
    actions::{
        create_table::CreateTableRequest,
        list_tables::ListTablesRequest,
        scan::ScanRequest,
        transact_write_items::{TransactDelete, TransactWriteItem, TransactWriteItemsRequest},
    },
    item,
    types::{AttributeDefinition, KeySchemaElement, KeyType, ScalarAttributeType},
};
use lambda_jobs_core::sqs::{Change, Message, QueueState, Snapshot};
use serde::{Serialize, de::DeserializeOwned};

use super::{LogError, MessageLog};

/// The table's name.
pub const TABLE: &str = "lambda-jobs-local-sqs";

const KEY: &str = "pk";
const STATE: &str = "state";
const VERSION: &str = "version";
/// The version of items that this code writes, and the only one it reads.
const CURRENT: &str = "1";
const QUEUE: &str = "queue#";
const MESSAGE: &str = "message#";
/// The most deletions of one transaction.
const DELETIONS: usize = 100;

/// Stores queues and messages in the table [`TABLE`] of an embedded database.
///
/// ```
/// use lambda_jobs::local::sqs::{MessageLog, TableLog};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = dynoxide::Database::memory()?;
/// let log = TableLog::open(database.clone())?;
/// assert!(log.load()?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TableLog {
    database: Database,
}

impl std::fmt::Debug for TableLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableLog").field("table", &TABLE).finish_non_exhaustive()
    }
}

impl TableLog {
    /// Opens the table of this database, and creates it if it is missing.
    pub fn open(database: Database) -> Result<Self, LogError> {
        let log = Self { database };
        if !log.has_table()? {
            log.create_table()?;
        }
        Ok(log)
    }

    fn has_table(&self) -> Result<bool, LogError> {
        let mut request = ListTablesRequest::default();
        loop {
            let page =
                self.database.list_tables(request).map_err(|error| failed("list the tables", error))?;
            if page.table_names.iter().any(|name| name == TABLE) {
                return Ok(true);
            }
            let Some(last) = page.last_evaluated_table_name else { return Ok(false) };
            request = ListTablesRequest { exclusive_start_table_name: Some(last), ..Default::default() };
        }
    }

    fn create_table(&self) -> Result<(), LogError> {
        let request = CreateTableRequest {
            table_name: TABLE.to_owned(),
            key_schema: vec![KeySchemaElement { attribute_name: KEY.to_owned(), key_type: KeyType::HASH }],
            attribute_definitions: vec![AttributeDefinition {
                attribute_name: KEY.to_owned(),
                attribute_type: ScalarAttributeType::S,
            }],
            billing_mode: Some("PAY_PER_REQUEST".to_owned()),
            ..Default::default()
        };
        self.database.create_table(request).map_err(|error| failed("create the queue table", error))?;
        Ok(())
    }

    /// Writes in one transaction, without the limit of 400 KB, because a message may be longer.
    fn put(&self, items: Vec<Item>) -> Result<(), LogError> {
        if items.is_empty() {
            return Ok(());
        }
        let written = self.database.import_items(TABLE, items, ImportOptions::default());
        written.map(drop).map_err(|error| failed("write to the queue table", error))
    }

    /// Deletes in transactions: each is one write to the disk, however many items it deletes.
    fn delete(&self, keys: &[String]) -> Result<(), LogError> {
        for keys in keys.chunks(DELETIONS) {
            let deletions = keys.iter().map(|key| TransactWriteItem {
                delete: Some(TransactDelete {
                    table_name: TABLE.to_owned(),
                    key: item! { KEY => key.as_str() },
                    ..Default::default()
                }),
                ..Default::default()
            });
            let request =
                TransactWriteItemsRequest { transact_items: deletions.collect(), ..Default::default() };
            let deleted = self.database.transact_write_items(request);
            deleted.map_err(|error| failed("delete from the queue table", error))?;
        }
        Ok(())
    }
}

impl MessageLog for TableLog {
    fn load(&self) -> Result<Snapshot, LogError> {
        let mut snapshot = Snapshot::default();
        let mut start = None;
        loop {
            let request = ScanRequest {
                table_name: TABLE.to_owned(),
                exclusive_start_key: start,
                consistent_read: Some(true),
                ..Default::default()
            };
            let page = self.database.scan(request).map_err(|error| failed("read the queue table", error))?;
            for item in page.items.unwrap_or_default() {
                add(&mut snapshot, &item)?;
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(snapshot);
            }
        }
    }

    fn apply(&self, changes: &[Change]) -> Result<(), LogError> {
        // Only the last change of a record counts.
        let mut records: BTreeMap<String, Option<Item>> = BTreeMap::new();
        for change in changes {
            let (key, item) = record(change)?;
            records.insert(key, item);
        }
        let (stored, removed): (Vec<_>, Vec<_>) = records.into_iter().partition(|(_, item)| item.is_some());
        self.put(stored.into_iter().filter_map(|(_, item)| item).collect())?;
        self.delete(&removed.into_iter().map(|(key, _)| key).collect::<Vec<_>>())
    }
}

fn record(change: &Change) -> Result<(String, Option<Item>), LogError> {
    Ok(match change {
        Change::QueueStored(queue) => {
            let key = format!("{QUEUE}{}", queue.name);
            (key.clone(), Some(to_item(&key, queue)?))
        }
        Change::QueueRemoved { name } => (format!("{QUEUE}{name}"), None),
        Change::MessageStored(message) => {
            let key = format!("{MESSAGE}{}", message.id);
            (key.clone(), Some(to_item(&key, message.as_ref())?))
        }
        Change::MessageRemoved { id, .. } => (format!("{MESSAGE}{id}"), None),
    })
}

fn to_item(key: &str, state: &impl Serialize) -> Result<Item, LogError> {
    let state = serde_json::to_string(state)
        .map_err(|error| LogError::new(format!("failed to write {key} as JSON")).because(error))?;
    Ok(item! { KEY => key, VERSION => AttributeValue::N(CURRENT.to_owned()), STATE => state })
}

fn add(snapshot: &mut Snapshot, item: &Item) -> Result<(), LogError> {
    let key = text(item, KEY)?;
    match item.get(VERSION) {
        Some(AttributeValue::N(version)) if version == CURRENT => {}
        other => {
            let what = format!("item {key} of table {TABLE} has version {other:?}, expected {CURRENT}");
            return Err(LogError::new(what));
        }
    }
    if key.starts_with(QUEUE) {
        snapshot.queues.push(state::<QueueState>(item, key)?);
    } else if key.starts_with(MESSAGE) {
        snapshot.messages.push(state::<Message>(item, key)?);
    } else {
        let what = format!("item {key} of table {TABLE} is unknown, expected {QUEUE}... or {MESSAGE}...");
        return Err(LogError::new(what));
    }
    Ok(())
}

fn state<T: DeserializeOwned>(item: &Item, key: &str) -> Result<T, LogError> {
    serde_json::from_str(text(item, STATE)?)
        .map_err(|error| LogError::new(format!("item {key} of table {TABLE} can't be read")).because(error))
}

fn text<'a>(item: &'a HashMap<String, AttributeValue>, name: &str) -> Result<&'a str, LogError> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        other => Err(LogError::new(format!(
            "an item of table {TABLE} has attribute {name} = {other:?}, expected a string"
        ))),
    }
}

fn failed(what: &str, error: dynoxide::DynoxideError) -> LogError {
    LogError::new(format!("failed to {what}")).because(error)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use lambda_jobs_core::sqs::{ReceiveRequest, SendRequest, Sqs};

    use super::*;

    fn log() -> TableLog {
        TableLog::open(Database::memory().unwrap()).unwrap()
    }

    #[test]
    fn what_was_applied_is_loaded() {
        let (log, now) = (log(), DateTime::UNIX_EPOCH);
        let mut sqs = Sqs::with_seed(1).journaled();
        sqs.create_queue("jobs", &[("DelaySeconds", "0")].into(), now).unwrap();
        let longest = "x".repeat(1_048_576);
        for body in ["a", "b", &longest] {
            sqs.send("jobs", SendRequest::new(body), now).unwrap();
        }
        log.apply(&sqs.take_changes()).unwrap();
        let received = sqs.receive("jobs", ReceiveRequest::up_to(2), now).unwrap();
        sqs.delete("jobs", &received[0].receipt_handle, now).unwrap();
        log.apply(&sqs.take_changes()).unwrap();

        let again = TableLog::open(log.database.clone()).unwrap();
        let loaded = again.load().unwrap();
        assert_eq!(&loaded.queues, &[sqs.queue_state("jobs").unwrap().clone()]);
        let mut messages = loaded.messages;
        messages.sort_by_key(|message| message.sequence);
        assert_eq!(messages, sqs.messages("jobs").unwrap().into_iter().cloned().collect::<Vec<_>>());

        sqs.delete_queue("jobs").unwrap();
        log.apply(&sqs.take_changes()).unwrap();
        assert!(log.load().unwrap().is_empty());
    }

    #[test]
    fn many_and_long_messages_are_deleted_together() {
        let (log, now) = (log(), DateTime::UNIX_EPOCH);
        let mut sqs = Sqs::with_seed(1).journaled();
        sqs.create_queue("jobs", &[].into(), now).unwrap();
        for length in [1; 240].into_iter().chain([1_048_576; 10]) {
            sqs.send("jobs", SendRequest::new("x".repeat(length)), now).unwrap();
        }
        log.apply(&sqs.take_changes()).unwrap();
        assert_eq!(log.load().unwrap().messages.len(), 250);
        sqs.purge("jobs").unwrap();
        log.apply(&sqs.take_changes()).unwrap();
        assert!(log.load().unwrap().messages.is_empty());
    }

    #[test]
    fn an_item_of_a_future_version_is_refused_by_name() {
        let log = log();
        log.put(vec![item! { KEY => "queue#jobs", VERSION => 2_i64, STATE => "{}" }]).unwrap();
        let error = log.load().unwrap_err().to_string();
        assert!(error.contains("queue#jobs") && error.contains("expected 1"), "{error}");
    }
}
