//! The IAM actions that a request needs, with their resources.
//!
//! AWS names most actions like the operation. The exceptions: a batch in SQS needs the action of its single calls,
//! PartiQL has an action for each verb, a transaction needs the actions of its parts, and a query of an index needs the
//! index as its resource.

use std::borrow::Cow;

use lambda_jobs_core::Queue;
use lambda_jobs_infra::Settings;
use serde_json::{Value, json};

/// The target of a call. A policy treats all queues alike, and each table separately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Queue,
    DeadLetters,
    Jobs,
    State,
    Data,
    Logs,
    /// An index of the jobs table.
    JobsIndex(Cow<'static, str>),
    /// An index of the state table.
    StateIndex(Cow<'static, str>),
    /// An index of the data table.
    DataIndex(Cow<'static, str>),
    /// The worker's event source mappings.
    Mappings,
    /// All resources, for actions that can't be narrowed down.
    Anything,
}

impl Kind {
    /// An index of a table.
    pub(super) fn index(table: &Self, name: &str) -> Self {
        match table {
            Self::Jobs => Self::JobsIndex(name.to_owned().into()),
            Self::State => Self::StateIndex(name.to_owned().into()),
            Self::Data => Self::DataIndex(name.to_owned().into()),
            other => panic!("{other:?} has no index {name}"),
        }
    }
}

/// One required permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    pub(super) action: String,
    pub(super) kind: Kind,
    /// The operation and the verb of its statement.
    pub(super) operation: String,
}

impl Need {
    /// The operation alone.
    pub(super) fn operation_name(&self) -> &str {
        self.operation.split(' ').next().unwrap()
    }
}

/// The permissions that a request needs, from its `X-Amz-Target` and its body.
pub(super) fn needs(target: &str, body: &Value) -> Vec<Need> {
    let (service, operation) = target.split_once('.').unwrap();
    if service == "AmazonSQS" { sqs(operation, body) } else { dynamodb(operation, body) }
}

fn sqs(operation: &str, body: &Value) -> Vec<Need> {
    let queue = body["QueueUrl"].as_str().or_else(|| body["QueueName"].as_str());
    let queue = queue.unwrap_or_else(|| panic!("{operation} names no queue; say here what it needs"));
    let name = queue.rsplit('/').next().unwrap();
    let action = operation.strip_suffix("Batch").unwrap_or(operation);
    vec![need(format!("sqs:{action}"), queue_kind(name), operation)]
}

fn queue_kind(name: &str) -> Kind {
    let names = Settings::default().queues;
    if Queue::ALL.into_iter().any(|queue| names.queue(queue) == name) {
        Kind::Queue
    } else if Queue::ALL.into_iter().any(|queue| names.dead_letters(queue) == name) {
        Kind::DeadLetters
    } else {
        panic!("a call to queue {name}, which is none of ours")
    }
}

fn dynamodb(operation: &str, body: &Value) -> Vec<Need> {
    let each = |list: &str| body[list].as_array().cloned().unwrap_or_default();
    match operation {
        "BatchExecuteStatement" => each("Statements").iter().map(|part| statement(operation, part)).collect(),
        "ExecuteTransaction" => {
            each("TransactStatements").iter().map(|part| statement(operation, part)).collect()
        }
        "ExecuteStatement" => vec![statement(operation, body)],
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables
                .map(|table| need(format!("dynamodb:{operation}"), table_kind(table, None), operation))
                .collect()
        }
        "TransactWriteItems" | "TransactGetItems" => {
            each("TransactItems").iter().map(|part| part_of_transaction(operation, part)).collect()
        }
        _ => {
            let table = body["TableName"].as_str();
            let table = table.unwrap_or_else(|| panic!("{operation} names no table; say here what it needs"));
            let kind = table_kind(table, body["IndexName"].as_str());
            vec![need(format!("dynamodb:{operation}"), kind, operation)]
        }
    }
}

fn statement(operation: &str, part: &Value) -> Need {
    let text = part["Statement"].as_str().unwrap();
    let verb = text.split_whitespace().next().unwrap();
    let action = match verb {
        "INSERT" => "PartiQLInsert",
        "UPDATE" => "PartiQLUpdate",
        "DELETE" => "PartiQLDelete",
        "SELECT" => "PartiQLSelect",
        other => panic!("expected a PartiQL statement that begins with a verb, got {other}"),
    };
    // A SELECT quotes its columns too; every statement quotes its table, and after it an index.
    let from = if verb == "SELECT" { text.split_once("FROM").unwrap().1 } else { text };
    let names: Vec<&str> = from.split('"').collect();
    let index = (names.get(2) == Some(&".")).then(|| names[3]);
    need(format!("dynamodb:{action}"), table_kind(names[1], index), &format!("{operation} {verb}"))
}

fn part_of_transaction(operation: &str, part: &Value) -> Need {
    let (verb, of) = part.as_object().unwrap().iter().next().unwrap();
    let action =
        if verb == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{verb}Item") };
    let kind = table_kind(of["TableName"].as_str().unwrap(), None);
    need(format!("dynamodb:{action}"), kind, &format!("{operation} {verb}"))
}

fn table_kind(name: &str, index: Option<&str>) -> Kind {
    let tables = Settings::default().tables;
    let table = [(tables.jobs, Kind::Jobs), (tables.state, Kind::State), (tables.data, Kind::Data)];
    let found = table.into_iter().find(|(known, _)| known == name);
    let (_, table) = found.unwrap_or_else(|| panic!("a call to table {name}, which is none of ours"));
    index.map_or_else(|| table.clone(), |index| Kind::index(&table, index))
}

fn need(action: String, kind: Kind, operation: &str) -> Need {
    Need { action, kind, operation: operation.to_owned() }
}

/// The action for an operation, if its name differs.
#[test]
fn batches_transactions_statements_and_indexes_need_what_aws_asks_for() {
    let check = |target: &str, body: Value, expected: &[(&str, Kind)]| {
        let found: Vec<_> = needs(target, &body).into_iter().map(|need| (need.action, need.kind)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(action, kind)| ((*action).to_owned(), kind.clone())).collect();
        assert_eq!(found, expected, "{target}");
    };
    let letters = json!({ "QueueUrl": "http://localhost:4566/000000000000/lambda-jobs-low-dlq" });
    check("AmazonSQS.SendMessageBatch", letters, &[("sqs:SendMessage", Kind::DeadLetters)]);
    let statements = json!({ "Statements": [
        { "Statement": r#"DELETE FROM "lambda-jobs-data" WHERE "pk" = ?"# },
        { "Statement": r#"SELECT "pk" FROM "lambda-jobs-jobs"."attention" WHERE "attention" = ?"# },
    ]});
    let index = || Kind::JobsIndex("attention".into());
    let expected = [("dynamodb:PartiQLDelete", Kind::Data), ("dynamodb:PartiQLSelect", index())];
    check("DynamoDB_20120810.BatchExecuteStatement", statements, &expected);
    let transaction = json!({ "TransactItems": [
        { "Update": { "TableName": "lambda-jobs-state" } },
        { "ConditionCheck": { "TableName": "lambda-jobs-jobs" } },
    ]});
    let expected = [("dynamodb:UpdateItem", Kind::State), ("dynamodb:ConditionCheckItem", Kind::Jobs)];
    check("DynamoDB_20120810.TransactWriteItems", transaction, &expected);
    let query = json!({ "TableName": "lambda-jobs-jobs", "IndexName": "attention" });
    check("DynamoDB_20120810.Query", query, &[("dynamodb:Query", index())]);
}
