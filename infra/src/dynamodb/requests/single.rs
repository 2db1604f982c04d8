//! Single writes: `PutItem`, `UpdateItem` and `DeleteItem` instead of `BatchExecuteStatement`.
//!
//! AWS, the local stack and every endpoint of `docs/endpoints.md` have `BatchExecuteStatement`. This fallback is for
//! endpoints without PartiQL, such as Scylla's Alternator and dynalite. Neither was tried; the conformance suites run
//! against the fallback itself (`infra/tests/it/fallback.rs`).

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::attempt::Attempt;
use super::client::Dynamo;
use super::render::Expressions;
use super::write::{Change, Condition, Name, Update, Value, Write};
use crate::dynamodb::key;

/// Tries one write.
pub(in crate::dynamodb) async fn send(dynamo: &Dynamo, doing: &str, write: &Write) -> Attempt {
    match &write.change {
        Change::Insert(item) => insert(dynamo, doing, write, item).await,
        Change::Update(change) => update(dynamo, doing, write, change).await,
        Change::Delete(conditions) => delete(dynamo, doing, write, conditions).await,
    }
}

async fn insert(dynamo: &Dynamo, doing: &str, write: &Write, attributes: &[(Name, Value)]) -> Attempt {
    let mut item = key(&write.pk, write.sk.as_ref());
    item.extend(attributes.iter().map(|(name, value)| (name.as_ref().to_owned(), value.attribute())));
    let call = dynamo
        .once()
        .put_item()
        .table_name(&write.table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    match call.send().await {
        Ok(_) => Attempt::written(None),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            match service.into_err() {
                PutItemError::ConditionalCheckFailedException(refused) => Attempt::refused(refused.item),
                _ => Attempt::refused(None),
            }
        }
        Err(error) => Attempt::failed(dynamo, doing, write, &dynamo.failure(&error)),
    }
}

async fn update(dynamo: &Dynamo, doing: &str, write: &Write, update: &Update) -> Attempt {
    let expressions = Expressions::of(update);
    let returning = if update.returning { ReturnValue::AllNew } else { ReturnValue::None };
    let call = dynamo
        .once()
        .update_item()
        .table_name(&write.table)
        .set_key(Some(key(&write.pk, write.sk.as_ref())))
        .update_expression(expressions.update)
        .condition_expression(expressions.condition)
        .set_expression_attribute_names(Some(expressions.names))
        .set_expression_attribute_values(Some(expressions.values).filter(|values| !values.is_empty()))
        .return_values(returning)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    match call.send().await {
        Ok(output) => Attempt::written(output.attributes),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            match service.into_err() {
                UpdateItemError::ConditionalCheckFailedException(refused) => Attempt::refused(refused.item),
                _ => Attempt::refused(None),
            }
        }
        Err(error) => Attempt::failed(dynamo, doing, write, &dynamo.failure(&error)),
    }
}

async fn delete(dynamo: &Dynamo, doing: &str, write: &Write, conditions: &[Condition]) -> Attempt {
    let expressions = Expressions::of_removal(conditions);
    let call = dynamo
        .once()
        .delete_item()
        .table_name(&write.table)
        .set_key(Some(key(&write.pk, write.sk.as_ref())))
        .set_condition_expression(Some(expressions.condition).filter(|condition| !condition.is_empty()))
        .set_expression_attribute_names(Some(expressions.names).filter(|names| !names.is_empty()))
        .set_expression_attribute_values(Some(expressions.values).filter(|values| !values.is_empty()));
    match call.send().await {
        Ok(_) => Attempt::written(None),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            Attempt::refused(None)
        }
        Err(error) => Attempt::failed(dynamo, doing, write, &dynamo.failure(&error)),
    }
}
