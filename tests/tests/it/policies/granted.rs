//! The actions that the template allows each function.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::actions::Kind;
use crate::template::{Template, logical_id};

/// Everything that a function may ever touch, by logical id. An index stands after its table.
pub(super) fn resources(function: &str) -> BTreeMap<String, Kind> {
    let template = Template::read();
    let mut found = BTreeMap::new();
    for (id, properties) in template.resources("AWS::SQS::Queue") {
        // Only EventBridge sends to the rules' own dead-letter queue.
        if id != "RulesDeadLetters" {
            let is_main = properties.get("RedrivePolicy").is_some();
            found.insert(id.to_owned(), if is_main { Kind::Queue } else { Kind::DeadLetters });
        }
    }
    let tables = [("JobsTable", Kind::Jobs), ("StateTable", Kind::State), ("DataTable", Kind::Data)];
    for (id, kind) in tables {
        for index in template.properties(id)["GlobalSecondaryIndexes"].as_array().unwrap() {
            let name = index["IndexName"].as_str().unwrap();
            found.insert(format!("{id}/index/{name}"), Kind::index(&kind, name));
        }
        found.insert(id.to_owned(), kind);
    }
    found.insert(format!("{function}Logs"), Kind::Logs);
    if function == "Dispatcher" {
        found.insert(ANYTHING.to_owned(), Kind::Anything);
        found.insert(MAPPINGS.to_owned(), Kind::Mappings);
    }
    found
}

/// Actions for which AWS accepts no resource.
const ANYTHING: &str = "*";
/// The event source mappings of the worker, whose ids are known only once they exist.
const MAPPINGS: &str = "the worker's event source mappings";

/// Every action that a function's role allows, with each resource.
pub(super) fn to(function: &str) -> BTreeSet<(String, String)> {
    let template = Template::read();
    let properties = &template.resource(function)["Properties"];
    let role = logical_id(&properties["Role"]);
    // Each of these would grant more than this test reads.
    assert!(
        properties.get("Policies").is_none(),
        "{function}: Policies do nothing beside a role; write them into {role}"
    );
    assert!(
        template.resource(function).get("Connectors").is_none(),
        "{function}: write actions out in {role}"
    );
    for kind in ["IAM::Policy", "IAM::RolePolicy", "IAM::ManagedPolicy", "Serverless::Connector"] {
        let others = template.resources(&format!("AWS::{kind}"));
        assert!(others.is_empty(), "{:?}: write actions out in {role}", others.keys());
    }
    let properties = &template.resource(role)["Properties"];
    assert!(properties.get("ManagedPolicyArns").is_none(), "{role}: write the actions out");
    let policies = properties["Policies"].as_array().unwrap();
    let statements =
        policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    statements.flat_map(pairs).collect()
}

fn pairs(statement: &Value) -> Vec<(String, String)> {
    assert_eq!(statement["Effect"], "Allow", "{statement}");
    let actions = one_or_more(&statement["Action"]);
    let of = |value| if is_all_mappings(value) { mappings(statement) } else { resource(value) };
    let resources: Vec<String> = one_or_more(&statement["Resource"]).into_iter().map(of).collect();
    let written_out =
        |action: &Value| action.as_str().filter(|action| !action.contains('*')).map(str::to_owned);
    let actions = actions.into_iter().map(|action| {
        written_out(action).unwrap_or_else(|| panic!("expected an action written out, got {action}"))
    });
    actions
        .flat_map(|action| resources.iter().map(move |resource| (action.clone(), resource.clone())))
        .collect()
}

fn is_all_mappings(resource: &Value) -> bool {
    let arn = resource.get("Fn::Sub").and_then(Value::as_str);
    arn.is_some_and(|arn| arn.ends_with(":event-source-mapping:*"))
}

/// All event source mappings of the account, which a condition must narrow down.
fn mappings(statement: &Value) -> String {
    let own = json!({ "ArnEquals": { "lambda:FunctionArn": { "Fn::GetAtt": ["Worker", "Arn"] } } });
    assert_eq!(statement["Condition"], own, "{statement}");
    MAPPINGS.to_owned()
}

fn one_or_more(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The logical id in `!GetAtt Table.Arn`, or `Table/index/name` in `!Sub "${Table.Arn}/index/name"`.
fn resource(value: &Value) -> String {
    let written_out = || {
        if value == ANYTHING {
            return Some(ANYTHING.to_owned());
        }
        if let Some(text) = value.get("Fn::Sub").and_then(Value::as_str) {
            let (id, index) = text.strip_prefix("${")?.split_once(".Arn}/index/")?;
            return Some(format!("{id}/index/{index}"));
        }
        (value.get("Fn::GetAtt")?.get(1)? == "Arn").then(|| logical_id(value).to_owned())
    };
    written_out().unwrap_or_else(|| panic!("expected !GetAtt Resource.Arn or an index of it, got {value}"))
}
