//! The queues: they lose no message, and the worker finds them.

use std::collections::BTreeSet;

use lambda_jobs_core::{JobConfig, Queue};
use lambda_jobs_infra::Settings;
use serde_json::{Value, json};

use super::read::{Template, logical_id, plain};

const FOURTEEN_DAYS: u64 = 14 * 24 * 60 * 60;

fn named(template: &Template, name: &str) -> (String, Value) {
    let queues = template.resources("AWS::SQS::Queue");
    let found = queues.into_iter().find(|(_, properties)| properties["QueueName"] == name);
    let (id, properties) = found.unwrap_or_else(|| panic!("template.yaml has no queue {name}"));
    (id.to_owned(), properties)
}

#[test]
fn there_is_a_queue_and_a_dead_letter_queue_for_every_name_that_the_worker_knows() {
    let template = Template::read();
    let names = Settings::default().queues;
    let mut expected: BTreeSet<String> =
        Queue::ALL.into_iter().flat_map(|queue| [names.queue(queue), names.dead_letters(queue)]).collect();
    // Messages that rules can't send. No worker reads this queue.
    expected.insert("lambda-jobs-rules-dlq".to_owned());
    let queues = template.resources("AWS::SQS::Queue");
    let found: BTreeSet<String> = queues.values().map(|properties| plain(&properties["QueueName"])).collect();
    assert_eq!(found, expected);
}

#[test]
fn messages_and_dead_letters_are_encrypted_and_kept_for_14_days() {
    for (id, properties) in Template::read().resources("AWS::SQS::Queue") {
        assert_eq!(properties["MessageRetentionPeriod"], FOURTEEN_DAYS, "{id}");
        assert_eq!(properties["SqsManagedSseEnabled"], true, "{id}");
    }
}

#[test]
fn each_queue_has_its_own_dead_letter_queue_and_is_the_only_one_to_use_it() {
    let template = Template::read();
    let names = Settings::default().queues;
    for queue in Queue::ALL {
        let (id, properties) = named(&template, &names.queue(queue));
        let (letters_id, letters) = named(&template, &names.dead_letters(queue));
        let redrive = &properties["RedrivePolicy"];
        assert_eq!(logical_id(&redrive["deadLetterTargetArn"]), letters_id, "{id}");
        assert_eq!(redrive["maxReceiveCount"], JobConfig::MAX_RECEIVE_COUNT, "{id}");
        let own = format!(
            "arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{}",
            names.queue(queue)
        );
        let allowed = json!({ "redrivePermission": "byQueue", "sourceQueueArns": [own] });
        assert_eq!(letters["RedriveAllowPolicy"], allowed, "{letters_id}");
        assert!(letters.get("RedrivePolicy").is_none(), "{letters_id}: dead letters go nowhere else");
    }
}

/// Six times the function's timeout, as Lambda recommends, plus the batch window, which also hides messages.
#[test]
fn messages_stay_hidden_long_enough_for_every_timeout_and_batch_window_that_can_be_chosen() {
    let template = Template::read();
    let seconds = |parameter: &str| -> Vec<u64> {
        let allowed = template.parameter(parameter)["AllowedValues"].as_array().unwrap();
        allowed.iter().map(|value| value.as_u64().unwrap()).collect()
    };
    let hidden = &template.section("Mappings")["VisibilityTimeouts"];
    for timeout in seconds("FunctionTimeout") {
        for window in seconds("BatchWindow") {
            let found = &hidden[timeout.to_string()][window.to_string()];
            assert_eq!(*found, 6 * timeout + window, "FunctionTimeout {timeout}, BatchWindow {window}");
        }
    }
    let looked_up = json!({ "Fn::FindInMap": ["VisibilityTimeouts", { "Ref": "FunctionTimeout" }, { "Ref": "BatchWindow" }] });
    for queue in Queue::ALL {
        let (id, _) = named(&template, &Settings::default().queues.queue(queue));
        assert_eq!(template.resource(&id)["Properties"]["VisibilityTimeout"], looked_up, "{id}");
    }
}
