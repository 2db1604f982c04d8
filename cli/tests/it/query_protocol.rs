//! SQS's older query protocol: forms in, XML out, the same queues behind it.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use lambda_jobs::local::sqs::{EndpointSettings, MAX_REQUEST_BYTES, SqsEndpoint};
use lambda_jobs_core::memory::PausedClock;

fn endpoint() -> SqsEndpoint {
    let clock = Arc::new(PausedClock::at(DateTime::UNIX_EPOCH + Duration::from_secs(1_000)));
    SqsEndpoint::open(EndpointSettings::forgetful(clock, 1, "http://127.0.0.1:4566")).unwrap()
}

/// The status and the body of an answer.
async fn ask(endpoint: &SqsEndpoint, path: &str, form: &str) -> (u16, String) {
    let response = endpoint.handle_query(path, form.as_bytes()).await;
    assert_eq!(response.headers()["content-type"], "text/xml");
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), MAX_REQUEST_BYTES).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The body of an answer that succeeded.
async fn xml(endpoint: &SqsEndpoint, form: &str) -> String {
    let (status, body) = ask(endpoint, "/000000000000/jobs", form).await;
    assert_eq!(status, 200, "{form}: {body}");
    body
}

/// The text of the first element of this name.
fn text<'a>(xml: &'a str, element: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{element}>")).unwrap_or_else(|| panic!("{element} in {xml}"));
    rest.split_once(&format!("</{element}>")).unwrap().0
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let endpoint = endpoint();
    let created = xml(
        &endpoint,
        "Action=CreateQueue&QueueName=jobs&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=5",
    )
    .await;
    assert_eq!(text(&created, "QueueUrl"), "http://127.0.0.1:4566/000000000000/jobs");

    let sent = xml(
        &endpoint,
        "Action=SendMessage&MessageBody=a%0D%0A%3Cb%3E&MessageAttribute.1.Name=timestamp\
         &MessageAttribute.1.Value.DataType=Number&MessageAttribute.1.Value.StringValue=1493147359900",
    )
    .await;
    // The digests are AWS's own for these values.
    assert_eq!(text(&sent, "MD5OfMessageAttributes"), "235c5c510d26fb653d073faed50ae77c");
    let received =
        xml(&endpoint, "Action=ReceiveMessage&AttributeName.1=All&MessageAttributeName.1=All").await;
    assert_eq!(text(&received, "MessageId"), text(&sent, "MessageId"));
    assert_eq!(text(&received, "Body"), "a&#xD;\n&lt;b&gt;");
    assert_eq!(text(&received, "MD5OfBody"), text(&sent, "MD5OfMessageBody"));
    assert!(received.contains("<Name>ApproximateReceiveCount</Name><Value>1</Value>"), "{received}");
    let attribute = "<Name>timestamp</Name><Value><DataType>Number</DataType><StringValue>1493147359900</StringValue></Value>";
    assert!(received.contains(attribute), "{received}");

    let handle = text(&received, "ReceiptHandle");
    let deleted = xml(&endpoint, &format!("Action=DeleteMessage&ReceiptHandle={handle}")).await;
    assert!(
        deleted.contains("<DeleteMessageResponse") && text(&deleted, "RequestId").len() == 36,
        "{deleted}"
    );
    let counts =
        xml(&endpoint, "Action=GetQueueAttributes&AttributeName.1=ApproximateNumberOfMessagesNotVisible")
            .await;
    assert!(
        counts.contains("<Name>ApproximateNumberOfMessagesNotVisible</Name><Value>0</Value>"),
        "{counts}"
    );
}

#[tokio::test]
async fn a_batch_answers_entry_by_entry() {
    let endpoint = endpoint();
    xml(&endpoint, "Action=CreateQueue&QueueName=jobs").await;
    let sent = xml(
        &endpoint,
        "Action=SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x\
         &SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=y\
         &SendMessageBatchRequestEntry.2.DelaySeconds=901",
    )
    .await;
    assert_eq!(text(text(&sent, "SendMessageBatchResultEntry"), "Id"), "a");
    let failed = text(&sent, "BatchResultErrorEntry");
    assert_eq!((text(failed, "Id"), text(failed, "SenderFault")), ("b", "true"));
    assert!(text(failed, "Message").contains("DelaySeconds must be"), "{failed}");
}

#[tokio::test]
async fn an_error_is_xml_with_its_code_and_its_words() {
    let endpoint = endpoint();
    for (form, code, words) in [
        ("Action=GetQueueUrl&QueueName=none", "AWS.SimpleQueueService.NonExistentQueue", "Queue: none"),
        ("Action=GetCallerIdentity", "InvalidAction", "The action GetCallerIdentity is not valid"),
        (
            "Action=SendMessage&DelaySeconds=soon",
            "SerializationException",
            "DelaySeconds: expected a whole number",
        ),
        ("Version=2012-11-05", "MissingParameter", "parameter Action"),
        (
            "Action=CreateQueue&QueueName=a.fifo",
            "AWS.SimpleQueueService.UnsupportedOperation",
            "create &quot;a&quot;, without .fifo",
        ),
    ] {
        let (status, body) = ask(&endpoint, "/", form).await;
        assert_eq!((status, text(&body, "Code"), text(&body, "Type")), (400, code, "Sender"), "{form}");
        assert!(text(&body, "Message").contains(words), "{form}: {body}");
    }
}
