//! The smallest function with a DynamoDB client, as the baseline for a worker's cold start.

use std::sync::Arc;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let client = Arc::new(Client::new(&config));
    let look_up = async |_: LambdaEvent<Value>| {
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let call = client.get_item().table_name("lambda-jobs-state").key("pk", key("bare"));
        call.key("sk", key("bare")).send().await.map_err(Box::new)?;
        Ok::<Value, Error>(json!({ "batchItemFailures": [] }))
    };
    lambda_runtime::run(service_fn(look_up)).await
}
