//! The worker may do what it does, and nothing else.
//!
//! Two halves hold each other. The requests that a worker sends in every way that a job can go are recorded
//! and turned into the IAM actions that AWS asks for; they must be those that the template allows, no more
//! and no fewer. And every call in the adapters' source stands in a table that says who makes it, so that a
//! call which no scenario reaches, or which nobody has thought of, fails here as well.

mod actions;
mod granted;
mod recorder;
mod scenarios;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use actions::{Kind, Need};

/// What else the role is for: Lambda itself acts under it. Each with its reason.
const LAMBDA: [(&str, Kind, &str); 5] = [
    ("sqs:ReceiveMessage", Kind::Queue, "an event source mapping polls"),
    ("sqs:DeleteMessage", Kind::Queue, "an event source mapping deletes what succeeded"),
    ("sqs:GetQueueAttributes", Kind::Queue, "an event source mapping watches the backlog"),
    ("logs:CreateLogStream", Kind::Logs, "Lambda opens a stream for each environment"),
    ("logs:PutLogEvents", Kind::Logs, "Lambda writes what the function prints"),
];

#[tokio::test]
async fn the_worker_is_allowed_what_it_does_and_nothing_else() {
    let mut needed: BTreeMap<(String, Kind), String> = BTreeMap::new();
    for Need { action, kind, operation } in scenarios::recorded().await {
        needed.insert((action.clone(), kind.clone()), format!("the worker calls {operation}"));
    }
    for (action, kind, reason) in LAMBDA {
        needed.insert((action.to_owned(), kind), reason.to_owned());
    }
    let resources = granted::resources();
    let granted = granted::to_the_worker();
    let mut mistakes = Vec::new();
    for ((action, kind), reason) in &needed {
        for resource in resources.iter().filter(|(_, of)| *of == kind).map(|(id, _)| id) {
            if !granted.contains(&(action.clone(), resource.clone())) {
                mistakes.push(format!("{resource}: {reason}; allow {action} there in WorkerRole"));
            }
        }
    }
    for (action, resource) in &granted {
        let kind =
            resources.get(resource).unwrap_or_else(|| panic!("{resource} is no resource of the worker's"));
        if !needed.contains_key(&(action.clone(), kind.clone())) {
            mistakes.push(format!("{resource}: no call needs {action}; take it out of WorkerRole"));
        }
    }
    assert!(mistakes.is_empty(), "template.yaml does not fit the worker:\n{}", mistakes.join("\n"));
}

#[tokio::test]
async fn the_scenarios_reach_every_call_that_the_source_says_the_worker_makes() {
    let recorded = scenarios::recorded().await;
    let recorded: BTreeSet<(String, Kind)> =
        recorded.iter().map(|need| (need.operation_name().to_owned(), need.kind.clone())).collect();
    assert_eq!(recorded, sources::calls_of_the_worker());
}
