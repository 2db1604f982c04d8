//! What the worker sends to a dead-letter queue.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName as System, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue,
};
use lambda_jobs_core::sqs::queue_arn;

use crate::process::Running;

async fn queue(client: &Client, name: &str) -> String {
    client.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

async fn receive(client: &Client, url: &str) -> Message {
    let receive =
        client.receive_message().queue_url(url).wait_time_seconds(20).message_attribute_names("All");
    let received = receive.message_system_attribute_names(System::All).send().await.unwrap();
    received.messages.unwrap().remove(0)
}

#[tokio::test]
async fn a_dead_letter_keeps_what_its_sender_put_beside_the_body_and_can_be_moved() {
    let stack = Running::start(&["--no-demo"]);
    let sdk = lambda_jobs_infra::aws::local_config(&format!("http://127.0.0.1:{}", stack.port));
    let client = Client::new(&sdk);
    let low = queue(&client, "lambda-jobs-low").await;
    let text = MessageAttributeValue::builder().data_type("String.label").string_value("x").build().unwrap();
    let bytes =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([1, 2])).build().unwrap();
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2-3").build();
    let send = client.send_message().queue_url(&low).message_body(r#"{"name":"no-such-job"}"#);
    let send = send.message_attributes("text", text.clone()).message_attributes("bytes", bytes.clone());
    let send =
        send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace.unwrap());
    let id = send.send().await.unwrap().message_id.unwrap();

    let dead = queue(&client, "lambda-jobs-low-dlq").await;
    let letter = receive(&client, &dead).await;
    let attributes = letter.message_attributes.unwrap();
    assert_eq!((&attributes["text"], &attributes["bytes"]), (&text, &bytes));
    assert_eq!(attributes["originalMessageId"].string_value(), Some(id.as_str()));
    assert_eq!(attributes["originalQueue"].string_value(), Some("lambda-jobs-low"));
    assert!(attributes["reason"].string_value().unwrap().contains("no-such-job"));
    assert_eq!(letter.attributes.unwrap()[&System::AwsTraceHeader], "Root=1-2-3");

    // To its queue by name; SQS does not know where a letter came from that was sent.
    let (source, other) = (queue_arn("lambda-jobs-low-dlq"), queue_arn("lambda-jobs-low"));
    let visible = client.change_message_visibility().queue_url(&dead).visibility_timeout(0);
    visible.set_receipt_handle(letter.receipt_handle).send().await.unwrap();
    client.start_message_move_task().source_arn(&source).send().await.unwrap();
    let tasks = client.list_message_move_tasks().source_arn(&source).send().await.unwrap();
    assert_eq!(tasks.results()[0].failure_reason(), Some("CouldNotDetermineMessageSource"));
    client.start_message_move_task().source_arn(&source).destination_arn(other).send().await.unwrap();
    let tasks = client.list_message_move_tasks().source_arn(&source).send().await.unwrap();
    assert_eq!(
        (tasks.results()[0].status(), tasks.results()[0].approximate_number_of_messages_moved()),
        (Some("COMPLETED"), 1)
    );
    let again = receive(&client, &dead).await;
    assert_eq!(again.message_attributes.unwrap()["text"], text);
}
