//! Reads many items in few calls.

use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lambda_jobs_core::ports::ServiceError;

use super::client::Dynamo;
use crate::dynamodb::Item;

/// The most keys that one call takes.
pub(in crate::dynamodb) const MAX_KEYS: usize = 100;
/// How many calls of one request are under way at once.
const CONCURRENT_CALLS: usize = 8;
/// How often a read asks for keys that the service left out, in all.
const READS: u32 = 5;
/// The wait before the second read; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The attributes that a read returns.
#[derive(Clone, Copy)]
pub(in crate::dynamodb) struct Projection {
    pub(in crate::dynamodb) expression: &'static str,
    /// A name in it, and the attribute that it stands for.
    pub(in crate::dynamodb) name: (&'static str, &'static str),
}

/// What a read returns of which table, and what it is for.
#[derive(Clone, Copy)]
struct Read<'a> {
    doing: &'a str,
    table: &'a str,
    projection: Option<Projection>,
}

impl Dynamo {
    /// Reads items consistently, in no order. No key may come twice. `doing` names the action, for errors.
    pub(in crate::dynamodb) async fn read_all(
        &self,
        doing: &str,
        table: &str,
        keys: &[Item],
    ) -> Result<Vec<Item>, ServiceError> {
        self.read_keys(Read { doing, table, projection: None }, keys).await
    }

    /// Reads some attributes of items, likewise.
    pub(in crate::dynamodb) async fn read_projected(
        &self,
        doing: &str,
        table: &str,
        keys: &[Item],
        projection: Projection,
    ) -> Result<Vec<Item>, ServiceError> {
        self.read_keys(Read { doing, table, projection: Some(projection) }, keys).await
    }

    async fn read_keys(&self, read: Read<'_>, keys: &[Item]) -> Result<Vec<Item>, ServiceError> {
        let mut calls = Vec::new();
        for part in keys.chunks(MAX_KEYS) {
            calls.push(self.read_some(read, part).boxed());
        }
        let parts: Vec<Vec<Item>> =
            stream::iter(calls).buffer_unordered(CONCURRENT_CALLS).try_collect().await?;
        Ok(parts.into_iter().flatten().collect())
    }

    async fn read_some(&self, read: Read<'_>, keys: &[Item]) -> Result<Vec<Item>, ServiceError> {
        let (mut asked, mut found) = (keys.to_vec(), Vec::with_capacity(keys.len()));
        for tried in 0..READS {
            if tried > 0 {
                tokio::time::sleep(FIRST_WAIT * 2_u32.pow(tried - 1)).await;
            }
            asked = self.read_once(read, asked, &mut found).await?;
            if asked.is_empty() {
                return Ok(found);
            }
        }
        let Read { doing, table, .. } = read;
        Err(ServiceError::new(format!("{doing} table {table}"), "the service left items out of every answer")
            .throttled())
    }

    /// Reads with one call, and returns the keys that the service left out.
    async fn read_once(
        &self,
        Read { doing, table, projection }: Read<'_>,
        keys: Vec<Item>,
        found: &mut Vec<Item>,
    ) -> Result<Vec<Item>, ServiceError> {
        let mut wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        if let Some(Projection { expression, name: (short, name) }) = projection {
            wanted = wanted.projection_expression(expression).expression_attribute_names(short, name);
        }
        let wanted = wanted.build();
        let wanted =
            wanted.map_err(|error| ServiceError::new(format!("{doing} table {table}"), error.to_string()))?;
        let call = self.client().batch_get_item().request_items(table, wanted);
        let output = call.send().await.map_err(|error| self.error(doing, table, error))?;
        found.extend(output.responses.unwrap_or_default().into_values().flatten());
        Ok(output.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys).collect())
    }
}
