//! One rule of the template.

use chrono::{DateTime, SecondsFormat, Utc};
use lambda_jobs_core::Queue;
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::Outgoing;
use lambda_jobs_core::schedule::eventbridge::RuleExpression;
use lambda_jobs_infra::QueueNames;
use serde_json::{Value, json};

use crate::local::template::{Template, TemplateError, logical_id};

/// A rule that sends a job's message to a queue.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub expression: RuleExpression,
    /// Whether it fires at all.
    pub enabled: bool,
    pub(super) queue: Queue,
    pub(super) input: String,
    /// The message group of its messages.
    pub(super) group: Option<String>,
}

impl Rule {
    /// The rules of a template whose target is a queue, sorted by name, as deployed with the prefix of these queues.
    pub fn of(template: &Template, queues: &QueueNames) -> Result<Vec<Self>, TemplateError> {
        let template = template.clone().with_parameter("Prefix", &queues.prefix);
        let mut rules = Vec::new();
        for (id, properties) in template.resources("AWS::Events::Rule") {
            let targets = properties["Targets"].as_array().map(Vec::as_slice).unwrap_or_default();
            for target in targets {
                if let Some(queue) = queue_of(&template, target) {
                    rules.push(Self::read(id, &properties, target, &queue, queues)?);
                }
            }
        }
        Ok(rules)
    }

    fn read(
        id: &str,
        properties: &Value,
        target: &Value,
        queue: &str,
        queues: &QueueNames,
    ) -> Result<Self, TemplateError> {
        let text = |of: &Value, field: &str| {
            let text = of[field].as_str().map(str::to_owned);
            text.ok_or_else(|| TemplateError::new(format!("{id}: {field}"), "text", &of[field]))
        };
        let expression = text(properties, "ScheduleExpression")?;
        let expression = RuleExpression::parse(&expression).map_err(|error| {
            TemplateError::new(
                format!("{id}: ScheduleExpression"),
                "an expression that EventBridge takes",
                error,
            )
        })?;
        let transformer = &target["InputTransformer"];
        // A firing knows its time alone.
        let paths = &transformer["InputPathsMap"];
        if *paths != json!({ "time": "$.time" }) {
            return Err(TemplateError::new(format!("{id}: InputPathsMap"), "time: $.time alone", paths));
        }
        let known = Queue::ALL.into_iter().find(|known| queues.queue(*known) == queue);
        let rule = Self {
            name: text(properties, "Name")?,
            expression,
            enabled: properties["State"] != "DISABLED",
            queue: known
                .ok_or_else(|| TemplateError::new(format!("{id}: Arn"), "a queue of the template", queue))?,
            input: text(transformer, "InputTemplate")?,
            group: target["SqsParameters"]["MessageGroupId"].as_str().map(str::to_owned),
        };
        let body = rule.body(DateTime::UNIX_EPOCH);
        JobMessage::decode(&body, "none", DateTime::UNIX_EPOCH).map_err(|error| {
            TemplateError::new(format!("{id}: InputTemplate"), "a message that workers can read", error)
        })?;
        Ok(rule)
    }

    /// The message of a firing at this instant.
    #[must_use]
    pub fn message(&self, at: DateTime<Utc>) -> Outgoing {
        let delay = std::time::Duration::ZERO;
        Outgoing { queue: self.queue, body: self.body(at), delay, group: self.group.clone() }
    }

    /// EventBridge puts quotes around a variable that stands by itself.
    fn body(&self, at: DateTime<Utc>) -> String {
        let time = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        self.input.replace("<time>", &Value::String(time).to_string())
    }
}

/// The name of the queue that is a target.
fn queue_of(template: &Template, target: &Value) -> Option<String> {
    let resource = template.resource(logical_id(&target["Arn"])?)?;
    let name = (resource["Type"] == "AWS::SQS::Queue").then(|| &resource["Properties"]["QueueName"])?;
    template.resolved(name).as_str().map(str::to_owned)
}
