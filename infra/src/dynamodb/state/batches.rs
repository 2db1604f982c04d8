//! The marks of the children of batches: an item for each node.
//!
//! A node has the partition of the node above, so that one query reads all nodes below another. `expected` is how many
//! slots it has, and `sealed` whether that is final. `c<n>`, `f<n>` and `x<n>` say that the child in slot `n` completed,
//! failed or was cancelled; in a group and in the root, `c<n>` says that all below has ended.
//!
//! A mark sets an attribute, so it can be repeated, and an item with a hundred of them has less than 1 KB: a mark costs
//! one write unit. The marks of one settle call share a request.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use chrono::{TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use lambda_jobs_core::JobId;
use lambda_jobs_core::batch::{Ending, KEPT_FOR, Node, NodeId, Slot, Slots};
use lambda_jobs_core::ports::{BatchNodes, NodeChange, ServiceError};

use crate::dynamodb::requests::{Dynamo, Outcome, Set, Update, Value, Write};
use crate::dynamodb::{Item, key, number, text, text_of};

/// How many single writes are under way at once.
const AT_ONCE: usize = 16;

/// [`BatchNodes`] in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoBatchNodes {
    dynamo: Dynamo,
}

/// The partition of the nodes below this one.
fn below(batch: &JobId, node: Option<NodeId>) -> String {
    match node {
        Some(NodeId::Group(group)) => format!("batch-shards#{group}#{batch}"),
        Some(_) => format!("batch-groups#{batch}"),
        None => format!("batch-root#{batch}"),
    }
}

/// The partition and the sort key of a node.
fn place(batch: &JobId, node: NodeId) -> (String, String) {
    let above = node.above();
    let slot = above.map_or_else(|| "root".to_owned(), |(_, slot)| format!("{slot:03}"));
    (below(batch, above.map(|(above, _)| above)), slot)
}

const fn letter(ending: Ending) -> char {
    match ending {
        Ending::Completed => 'c',
        Ending::Failed => 'f',
        Ending::Cancelled => 'x',
    }
}

fn read(item: &Item) -> Node {
    let marked = |letter: char| {
        let slot = move |name: &String| name.strip_prefix(letter)?.parse::<Slot>().ok();
        Slots::of(item.keys().filter_map(slot))
    };
    let expected = item.get("expected").and_then(|value| value.as_n().ok()?.parse().ok());
    let sealed = item.get("sealed").and_then(|value| value.as_bool().ok()).is_some_and(|sealed| *sealed);
    Node { expected, sealed, completed: marked('c'), failed: marked('f'), cancelled: marked('x') }
}

impl DynamoBatchNodes {
    /// The nodes, in the state table.
    #[must_use]
    pub const fn new(dynamo: Dynamo) -> Self {
        Self { dynamo }
    }

    fn table(&self) -> &str {
        &self.dynamo.tables().state
    }

    fn mark(&self, change: &NodeChange) -> Write {
        let (pk, sk) = place(&change.batch, change.node);
        let mut update = Update { returning: true, silent: true, ..Update::default() };
        update.sets = change
            .marks
            .iter()
            .map(|(slot, ending)| {
                let name = format!("{}{slot}", letter(*ending));
                (name.into(), Set::Value(Value::Count(1)))
            })
            .collect();
        Write::update(self.table(), pk, sk, update)
    }

    /// Marks children, in as few requests as the service allows.
    async fn mark_all(&self, changes: &[&NodeChange]) -> Vec<Result<Node, ServiceError>> {
        let writes: Vec<Write> = changes.iter().map(|change| self.mark(change)).collect();
        let outcomes = self.dynamo.write_all("mark children in", &writes).await;
        let node = |outcome| match outcome {
            Ok(Outcome::Written(Some(item))) => Ok(read(&item)),
            // The shard does not exist: its batch was forgotten.
            Ok(Outcome::Written(None) | Outcome::Refused { .. }) => Ok(Node::default()),
            Ok(Outcome::Unknown) => Err(ServiceError::new("mark children", "the answer was lost")),
            Err(failed) => Err(ServiceError::from(failed)),
        };
        outcomes.into_iter().map(node).collect()
    }

    /// Makes or changes one node.
    async fn change_one(&self, change: &NodeChange) -> Result<Node, ServiceError> {
        let (pk, sk) = place(&change.batch, change.node);
        let until = Utc::now().checked_add_signed(KEPT_FOR + TimeDelta::days(1));
        let mut sets = vec!["expiresAt = if_not_exists(expiresAt, :until)".to_owned()];
        let mut call = self
            .dynamo
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key(pk, sk)))
            .expression_attribute_values(":until", number(until.map_or(0, |until| until.timestamp())))
            .return_values(ReturnValue::AllNew);
        if let Some(expected) = change.expected {
            sets.push("expected = if_not_exists(expected, :expected)".to_owned());
            call = call.expression_attribute_values(":expected", number(i64::from(expected)));
        }
        if change.seals {
            sets.push("sealed = :sealed".to_owned());
            call = call.expression_attribute_values(":sealed", AttributeValue::Bool(true));
        }
        if !change.marks.is_empty() {
            call = call.expression_attribute_values(":marked", number(1));
        }
        sets.extend(change.marks.iter().map(|(slot, ending)| format!("{}{slot} = :marked", letter(*ending))));
        let mut update = format!("SET {}", sets.join(", "));
        let letters: &[char] = if matches!(change.node, NodeId::Shard(_)) { &['f', 'x'] } else { &['c'] };
        let names = |slot| letters.iter().map(move |letter| format!("{letter}{slot}"));
        let cleared: Vec<String> = change.cleared.iter().flat_map(names).collect();
        if !cleared.is_empty() {
            update = format!("{update} REMOVE {}", cleared.join(", "));
        }
        let sent = call.update_expression(update).send().await;
        let sent = sent.map_err(|error| self.dynamo.error("change a batch in", self.table(), error))?;
        Ok(sent.attributes.map_or_else(Node::default, |item| read(&item)))
    }
}

#[async_trait]
impl BatchNodes for DynamoBatchNodes {
    async fn change(&self, changes: &[NodeChange]) -> Vec<Result<Node, ServiceError>> {
        let (marks, others): (Vec<_>, Vec<_>) =
            changes.iter().enumerate().partition(|(_, change)| change.is_marks_of_children());
        let mut answers: Vec<Option<Result<Node, ServiceError>>> = Vec::new();
        answers.resize_with(changes.len(), || None);
        let (at, marking): (Vec<usize>, Vec<&NodeChange>) = marks.into_iter().unzip();
        for (at, answer) in at.into_iter().zip(self.mark_all(&marking).await) {
            answers[at] = Some(answer);
        }
        let mut changing = Vec::new();
        for (at, change) in others {
            changing.push(async move { (at, self.change_one(change).await) }.boxed());
        }
        let mut changing = stream::iter(changing).buffer_unordered(AT_ONCE);
        while let Some((at, answer)) = changing.next().await {
            answers[at] = Some(answer);
        }
        let lost = || Err(ServiceError::new("change a batch", "there was no answer"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }

    async fn below(&self, batch: &JobId, node: NodeId) -> Result<Vec<(Slot, Node)>, ServiceError> {
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
                .expression_attribute_values(":partition", text(below(batch, Some(node))))
                .set_exclusive_start_key(start);
            let page = call.send().await;
            let page = page.map_err(|error| self.dynamo.error("read a batch in", self.table(), error))?;
            let slot = |item: &Item| text_of(item, "sk").parse().ok();
            found.extend(page.items.iter().flatten().filter_map(|item| Some((slot(item)?, read(item)))));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn root(&self, batch: &JobId) -> Result<Node, ServiceError> {
        let (pk, sk) = place(batch, NodeId::Root);
        let call = self.dynamo.client().get_item().table_name(self.table()).consistent_read(true);
        let found = call.set_key(Some(key(pk, sk))).send().await;
        let found = found.map_err(|error| self.dynamo.error("read a batch in", self.table(), error))?;
        Ok(found.item.map_or_else(Node::default, |item| read(&item)))
    }
}
