//! The tables: equal to the local stack's, and protected.

use aws_sdk_dynamodb::types::TableDescription;
use lambda_jobs_infra::Settings;
use lambda_jobs_tests::stack;
use serde_json::{Value, json};

use super::read::Template;

const TABLE: &str = "AWS::DynamoDB::Table";

/// An existing table, in the template's words.
fn in_words(table: &TableDescription) -> Value {
    let keys = |schema: &[aws_sdk_dynamodb::types::KeySchemaElement]| -> Value {
        let part = |part: &aws_sdk_dynamodb::types::KeySchemaElement| json!({ "AttributeName": part.attribute_name(), "KeyType": part.key_type().as_str() });
        schema.iter().map(part).collect()
    };
    let mut attributes: Vec<Value> = table
        .attribute_definitions()
        .iter()
        .map(|of| json!({ "AttributeName": of.attribute_name(), "AttributeType": of.attribute_type().as_str() }))
        .collect();
    attributes.sort_by_key(Value::to_string);
    let indexes: Vec<Value> = table
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            let of = index.projection().unwrap();
            let mut projection = json!({ "ProjectionType": of.projection_type().unwrap().as_str() });
            if !of.non_key_attributes().is_empty() {
                projection["NonKeyAttributes"] = json!(of.non_key_attributes());
            }
            json!({
                "IndexName": index.index_name(),
                "KeySchema": keys(index.key_schema()),
                "Projection": projection,
            })
        })
        .collect();
    let billing = table.billing_mode_summary().unwrap().billing_mode().unwrap();
    json!({
        "TableName": table.table_name(),
        "BillingMode": billing.as_str(),
        "AttributeDefinitions": attributes,
        "KeySchema": keys(table.key_schema()),
        "GlobalSecondaryIndexes": indexes,
    })
}

fn in_template(mut properties: Value) -> Value {
    let empty = json!([]);
    properties["AttributeDefinitions"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    json!({
        "TableName": properties["TableName"],
        "BillingMode": properties["BillingMode"],
        "AttributeDefinitions": properties["AttributeDefinitions"],
        "KeySchema": properties["KeySchema"],
        "GlobalSecondaryIndexes": properties.get("GlobalSecondaryIndexes").unwrap_or(&empty),
    })
}

#[tokio::test]
async fn they_have_the_names_keys_indexes_and_expiry_of_those_that_the_code_makes() {
    let stack = stack().await.unwrap();
    let client = stack.adapters().dynamo().client();
    let tables = Template::read();
    let tables = tables.resources(TABLE);
    let names = Settings::default().tables;
    assert_eq!(tables.len(), 3);
    for name in [names.jobs, names.state, names.data] {
        let properties = tables.values().find(|properties| properties["TableName"] == *name);
        let properties = properties.unwrap_or_else(|| panic!("template.yaml has no table {name}"));
        let made = client.describe_table().table_name(&name).send().await.unwrap().table.unwrap();
        assert_eq!(in_template(properties.clone()), in_words(&made));
        let expiry = client.describe_time_to_live().table_name(&name).send().await.unwrap();
        let attribute = expiry.time_to_live_description.unwrap().attribute_name.unwrap();
        let expected = json!({ "AttributeName": attribute, "Enabled": true });
        assert_eq!(properties["TimeToLiveSpecification"], expected, "{name}");
    }
}

#[test]
fn they_are_encrypted_can_be_restored_and_outlive_the_stack() {
    let template = Template::read();
    for (id, properties) in template.resources(TABLE) {
        assert_eq!(properties["SSESpecification"]["SSEEnabled"], true, "{id}");
        assert_eq!(
            properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true,
            "{id}"
        );
        let resource = template.resource(id);
        assert_eq!([&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]], ["Retain"; 2], "{id}");
    }
}
