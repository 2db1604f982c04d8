//! Every call in the adapters' source, with its caller.
//!
//! The scenarios show only the calls that they reach. The test compares this table with the source: a new call must be
//! added here, and the scenarios must reach each call of the worker.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::actions::Kind;

enum Caller {
    /// The worker, with these resources.
    Worker(&'static [Kind]),
    /// Another caller, with its own credentials.
    Other(&'static str),
}
use Caller::{Other, Worker};

const DISPATCHER: Caller = Other("the dispatcher follows a pause; an operator begins and ends one");
const OPERATOR: Caller = Other("an operator looks, with the command");
const CLEANUP: Caller = Other("an operator cleans up, with the command");
const STACK: Caller = Other("the local stack and tests make their tables");
const LOCAL: Caller = Other("on AWS the event source mapping does it");

/// File, operation, caller: one line for each call in the source.
const CALLS: [(&str, &str, Caller); 54] = [
    ("infra/src/dynamodb/jobs/pruner.rs", "GetItem", CLEANUP),
    ("infra/src/dynamodb/jobs/pruner.rs", "PutItem", CLEANUP),
    ("infra/src/dynamodb/jobs/pruner.rs", "Query", CLEANUP),
    ("infra/src/dynamodb/jobs/pruner.rs", "Query", CLEANUP),
    ("infra/src/dynamodb/jobs/cancellations.rs", "BatchGetItem", Worker(&[Kind::Jobs])),
    ("infra/src/dynamodb/state/batches.rs", "GetItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/state/batches.rs", "Query", Worker(&[Kind::State])),
    ("infra/src/dynamodb/state/batches.rs", "UpdateItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/state/control.rs", "GetItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/state/control.rs", "UpdateItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/jobs/counters.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/jobs/counters.rs", "UpdateItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/jobs/due.rs", "Query", DISPATCHER),
    ("infra/src/dynamodb/jobs/history.rs", "DeleteItem", Worker(&[Kind::Jobs])),
    ("infra/src/dynamodb/jobs/history.rs", "PutItem", Worker(&[Kind::Jobs])),
    ("infra/src/dynamodb/jobs/index.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/jobs/list.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/jobs/look.rs", "Scan", OPERATOR),
    ("infra/src/dynamodb/requests/reader.rs", "BatchGetItem", Worker(&[Kind::Jobs, Kind::State, Kind::Data])),
    ("infra/src/dynamodb/state/running.rs", "DeleteItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/state/running.rs", "GetItem", OPERATOR),
    ("infra/src/dynamodb/state/running.rs", "PutItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/state/running.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/state/schedules.rs", "DeleteItem", OPERATOR),
    ("infra/src/dynamodb/state/schedules.rs", "GetItem", OPERATOR),
    ("infra/src/dynamodb/state/schedules.rs", "PutItem", OPERATOR),
    ("infra/src/dynamodb/state/schedules.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/state/schedules.rs", "Query", DISPATCHER),
    ("infra/src/dynamodb/state/versioned.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/requests/single.rs", "DeleteItem", CLEANUP),
    ("infra/src/dynamodb/requests/single.rs", "PutItem", Worker(&[Kind::Jobs, Kind::State, Kind::Data])),
    ("infra/src/dynamodb/requests/single.rs", "UpdateItem", Worker(&[Kind::Jobs, Kind::State, Kind::Data])),
    ("infra/src/dynamodb/tables.rs", "CreateTable", STACK),
    ("infra/src/dynamodb/tables.rs", "DescribeTable", STACK),
    ("infra/src/dynamodb/tables.rs", "UpdateTimeToLive", STACK),
    (
        "infra/src/dynamodb/webhooks/waiting.rs",
        "Query",
        Worker(&[Kind::DataIndex(Cow::Borrowed("attention"))]),
    ),
    ("infra/src/dynamodb/state/unique.rs", "GetItem", Worker(&[Kind::State])),
    ("infra/src/dynamodb/webhooks/attempts.rs", "Query", OPERATOR),
    ("infra/src/dynamodb/webhooks/attempts.rs", "UpdateItem", Worker(&[Kind::Data])),
    ("infra/src/dynamodb/webhooks/list.rs", "Scan", OPERATOR),
    (
        "infra/src/dynamodb/requests/writer.rs",
        "BatchExecuteStatement",
        Worker(&[Kind::Jobs, Kind::State, Kind::Data]),
    ),
    ("infra/src/lambda.rs", "ListEventSourceMappings", DISPATCHER),
    ("infra/src/lambda.rs", "UpdateEventSourceMapping", DISPATCHER),
    ("infra/src/sqs/delete.rs", "DeleteMessageBatch", Worker(&[Kind::Queue])),
    ("infra/src/sqs/stale.rs", "DeleteMessageBatch", DISPATCHER),
    ("infra/src/sqs/stale.rs", "ReceiveMessage", DISPATCHER),
    ("infra/src/sqs/client.rs", "GetQueueUrl", Worker(&[Kind::Queue, Kind::DeadLetters])),
    ("infra/src/sqs/dead_letters.rs", "ReceiveMessage", OPERATOR),
    ("infra/src/sqs/depth.rs", "GetQueueAttributes", OPERATOR),
    ("infra/src/sqs/send.rs", "ChangeMessageVisibilityBatch", Worker(&[Kind::Queue])),
    ("infra/src/sqs/send.rs", "SendMessageBatch", Worker(&[Kind::Queue, Kind::DeadLetters])),
    ("functions/src/poller.rs", "ChangeMessageVisibilityBatch", LOCAL),
    ("functions/src/poller.rs", "DeleteMessageBatch", LOCAL),
    ("functions/src/poller.rs", "ReceiveMessage", LOCAL),
];

/// The operations that the worker calls, by resource.
pub(super) fn calls_of_the_worker() -> BTreeSet<(String, Kind)> {
    let worker = CALLS.iter().filter_map(|(_, operation, caller)| match caller {
        Worker(kinds) => Some((*operation, *kinds)),
        Other(_) => None,
    });
    worker
        .flat_map(|(operation, kinds)| kinds.iter().map(|kind| (operation.to_owned(), kind.clone())))
        .collect()
}

/// Folders in which the worker makes SDK calls.
const FOLDERS: [&str; 3] = ["infra/src/dynamodb", "infra/src/sqs", "functions/src"];
/// Single files with such calls.
const FILES: [&str; 1] = ["infra/src/lambda.rs"];

#[test]
fn every_call_in_the_source_stands_in_the_table_with_its_caller() {
    let mut listed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, operation, caller) in &CALLS {
        assert!(!matches!(caller, Other(reason) if reason.is_empty()), "{file}: {operation} has no reason");
        listed.entry((*file).to_owned()).or_default().push((*operation).to_owned());
    }
    let mut found = BTreeMap::new();
    for folder in FOLDERS {
        collect(folder, &mut found);
    }
    for file in FILES {
        collect_file(file, &mut found);
    }
    for (file, calls) in &found {
        let listed = listed.remove(file).unwrap_or_default();
        assert_eq!(calls, &listed, "{file}: the calls in it (left) are not those in CALLS (right)");
    }
    assert!(listed.is_empty(), "CALLS has files that make no calls: {listed:?}");
}

fn collect(folder: &str, found: &mut BTreeMap<String, Vec<String>>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&file, found);
            continue;
        }
        collect_file(&file, found);
    }
}

fn collect_file(file: &str, found: &mut BTreeMap<String, Vec<String>>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let source = std::fs::read_to_string(root.join(file)).unwrap();
    let calls = calls_in(file, &source);
    if !calls.is_empty() {
        found.insert(file.to_owned(), calls);
    }
}

/// The operations called in a source file, sorted, one for each call.
fn calls_in(file: &str, source: &str) -> Vec<String> {
    let source: String = source.split_whitespace().collect();
    // A client's method without arguments begins a call, unless it is one of these.
    let others = ["client", "clone", "config", "names"];
    let begun =
        ["client.", "client().", "once()."].into_iter().flat_map(|client| source.split(client).skip(1));
    let names = begun.filter_map(|rest| rest.split_once("()").map(|(name, _)| name));
    let names = names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    let mut calls: Vec<String> = names.filter(|name| !others.contains(name)).map(camel_case).collect();
    calls.sort();
    let sent = source.matches(".send()").count();
    assert_eq!(
        calls.len(),
        sent,
        "{file}: {sent} calls are sent, but these are begun on a client: {calls:?}"
    );
    calls
}

fn camel_case(name: &str) -> String {
    let capitalized = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capitalized).collect()
}
