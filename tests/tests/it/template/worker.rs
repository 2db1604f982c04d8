//! The worker: every queue feeds it, and its settings agree with the rest of the template.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_infra::Settings;
use serde_json::{Value, json};

use super::read::{Template, logical_id, plain};

fn variables(template: &Template) -> BTreeMap<String, Value> {
    let worker = &template.resource("Worker")["Properties"];
    let variables = worker["Environment"]["Variables"].as_object().unwrap();
    variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn its_parameters_default_to_what_the_settings_default_to() {
    let template = Template::read();
    let variables = variables(&template);
    let asked = RefCell::new(BTreeSet::new());
    let settings = Settings::read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        variables.get(name).map(|value| plain(&template.resolved(value)))
    });
    assert_eq!(settings, Ok(Settings::default()));
    let unknown: Vec<_> = variables.keys().filter(|name| !asked.borrow().contains(*name)).collect();
    assert!(unknown.is_empty(), "no setting reads {unknown:?}");
}

#[test]
fn every_value_that_a_parameter_allows_is_one_that_the_worker_takes() {
    let template = Template::read();
    for (variable, value) in variables(&template) {
        let Some(name) = value.get("Ref").and_then(Value::as_str) else { continue };
        let Some(parameter) = template.section("Parameters").get(name) else { continue };
        let allowed = parameter["AllowedValues"].as_array().cloned().unwrap_or_default();
        let limits = ["MinValue", "MaxValue"].iter().filter_map(|limit| parameter.get(*limit).cloned());
        let numbers = parameter["Type"] == "Number";
        let tried: Vec<Value> = allowed.into_iter().chain(limits).collect();
        assert!(!numbers || tried.len() >= 2, "{name} has no limits");
        for value in tried {
            // A job's timeout depends on the function's. This leaves room for either.
            let read = Settings::read(|asked| match asked {
                asked if asked == variable => Some(plain(&value)),
                "LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS" => Some("900".to_owned()),
                "LAMBDA_JOBS_TIMEOUT_MS" => Some("1".to_owned()),
                _ => None,
            });
            assert!(read.is_ok(), "{name} = {value}: {}", read.unwrap_err());
        }
    }
}

#[test]
fn every_queue_feeds_it_batch_by_batch_and_gets_back_what_failed() {
    let template = Template::read();
    let sources = template.resource("Worker")["Properties"]["Events"].as_object().unwrap();
    let queues = template.resources("AWS::SQS::Queue");
    let expected: BTreeSet<&str> = queues
        .iter()
        .filter(|(_, properties)| properties.get("RedrivePolicy").is_some())
        .map(|(id, _)| *id)
        .collect();
    let fed: Vec<&str> = sources.values().map(|source| logical_id(&source["Properties"]["Queue"])).collect();
    assert_eq!(fed.len(), expected.len(), "each queue has one mapping: {fed:?}");
    assert_eq!(fed.into_iter().collect::<BTreeSet<_>>(), expected);
    for (name, source) in sources {
        let properties = &source["Properties"];
        assert_eq!(properties["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{name}");
        assert_eq!(properties["BatchSize"], json!({ "Ref": "BatchSize" }), "{name}");
        assert_eq!(properties["MaximumBatchingWindowInSeconds"], json!({ "Ref": "BatchWindow" }), "{name}");
        let [concurrency, pollers] =
            ["ScalingConfig", "ProvisionedPollerConfig"].map(|of| &properties[of]["Fn::If"]);
        let nothing = json!({ "Ref": "AWS::NoValue" });
        // Lambda refuses a mapping with both.
        assert_eq!([&concurrency[0], &pollers[0]], ["ProvisionsPollers"; 2], "{name}");
        assert_eq!([&concurrency[1], &pollers[2]], [&nothing; 2], "{name}");
        let most = json!({ "MaximumConcurrency": { "Ref": format!("{name}Concurrency") } });
        assert_eq!(concurrency[2], most, "{name}");
        let pool = json!({ "MinimumPollers": { "Ref": "MinimumPollers" }, "MaximumPollers": { "Ref": "MaximumPollers" } });
        assert_eq!(pollers[1], pool, "{name}");
    }
    assert_eq!(template.parameter("MinimumPollers")["Default"], "0", "pollers cost extra");
    let provisions = json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": "MinimumPollers" }, "0"] }] });
    assert_eq!(template.section("Conditions")["ProvisionsPollers"], provisions);
}

#[test]
fn it_ends_when_its_settings_say_and_logs_where_lines_are_not_kept_for_ever() {
    let template = Template::read();
    let timeout = json!({ "Ref": "FunctionTimeout" });
    assert_eq!(template.section("Globals")["Function"]["Timeout"], timeout);
    assert_eq!(variables(&template)["LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS"], timeout);
    let worker = &template.resource("Worker")["Properties"];
    let logs = logical_id(&worker["LoggingConfig"]["LogGroup"]);
    assert_eq!(
        template.resource(logs)["Properties"]["RetentionInDays"],
        json!({ "Ref": "LogRetentionDays" })
    );
    assert_eq!(worker["MemorySize"], json!({ "Ref": "WorkerMemory" }));
    assert_eq!(template.section("Globals")["Function"]["Architectures"], json!([{ "Ref": "Architecture" }]));
}

#[test]
fn the_first_job_that_the_outputs_show_is_a_message_that_it_can_read() {
    let template = Template::read();
    let shown = plain(&template.resolved(&template.section("Outputs")["SendTheFirstJob"]["Value"]));
    let body = shown.split('\'').nth(1).unwrap();
    JobMessage::decode(body, "m", DateTime::UNIX_EPOCH).unwrap();
}

#[test]
fn it_is_a_binary_of_the_project_and_built_where_the_page_says() {
    let template = Template::read();
    let metadata = &template.resource("Worker")["Metadata"];
    assert_eq!(metadata["BuildMethod"], "rust-cargolambda");
    let binary = plain(&metadata["BuildProperties"]["Binary"]);
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    assert!(project.join(format!("functions/src/bin/{binary}.rs")).exists(), "there is no binary {binary}");
    // In the folder of its package a binary has that package's features, and not those of the whole workspace. The sed
    // command in docs/deploy.md finds a binary's `CodeUri` in the lines after its name.
    let text = std::fs::read_to_string(project.join("template.yaml")).unwrap();
    for binary in [binary.as_str(), "dispatcher"] {
        let mut below = text.lines().skip_while(|line| !line.contains(&format!("Binary: {binary}")));
        let code = below.find(|line| line.contains("CodeUri"));
        assert_eq!(code.map(str::trim), Some("CodeUri: functions"), "{binary}");
    }
}
