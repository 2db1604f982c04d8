//! Creates the tables for the local stack and for tests. On AWS the template creates them.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use lambda_jobs_core::ports::ServiceError;

use super::requests::Dynamo;

/// The sparse index of jobs that need attention, and of unfinished deliveries.
pub(super) const ATTENTION_INDEX: &str = "attention";
/// The sparse index of schedules with a next occurrence.
pub(super) const DUE_INDEX: &str = "due";
/// The attributes in the index of the data table besides its keys: all that a sweep needs.
const INCLUDED: [&str; 3] = ["id", "attemptCount", "maxAttempts"];
/// How often to check whether a new table is active, and how long to wait in between: 30 s in all.
const LOOKS: u32 = 150;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Creates the missing tables, with on-demand billing, and waits until they are active. Does not change existing ones.
pub async fn create_tables(dynamo: &Dynamo) -> Result<(), ServiceError> {
    let tables = dynamo.tables();
    let create = || dynamo.client().create_table().billing_mode(BillingMode::PayPerRequest);
    let all = || Projection::builder().projection_type(ProjectionType::All).build();
    let some = Projection::builder().projection_type(ProjectionType::Include);
    let some = some.set_non_key_attributes(Some(INCLUDED.map(str::to_owned).into())).build();
    let indexes = [
        (&tables.jobs, ATTENTION_INDEX, all()),
        (&tables.state, DUE_INDEX, all()),
        (&tables.data, ATTENTION_INDEX, some),
    ];
    for (table, index, projection) in indexes {
        let call = with_index(create(), index, projection);
        let call = call.map_err(|error| ServiceError::new(format!("describe index {index}"), error))?;
        create_table(dynamo, table, call).await?;
    }
    Ok(())
}

async fn create_table(
    dynamo: &Dynamo,
    table: &str,
    call: CreateTableFluentBuilder,
) -> Result<(), ServiceError> {
    let action = || format!("create table {table}");
    let call =
        with_key(call.table_name(table), "pk", "sk").map_err(|error| ServiceError::new(action(), error))?;
    match call.send().await {
        Ok(_) => {}
        Err(SdkError::ServiceError(service)) if service.err().is_resource_in_use_exception() => return Ok(()),
        Err(error) => return Err(dynamo.error("create", table, error)),
    }
    wait_until_active(dynamo, table).await?;
    let expiry = TimeToLiveSpecification::builder().attribute_name("expiresAt").enabled(true).build();
    let expiry = expiry.map_err(|error| ServiceError::new(action(), error.to_string()))?;
    let call = dynamo.client().update_time_to_live().table_name(table).time_to_live_specification(expiry);
    call.send().await.map(|_| ()).map_err(|error| dynamo.error("set the expiry of", table, error))
}

async fn wait_until_active(dynamo: &Dynamo, table: &str) -> Result<(), ServiceError> {
    for _ in 0..LOOKS {
        let described = dynamo.client().describe_table().table_name(table).send().await;
        let described = described.map_err(|error| dynamo.error("look at", table, error))?;
        let status = described.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(ServiceError::new(format!("create table {table}"), "it is not active after 30 s"))
}

fn with_key(
    call: CreateTableFluentBuilder,
    hash: &str,
    range: &str,
) -> Result<CreateTableFluentBuilder, String> {
    Ok(call
        .attribute_definitions(string(hash)?)
        .attribute_definitions(string(range)?)
        .key_schema(part(hash, KeyType::Hash)?)
        .key_schema(part(range, KeyType::Range)?))
}

/// Adds a sparse index. Its hash key has the index's name; its range key has that name and `At`.
fn with_index(
    call: CreateTableFluentBuilder,
    name: &str,
    projection: Projection,
) -> Result<CreateTableFluentBuilder, String> {
    let range = format!("{name}At");
    let index = GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(part(name, KeyType::Hash)?)
        .key_schema(part(&range, KeyType::Range)?)
        .projection(projection)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(call
        .attribute_definitions(string(name)?)
        .attribute_definitions(string(&range)?)
        .global_secondary_indexes(index))
}

fn string(name: &str) -> Result<AttributeDefinition, String> {
    let definition =
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    definition.map_err(|error| error.to_string())
}

fn part(name: &str, key_type: KeyType) -> Result<KeySchemaElement, String> {
    let element = KeySchemaElement::builder().attribute_name(name).key_type(key_type).build();
    element.map_err(|error| error.to_string())
}
