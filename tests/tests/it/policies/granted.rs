//! What the template allows the worker.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::actions::Kind;
use crate::template::{Template, logical_id};

/// What the worker may ever touch: logical ids, an index after its table, and what they are.
pub(super) fn resources() -> BTreeMap<String, Kind> {
    let template = Template::read();
    let mut found = BTreeMap::new();
    for (id, properties) in template.resources("AWS::SQS::Queue") {
        let is_main = properties.get("RedrivePolicy").is_some();
        found.insert(id.to_owned(), if is_main { Kind::Queue } else { Kind::DeadLetters });
    }
    for index in template.properties("JobsTable")["GlobalSecondaryIndexes"].as_array().unwrap() {
        let name = index["IndexName"].as_str().unwrap();
        found.insert(format!("JobsTable/index/{name}"), Kind::JobsIndex(name.to_owned()));
    }
    let rest = [
        ("JobsTable", Kind::Jobs),
        ("StateTable", Kind::State),
        ("DataTable", Kind::Data),
        ("WorkerLogs", Kind::Logs),
    ];
    found.extend(rest.map(|(id, kind)| (id.to_owned(), kind)));
    found
}

/// Every action that the worker's role allows, with each resource.
pub(super) fn to_the_worker() -> BTreeSet<(String, String)> {
    let template = Template::read();
    let worker = &template.resource("Worker")["Properties"];
    let role = logical_id(&worker["Role"]);
    // Each of these would give the role more than is read here.
    assert!(
        worker.get("Policies").is_none(),
        "Worker: Policies do nothing beside a role; write them into {role}"
    );
    assert!(template.resource("Worker").get("Connectors").is_none(), "Worker: write actions out in {role}");
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
    let resources: Vec<String> = one_or_more(&statement["Resource"]).into_iter().map(resource).collect();
    let written_out =
        |action: &Value| action.as_str().filter(|action| !action.contains('*')).map(str::to_owned);
    let actions = actions.into_iter().map(|action| {
        written_out(action).unwrap_or_else(|| panic!("expected an action written out, got {action}"))
    });
    actions
        .flat_map(|action| resources.iter().map(move |resource| (action.clone(), resource.clone())))
        .collect()
}

fn one_or_more(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The logical id in `!GetAtt Table.Arn`, or `Table/index/name` in `!Sub "${Table.Arn}/index/name"`.
fn resource(value: &Value) -> String {
    let written_out = || {
        if let Some(text) = value.get("Fn::Sub").and_then(Value::as_str) {
            let (id, index) = text.strip_prefix("${")?.split_once(".Arn}/index/")?;
            return Some(format!("{id}/index/{index}"));
        }
        (value.get("Fn::GetAtt")?.get(1)? == "Arn").then(|| logical_id(value).to_owned())
    };
    written_out().unwrap_or_else(|| panic!("expected !GetAtt Resource.Arn or an index of it, got {value}"))
}
