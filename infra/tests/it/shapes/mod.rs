//! Every stored item.
//!
//! The next release reads the items that the last one left, whatever the code is called that writes them. The tests
//! read back the raw items and compare them with files in `kept/`.

mod deliveries;
mod jobs;
#[path = "../../../../core/tests/it/shapes/kept.rs"]
mod kept;
mod states;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use lambda_jobs_infra::Dynamo;
use serde_json::{Map, Value, json};

use kept::Shapes;

/// An instant with a digit in every place.
fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00.123456789Z".parse().unwrap()
}

/// All raw items of a table, by key.
async fn items(dynamo: &Dynamo, table: &str) -> BTreeMap<String, Value> {
    let scanned = dynamo.client().scan().table_name(table).send().await.unwrap();
    assert_eq!(scanned.last_evaluated_key, None, "there is no second page");
    let mut items = BTreeMap::new();
    for item in scanned.items.unwrap() {
        let key = format!("{} / {}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap());
        let plain: Map<String, Value> =
            item.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        items.insert(key, Value::Object(plain));
    }
    items
}

/// Compares all items of a table with a file.
async fn check(file: &'static str, dynamo: &Dynamo, table: &str) {
    let items = items(dynamo, table).await;
    items.iter().fold(Shapes::of(file), |shapes, (key, item)| shapes.written(key, item)).check();
}

/// An attribute in DynamoDB's JSON. JSON within a string is shown as `JSON`, because nothing relies on the order of its
/// fields.
fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) if text.starts_with('{') => {
            json!({ "JSON": serde_json::from_str::<Value>(text).unwrap() })
        }
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(_) => json!({ "NULL": true }),
        AttributeValue::L(list) => json!({ "L": list.iter().map(plain).collect::<Vec<Value>>() }),
        AttributeValue::M(map) => {
            let entries: Map<String, Value> =
                map.iter().map(|(name, one)| (name.clone(), plain(one))).collect();
            json!({ "M": entries })
        }
        other => panic!("an attribute of a kind that nothing is stored in: {other:?}"),
    }
}

/// Reads an attribute from DynamoDB's JSON.
fn attribute(plain: &Value) -> AttributeValue {
    let (kind, value) = plain.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(attribute).collect()),
        "M" => AttributeValue::M(
            value.as_object().unwrap().iter().map(|(name, one)| (name.clone(), attribute(one))).collect(),
        ),
        other => panic!("{other}"),
    }
}

/// Puts an item as another release may have left it.
pub(crate) async fn put(dynamo: &Dynamo, table: &str, item: &Value) {
    let item =
        item.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    dynamo.client().put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

#[test]
fn every_attribute_is_documented() {
    let documentation = include_str!("../../../src/dynamodb/mod.rs");
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/shapes/kept");
    for file in std::fs::read_dir(kept).unwrap() {
        let path = file.unwrap().path();
        if path.to_str().unwrap().ends_with("-read.json") {
            continue;
        }
        let items: BTreeMap<String, BTreeMap<String, Value>> =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for name in items.values().flat_map(BTreeMap::keys) {
            assert!(documentation.contains(&format!("`{name}`")), "{}: {name}", path.display());
        }
    }
}
