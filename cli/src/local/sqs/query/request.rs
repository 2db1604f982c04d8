//! A form as the JSON of the same request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::form::{self, Node};
use super::names::{Shape, of_parameter};
use crate::local::sqs::fault::Fault;
use lambda_jobs_core::sqs::SqsError;

/// A request as the JSON protocol has it.
#[derive(Debug)]
pub(in super::super) struct Request {
    pub(in super::super) action: String,
    pub(in super::super) json: Vec<u8>,
}

/// Reads a form. A request to the path of a queue (`/000000000000/jobs`) names that queue, unless the form does.
pub(in super::super) fn read(path: &str, form: &[u8]) -> Result<Request, Fault> {
    let mut tree = form::parse(form)?;
    let Some(Node::Leaf(action)) = tree.remove("Action") else {
        return Err(SqsError::MissingParameter { parameter: "Action" }.into());
    };
    let mut fields = object(&action, tree)?;
    if !path.trim_matches('/').is_empty() {
        fields.entry("QueueUrl").or_insert_with(|| path.into());
    }
    let json = Value::Object(fields).to_string().into_bytes();
    Ok(Request { action, json })
}

fn object(action: &str, tree: BTreeMap<String, Node>) -> Result<Map<String, Value>, Fault> {
    let mut fields = Map::new();
    for (name, node) in tree {
        let (field, shape) = of_parameter(action, &name);
        let value = match (shape, node) {
            (Shape::Number, Node::Leaf(text)) => number(&name, &text)?,
            (_, Node::Leaf(text)) => text.into(),
            (Shape::Texts | Shape::Objects, Node::Branch(elements)) => {
                let elements = in_order(elements).into_iter().map(|element| plain(action, element));
                Value::Array(elements.collect::<Result<_, _>>()?)
            }
            (Shape::Map(key, value), Node::Branch(elements)) => map(action, elements, key, value)?,
            (Shape::Number | Shape::Plain, Node::Branch(below)) => object(action, below)?.into(),
        };
        fields.insert(field, value);
    }
    Ok(fields)
}

fn plain(action: &str, node: Node) -> Result<Value, Fault> {
    match node {
        Node::Leaf(text) => Ok(text.into()),
        Node::Branch(below) => object(action, below).map(Value::Object),
    }
}

/// A map whose elements have a key and a value. An element without one of them counts as empty there; the action then
/// refuses it by its name.
fn map(action: &str, elements: BTreeMap<String, Node>, key: &str, value: &str) -> Result<Value, Fault> {
    // `Attribute.Name=..&Attribute.Value=..`, without a number, is one element.
    let elements = if elements.contains_key(key) { vec![Node::Branch(elements)] } else { in_order(elements) };
    let mut fields = Map::new();
    for element in elements {
        let Node::Branch(mut parts) = element else { continue };
        let Some(Node::Leaf(name)) = parts.remove(key) else {
            return Err(Fault::NotAForm(format!("expected {key} and {value} in each element of a map")));
        };
        let value = parts.remove(value).unwrap_or_else(|| Node::Leaf(String::new()));
        fields.insert(name, plain(action, value)?);
    }
    Ok(fields.into())
}

/// Elements by their number; numbers may have gaps.
fn in_order(elements: BTreeMap<String, Node>) -> Vec<Node> {
    let mut numbered: Vec<(u32, Node)> =
        elements.into_iter().map(|(number, node)| (number.parse().unwrap_or(u32::MAX), node)).collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, node)| node).collect()
}

fn number(name: &str, text: &str) -> Result<Value, Fault> {
    match text.trim().parse::<i64>() {
        Ok(number) => Ok(number.into()),
        Err(_) => Err(Fault::NotAForm(format!("{name}: expected a whole number, got {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(path: &str, form: &str) -> (String, Value) {
        let request = read(path, form.as_bytes()).unwrap();
        (request.action, serde_json::from_slice(&request.json).unwrap())
    }

    #[test]
    fn every_shape_becomes_its_json() {
        let form = "Action=SendMessageBatch&Version=2012-11-05&QueueUrl=http%3A%2F%2Fx%2F1%2Fq\
            &SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.10.Id=c\
            &SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.DelaySeconds=5\
            &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
            &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String\
            &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v";
        let (action, body) = read_json("/", form);
        assert_eq!(action, "SendMessageBatch");
        let attributes = json!({ "n": { "DataType": "String", "StringValue": "v" } });
        let entries = json!([
            { "Id": "a", "DelaySeconds": 5, "MessageAttributes": attributes }, { "Id": "b" }, { "Id": "c" },
        ]);
        assert_eq!((&body["QueueUrl"], &body["Entries"]), (&json!("http://x/1/q"), &entries));

        let form = "Action=CreateQueue&QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=k\
            &Tag.1.Value=v";
        let (_, body) = read_json("", form);
        assert_eq!(
            body,
            json!({ "QueueName": "q", "Attributes": { "DelaySeconds": "5" }, "tags": { "k": "v" } })
        );
        let (_, body) =
            read_json("/1/q", "Action=SetQueueAttributes&Attribute.Name=DelaySeconds&Attribute.Value=5");
        assert_eq!(body, json!({ "QueueUrl": "/1/q", "Attributes": { "DelaySeconds": "5" } }));
        let (_, body) = read_json("/1/q", "Action=ReceiveMessage&AttributeName.1=All&QueueUrl=other");
        assert_eq!(body, json!({ "QueueUrl": "other", "AttributeNames": ["All"] }));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (form, expected) in [
            ("QueueName=q", "parameter Action"),
            ("Action=SendMessage&DelaySeconds=soon", "DelaySeconds: expected a whole number, got \"soon\""),
            ("Action=TagQueue&Tag.1.Value=v", "expected Key and Value"),
        ] {
            let error = read("/", form.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_message_holds_only_the_beginning_of_what_was_sent() {
        let form = format!("Action=SendMessage&DelaySeconds={}", "\u{fc}".repeat(100_000));
        let message = read("/", form.as_bytes()).unwrap_err().message();
        assert!(message.contains("DelaySeconds: expected a whole number, got"), "{message}");
        assert!(message.ends_with("...") && message.chars().count() == 1_003, "{}", message.len());
    }
}
