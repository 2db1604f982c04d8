//! The default recurring jobs: each at its time, once, into the right queue, and no others.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use lambda_jobs::local::{Rule, template};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::schedule::eventbridge::RuleExpression;
use lambda_jobs_core::{JobType, Payload, Queue, families};
use lambda_jobs_infra::{QueueNames, Settings};
use serde_json::{Value, json};

use super::read::{Template, logical_id};

const KIND: &str = "AWS::Events::Rule";
/// Schedule, job, payload, firings per day, and the first one.
const EXPECTED: [(&str, &str, &str, usize, &str); 7] = [
    ("overdue-notifications", "notification-job", r#"{"type":"overdue"}"#, 48, "00:00"),
    ("upcoming-notifications", "notification-job", r#"{"type":"upcoming"}"#, 4, "00:00"),
    ("daily-digest", "notification-job", r#"{"type":"digest"}"#, 1, "08:00"),
    ("recurring-tasks", "recurring-task-job", r#"{"type":"process_all"}"#, 24, "00:00"),
    ("calendar-reminders", "calendar-reminder-job", r#"{"type":"process_all"}"#, 288, "00:00"),
    ("webhook-pending", "webhook-delivery-job", r#"{"type":"process_pending","batchSize":50}"#, 720, "00:00"),
    ("webhook-retries", "webhook-delivery-job", r#"{"type":"process_retries","batchSize":25}"#, 288, "00:00"),
];
/// The jobs whose handlers exist. The other rules are off: jobs without a handler would become dead letters all day.
const HANDLED: [&str; 1] = [families::webhook::NAME];

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn rules() -> BTreeMap<String, Rule> {
    let rules = Rule::of(&template::Template::own().unwrap(), &QueueNames::default()).unwrap();
    let short = |rule: Rule| (rule.name.strip_prefix("lambda-jobs-").unwrap().to_owned(), rule);
    rules.into_iter().map(short).collect()
}

/// The rules that enqueue: their logical ids and raw properties.
fn written(template: &Template) -> BTreeMap<&str, &Value> {
    let all = template.resources(KIND).into_keys().filter(|id| *id != "DispatcherRule");
    all.map(|id| (id, &template.resource(id)["Properties"])).collect()
}

#[test]
fn all_seven_send_their_job_to_the_queue_of_its_handler() {
    let rules = rules();
    assert_eq!(rules.len(), EXPECTED.len());
    for (schedule, job, payload, ..) in EXPECTED {
        let sent = rules[schedule].message(instant("2026-11-23T08:00:07Z"));
        let message = JobMessage::decode(&sent.body, "message-1", DateTime::UNIX_EPOCH).unwrap();
        let definition = message.definition;
        assert_eq!(definition.id.as_str(), format!("{schedule}@2026-11-23T08:00:00Z"));
        assert_eq!(
            (definition.spec.name.as_str(), definition.job_type),
            (job, JobType::Recurring),
            "{schedule}"
        );
        assert_eq!(definition.spec.payload, payload.parse::<Payload>().unwrap(), "{schedule}");
        assert_eq!(sent.queue, Queue::for_job(job, definition.spec.priority), "{schedule}");
    }
}

#[test]
fn they_fire_as_often_as_they_are_documented_to() {
    let rules = rules();
    let day = instant("2026-11-23T00:00:00Z");
    for (schedule, _, _, times, first) in EXPECTED {
        let next = |after: &DateTime<Utc>| rules[schedule].expression.next_after(*after, day);
        let before = day - chrono::TimeDelta::seconds(1);
        let fired: Vec<_> = std::iter::successors(next(&before), next)
            .take_while(|at| *at < day + chrono::TimeDelta::days(1))
            .collect();
        assert_eq!(fired.len(), times, "{schedule}");
        assert_eq!(fired[0].format("%H:%M").to_string(), first, "{schedule}");
        let steps: BTreeSet<_> = fired.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.len() <= 1, "{schedule} is even: {steps:?}");
    }
}

#[test]
fn each_is_enabled_if_its_handler_exists() {
    let rules = rules();
    for (schedule, job, ..) in EXPECTED {
        assert_eq!(rules[schedule].enabled, HANDLED.contains(&job), "{schedule}");
    }
}

#[test]
fn each_has_a_parameter_for_its_schedule_and_one_to_switch_it_off() {
    let template = Template::read();
    for (id, properties) in written(&template) {
        let name = id.strip_suffix("Rule").unwrap();
        assert_eq!(properties["ScheduleExpression"], json!({ "Ref": format!("{name}Schedule") }));
        assert_eq!(properties["State"], json!({ "Ref": format!("{name}State") }));
        let state = template.parameter(&format!("{name}State"));
        assert_eq!(state["AllowedValues"], json!(["ENABLED", "DISABLED"]), "{id}");
        // The test identifies a firing by its minute, so the minute must not depend on the rule's creation.
        let schedule = template.parameter(&format!("{name}Schedule"));
        assert_eq!(schedule["AllowedPattern"], r"cron\(.+\)", "{id}");
        RuleExpression::parse(schedule["Default"].as_str().unwrap()).unwrap();
    }
}

#[test]
fn what_a_rule_cannot_send_is_kept_in_a_dead_letter_queue_of_theirs() {
    let template = Template::read();
    let letters = template.properties("RulesDeadLetters");
    assert_eq!(letters["QueueName"], "lambda-jobs-rules-dlq");
    for (id, properties) in written(&template) {
        let target = &properties["Targets"][0];
        assert_eq!(properties["Targets"].as_array().unwrap().len(), 1, "{id}");
        assert_eq!(logical_id(&target["DeadLetterConfig"]["Arn"]), "RulesDeadLetters", "{id}");
    }
}

#[test]
fn what_goes_to_a_queue_of_groups_has_a_group() {
    let template = Template::read();
    for (id, properties) in written(&template) {
        let target = &properties["Targets"][0];
        let group = target["SqsParameters"]["MessageGroupId"].as_str();
        let expected = (logical_id(&target["Arn"]) == "WebhooksQueue").then_some("sweeps");
        assert_eq!(group, expected, "{id}");
    }
    let sent = rules()["webhook-pending"].message(instant("2026-11-23T08:00:07Z"));
    assert_eq!(sent.group.as_deref(), Some("sweeps"), "the local stack does the same");
}

/// The rules whose messages or dead letters go to a queue.
fn senders<'a>(template: &'a Template, queue: &str) -> BTreeSet<&'a str> {
    let sends = |target: &Value| {
        logical_id(&target["Arn"]) == queue || logical_id(&target["DeadLetterConfig"]["Arn"]) == queue
    };
    let rules = written(template).into_iter();
    rules.filter(|(_, rule)| sends(&rule["Targets"][0])).map(|(id, _)| id).collect()
}

#[test]
fn a_queue_admits_the_rules_that_send_to_it_and_no_others_and_refuses_plain_http() {
    let template = Template::read();
    let policies = template.resources("AWS::SQS::QueuePolicy");
    let mut admitting = BTreeSet::new();
    for id in policies.keys() {
        let policy = &template.resource(id)["Properties"];
        let [queue] = policy["Queues"].as_array().unwrap().as_slice() else { panic!("{id}: one queue each") };
        let queue = logical_id(queue);
        admitting.insert(queue);
        let [allow, deny] = policy["PolicyDocument"]["Statement"].as_array().unwrap().as_slice() else {
            panic!("{id}: expected two statements")
        };
        let arn = json!({ "Fn::GetAtt": [queue, "Arn"] });
        assert_eq!([&allow["Resource"], &deny["Resource"]], [&arn, &arn], "{id}");
        assert_eq!(
            (&allow["Effect"], &allow["Action"]),
            (&json!("Allow"), &json!("sqs:SendMessage")),
            "{id}"
        );
        assert_eq!(allow["Principal"], json!({ "Service": "events.amazonaws.com" }), "{id}");
        let sources = allow["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().unwrap();
        let admitted: BTreeSet<&str> = sources.iter().map(logical_id).collect();
        assert_eq!(admitted, senders(&template, queue), "{id}");
        assert_eq!((&deny["Effect"], &deny["Action"]), (&json!("Deny"), &json!("sqs:*")), "{id}");
        assert_eq!(deny["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }), "{id}");
    }
    assert_eq!(admitting, ["NormalQueue", "WebhooksQueue", "RulesDeadLetters"].into());
}

#[test]
fn with_another_prefix_they_send_to_the_queues_of_that_prefix() {
    let own = template::Template::own().unwrap();
    let names = QueueNames { prefix: "shop-".to_owned() };
    let rules = Rule::of(&own, &names).unwrap();
    assert!(rules.iter().all(|rule| rule.name.starts_with("shop-")));
    assert_eq!(rules.len(), EXPECTED.len());
    assert_eq!(Settings::default().queues.prefix, "lambda-jobs-");
}
