//! The dispatcher: invoked each minute, one at a time, with the worker's settings.

use lambda_jobs_core::schedule::eventbridge::RuleExpression;
use serde_json::{Value, json};

use super::read::{Template, logical_id};

fn properties(template: &Template) -> &Value {
    &template.resource("Dispatcher")["Properties"]
}

#[test]
fn it_is_woken_each_minute_by_a_rule_that_alone_may_invoke_it() {
    let template = Template::read();
    let rule = template.properties("DispatcherRule");
    let expression = RuleExpression::parse(rule["ScheduleExpression"].as_str().unwrap()).unwrap();
    assert_eq!(expression, RuleExpression::parse("rate(1 minute)").unwrap());
    assert_eq!(rule["State"], "ENABLED");
    let [target] = rule["Targets"].as_array().unwrap().as_slice() else { panic!("one target") };
    assert_eq!(logical_id(&target["Arn"]), "Dispatcher");
    let [permission] = &template.resources("AWS::Lambda::Permission").into_keys().collect::<Vec<_>>()[..]
    else {
        panic!("one permission")
    };
    let permission = &template.resource(permission)["Properties"];
    assert_eq!(logical_id(&permission["FunctionName"]), "Dispatcher");
    assert_eq!(permission["Action"], "lambda:InvokeFunction");
    assert_eq!(permission["Principal"], "events.amazonaws.com");
    assert_eq!(logical_id(&permission["SourceArn"]), "DispatcherRule");
}

/// The next tick does what one misses. A late tick would only get in the way, and two at once do no harm: an account of
/// 10 concurrent executions can't reserve one.
#[test]
fn it_never_runs_late_and_reserves_nothing_unless_it_is_told_to() {
    let template = Template::read();
    let dispatcher = properties(&template);
    let reserved = json!({ "Fn::If": ["ReservesDispatcher", 1, { "Ref": "AWS::NoValue" }] });
    assert_eq!(dispatcher["ReservedConcurrentExecutions"], reserved);
    assert_eq!(template.parameter("ReserveDispatcher")["Default"], "false");
    let condition = json!({ "Fn::Equals": [{ "Ref": "ReserveDispatcher" }, "true"] });
    assert_eq!(template.section("Conditions")["ReservesDispatcher"], condition);
    let once = json!({ "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60 });
    assert_eq!(dispatcher["EventInvokeConfig"], once);
    assert_eq!(template.properties("DispatcherRule")["Targets"][0]["RetryPolicy"], once);
    assert!(dispatcher["Timeout"].as_u64().unwrap() < 60, "it ends before the next one begins");
}

#[test]
fn its_memory_is_a_parameter() {
    let template = Template::read();
    assert_eq!(properties(&template)["MemorySize"], json!({ "Ref": "DispatcherMemory" }));
}

#[test]
fn it_has_the_settings_of_the_worker_and_knows_its_name() {
    let template = Template::read();
    let variables = |of: &Value| of["Environment"]["Variables"].as_object().unwrap().clone();
    let mut expected = variables(&template.resource("Worker")["Properties"]);
    expected.insert("LAMBDA_JOBS_WORKER_FUNCTION".to_owned(), json!({ "Ref": "Worker" }));
    assert_eq!(variables(properties(&template)), expected);
}

#[test]
fn its_log_lines_are_not_kept_for_ever() {
    let template = Template::read();
    let logs = logical_id(&properties(&template)["LoggingConfig"]["LogGroup"]);
    assert_eq!(template.properties(logs)["LogGroupName"], "/aws/lambda/lambda-jobs-dispatcher");
    assert_eq!(
        template.resource(logs)["Properties"]["RetentionInDays"],
        json!({ "Ref": "LogRetentionDays" })
    );
}
