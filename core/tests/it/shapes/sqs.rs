//! Queues and messages, as the local stack keeps them.

use lambda_jobs_core::sqs::{Message, QueueAttributes};
use serde_json::json;

use super::Shapes;

#[test]
fn kept_messages_and_queues_are_as_ever() {
    let message = json!({
        "id": "m-1",
        "queue": "jobs",
        "sequence": 7,
        "sent_at": "2026-11-23T08:00:00Z",
        "visible_at": "2026-11-23T08:00:30.5Z",
        "receive_count": 2,
        "first_received_at": "2026-11-23T08:00:01Z",
        "last_received_at": "2026-11-23T08:00:02Z",
        "dead_letter_source": "arn:aws:sqs:us-east-1:000000000000:jobs",
        "content": {
            "body": "{}",
            "attributes": {
                "reason": { "data_type": "String", "value": { "Text": "no handler" } },
                "raw": { "data_type": "Binary", "value": { "Binary": [1, 2] } },
            },
            "group": "acme",
            "trace_header": "Root=1",
        },
    });
    let least = json!({
        "id": "m-1", "queue": "jobs", "sequence": 0, "sent_at": "2026-11-23T08:00:00Z",
        "visible_at": "2026-11-23T08:00:00Z", "receive_count": 0, "content": { "body": "{}" },
    });
    Shapes::of("sqs")
        .read::<Message>("message", message)
        .read::<Message>("message of the least", least)
        .both("attributes", &QueueAttributes::default())
        .check();
}
