//! The payload of a delivery that somebody else may have written.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::Payload;
use serde_dynamo::aws_sdk_dynamodb_1::from_attribute_value;
use serde_json::Value;

/// The payload in an attribute: text that is JSON, or other text, or any value of DynamoDB's own. Numbers keep all
/// their digits.
pub(super) fn payload_in(value: AttributeValue) -> Result<Payload, String> {
    match value {
        AttributeValue::S(text) => Ok(text.parse().unwrap_or_else(|_| Value::String(text).into())),
        other => json_of(other)?.parse().map_err(|error: lambda_jobs_core::Invalid| error.to_string()),
    }
}

fn json_of(value: AttributeValue) -> Result<String, String> {
    Ok(match value {
        AttributeValue::N(number) => number,
        AttributeValue::Ns(numbers) => list_of(&numbers),
        AttributeValue::L(values) => {
            list_of(&values.into_iter().map(json_of).collect::<Result<Vec<String>, String>>()?)
        }
        AttributeValue::M(map) => {
            // The order of its names must be the same whenever it is read.
            let members = map.into_iter().collect::<BTreeMap<_, _>>().into_iter();
            let member = |(name, value)| Ok(format!("{}:{}", Value::String(name), json_of(value)?));
            format!("{{{}}}", members.map(member).collect::<Result<Vec<String>, String>>()?.join(","))
        }
        other => from_attribute_value::<Value>(other).map_err(|error| error.to_string())?.to_string(),
    })
}

fn list_of(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}
