//! Finished jobs, one item per settle call.
//!
//! A write unit pays for 1 KB. Ten jobs must fit into it, so each is a line of text:
//! `<id> <name> <queue> <status> <attempt> <ms> <waited> <offset>`. The name is a position in the item's list of names.
//! `ms` is the time that the last attempt took, and `waited` how long it began after it was due, both in milliseconds;
//! `waited` is `-` if none began. The offset is the time from the job's end to the batch's, in seconds.
//!
//! History is kept by day and shard, sorted by time. Partitions by minute would spread no better, because at any moment
//! one minute is as hot as one day, and a list of a quiet system would cost a query per minute.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, NaiveDate, Utc};
use lambda_jobs_core::ports::{HistoryEntry, ServiceError, SettleCall};
use lambda_jobs_core::{JobStatus, Queue, Retention};

use super::record::SHARDS;
use crate::dynamodb::requests::{Dynamo, Write};
use crate::dynamodb::{Item, expiry, instant, key, seconds, text, text_of};

/// The partition of a day and a shard.
pub(super) fn pk(day: NaiveDate, shard: u64) -> String {
    format!("history#{day}#{shard}")
}

fn keys(batch: &SettleCall) -> (String, String) {
    let pk = pk(batch.at.date_naive(), batch.id % SHARDS);
    (pk, format!("{}#{:016x}", instant::write(batch.at), batch.id))
}

/// The write of a batch's history, if it finished anything.
pub(super) fn write(
    table: &str,
    batch: &SettleCall,
    entries: &[HistoryEntry],
    retention: &Retention,
) -> Option<Write> {
    let (pk, sk) = keys(batch);
    (!entries.is_empty()).then(|| Write::insert(table, pk, sk, encode(batch.at, entries, retention)))
}

/// Corrects a batch's history.
pub(super) async fn correct(
    dynamo: &Dynamo,
    batch: &SettleCall,
    entries: &[HistoryEntry],
    retention: &Retention,
) -> Result<(), ServiceError> {
    let table = &dynamo.tables().jobs;
    let (pk, sk) = keys(batch);
    if entries.is_empty() {
        let call = dynamo.client().delete_item().table_name(table).set_key(Some(key(pk, sk)));
        let sent = call.send().await;
        return sent.map(|_| ()).map_err(|error| dynamo.error("correct the history in", table, error));
    }
    let mut item = encode(batch.at, entries, retention);
    item.extend(key(pk, sk));
    let sent = dynamo.client().put_item().table_name(table).set_item(Some(item)).send().await;
    sent.map(|_| ()).map_err(|error| dynamo.error("correct the history in", table, error))
}

fn encode(at: DateTime<Utc>, entries: &[HistoryEntry], retention: &Retention) -> Item {
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let lines: Vec<String> = entries.iter().map(|entry| line(at, entry, &names)).collect();
    let names = names.into_iter().map(text).collect();
    let keep = entries.iter().map(|entry| retention.of(entry.status)).max();
    let keep = keep.unwrap_or_else(|| retention.longest());
    Item::from([
        ("names".to_owned(), AttributeValue::L(names)),
        ("jobs".to_owned(), text(lines.join("\n"))),
        ("expiresAt".to_owned(), expiry(at, keep)),
    ])
}

fn line(at: DateTime<Utc>, entry: &HistoryEntry, names: &[&str]) -> String {
    let name = names.binary_search(&entry.name.as_str()).unwrap_or_default();
    let waited = entry.waited.map_or_else(|| "-".to_owned(), |waited| waited.as_millis().to_string());
    format!(
        "{} {name} {} {} {} {} {waited} {}",
        entry.id,
        letter(entry.queue.as_str()),
        letter(entry.status.as_str()),
        entry.attempt,
        entry.execution_time.as_millis(),
        seconds::write_delta(at - entry.completed_at),
    )
}

/// One letter for a queue or a final status: its first, and `x` for `cancelled`, because `completed` has the same.
fn letter(word: &str) -> char {
    match word {
        "cancelled" => 'x',
        _ => word.chars().next().unwrap_or('?'),
    }
}

/// Until when a history item is kept.
pub(super) fn expires_at(item: &Item) -> Option<DateTime<Utc>> {
    let seconds = item.get("expiresAt").and_then(|value| value.as_n().ok())?;
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

/// The entries in a history item, and when it was written. Leaves out entries that it can't read, because a later
/// release may write others.
pub(super) fn decode(item: &Item) -> Option<(DateTime<Utc>, Vec<HistoryEntry>)> {
    let at = instant::read(text_of(item, "sk").split('#').next()?)?;
    let names = item.get("names").and_then(|names| names.as_l().ok())?;
    let names: Vec<&str> = names.iter().map(|name| name.as_s().map_or("", String::as_str)).collect();
    let entries = text_of(item, "jobs").lines().filter_map(|line| read(at, line, &names)).collect();
    Some((at, entries))
}

fn read(at: DateTime<Utc>, line: &str, names: &[&str]) -> Option<HistoryEntry> {
    let mut words = line.split(' ');
    Some(HistoryEntry {
        id: words.next()?.parse().ok()?,
        name: (*names.get(words.next()?.parse::<usize>().ok()?)?).to_owned(),
        queue: by_letter(words.next()?, Queue::ALL, Queue::as_str)?,
        status: by_letter(words.next()?, JobStatus::ALL, JobStatus::as_str)?,
        attempt: words.next()?.parse().ok()?,
        execution_time: Duration::from_millis(words.next()?.parse().ok()?),
        waited: words.next()?.parse().ok().map(Duration::from_millis),
        completed_at: seconds::read_before(at, words.next()?)?,
    })
}

fn by_letter<T: Copy, const N: usize>(word: &str, all: [T; N], name: fn(T) -> &'static str) -> Option<T> {
    let wanted = word.chars().next()?;
    all.into_iter().find(|one| letter(name(*one)) == wanted)
}
