//! Each function's role allows exactly what the function needs.
//!
//! Two tests complete each other. The first records a worker's requests for every way in which a job can end. It turns
//! them into the IAM actions that AWS requires: they must be exactly those that the template allows. The second holds a
//! table of every call in the adapters' source, with its caller: a call that no scenario reaches fails there.

mod actions;
mod granted;
mod recorder;
mod scenarios;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use actions::{Kind, Need};

/// Additional permissions, each with its reason: Lambda itself acts under the role.
const LAMBDA: [(&str, Kind, &str); 5] = [
    ("sqs:ReceiveMessage", Kind::Queue, "an event source mapping polls"),
    ("sqs:DeleteMessage", Kind::Queue, "an event source mapping deletes what succeeded"),
    ("sqs:GetQueueAttributes", Kind::Queue, "an event source mapping watches the backlog"),
    ("logs:CreateLogStream", Kind::Logs, "Lambda opens a stream for each environment"),
    ("logs:PutLogEvents", Kind::Logs, "Lambda writes what the function prints"),
];

#[tokio::test]
async fn the_worker_is_allowed_what_it_does_and_nothing_else() {
    let mut needed = BTreeMap::new();
    for Need { action, kind, operation } in scenarios::recorded().await {
        needed.insert((action.clone(), kind.clone()), format!("the worker calls {operation}"));
    }
    needed.extend(reasons(&LAMBDA));
    check("Worker", &needed);
}

/// The dispatcher's actions, with their resource and reason.
fn duties() -> Vec<(&'static str, Kind, &'static str)> {
    let index = |table: &Kind, name: &str| Kind::index(table, name);
    let due_jobs = index(&Kind::Jobs, "attention");
    let due_schedules = index(&Kind::State, "due");
    vec![
        ("sqs:GetQueueUrl", Kind::Queue, "it finds the queues"),
        ("sqs:SendMessage", Kind::Queue, "it sends what is due"),
        ("sqs:ReceiveMessage", Kind::Queue, "it renews what waits in a paused queue"),
        ("sqs:DeleteMessage", Kind::Queue, "it renews what waits in a paused queue"),
        ("dynamodb:Query", due_jobs, "it finds parked jobs"),
        ("dynamodb:BatchGetItem", Kind::Jobs, "it reads payloads, and whether an occurrence exists"),
        ("dynamodb:PartiQLInsert", Kind::Jobs, "it records what a schedule makes"),
        ("dynamodb:PartiQLUpdate", Kind::Jobs, "it notes what it has sent"),
        ("dynamodb:PutItem", Kind::Jobs, "where an endpoint lacks BatchExecuteStatement"),
        ("dynamodb:UpdateItem", Kind::Jobs, "where an endpoint lacks BatchExecuteStatement"),
        ("dynamodb:Query", due_schedules, "it finds schedules that are due"),
        ("dynamodb:GetItem", Kind::State, "it reads the control item, and a schedule that changed meanwhile"),
        ("dynamodb:PartiQLUpdate", Kind::State, "it moves schedules on"),
        ("dynamodb:UpdateItem", Kind::State, "it notes since when jobs are disabled"),
        ("lambda:ListEventSourceMappings", Kind::Anything, "it finds the worker's mappings"),
        ("lambda:UpdateEventSourceMapping", Kind::Mappings, "it pauses and resumes"),
        ("logs:CreateLogStream", Kind::Logs, "Lambda opens a stream for each environment"),
        ("logs:PutLogEvents", Kind::Logs, "Lambda writes what the function prints"),
    ]
}

#[test]
fn the_dispatcher_is_allowed_what_it_is_for_and_nothing_else() {
    check("Dispatcher", &reasons(&duties()).collect());
}

fn reasons(listed: &[(&'static str, Kind, &'static str)]) -> impl Iterator<Item = ((String, Kind), String)> {
    listed.iter().map(|(action, kind, why)| (((*action).to_owned(), kind.clone()), (*why).to_owned()))
}

/// Compares a function's role with the required permissions and their reasons.
fn check(function: &str, needed: &BTreeMap<(String, Kind), String>) {
    let resources = granted::resources(function);
    let granted = granted::to(function);
    let mut mistakes = Vec::new();
    for ((action, kind), reason) in needed {
        for resource in resources.iter().filter(|(_, of)| *of == kind).map(|(id, _)| id) {
            if !granted.contains(&(action.clone(), resource.clone())) {
                mistakes.push(format!("{resource}: {reason}; allow {action} there in {function}Role"));
            }
        }
    }
    for (action, resource) in &granted {
        let kind = resources.get(resource);
        let kind = kind.unwrap_or_else(|| panic!("{resource} is no resource of {function}"));
        if !needed.contains_key(&(action.clone(), kind.clone())) {
            mistakes.push(format!("{resource}: no call needs {action}; take it out of {function}Role"));
        }
    }
    assert!(mistakes.is_empty(), "template.yaml does not fit {function}:\n{}", mistakes.join("\n"));
}

#[tokio::test]
async fn the_scenarios_reach_every_call_that_the_source_says_the_worker_makes() {
    let recorded = scenarios::recorded().await;
    let recorded: BTreeSet<(String, Kind)> =
        recorded.iter().map(|need| (need.operation_name().to_owned(), need.kind.clone())).collect();
    assert_eq!(recorded, sources::calls_of_the_worker());
}
