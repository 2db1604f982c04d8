//! The embedded DynamoDB, in a process of its own.

use std::net::Ipv4Addr;
use std::process::Stdio;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use lambda_jobs_infra::{Adapters, Settings};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::process::Cores;
use crate::Failure;

/// The table of the workers by hand.
pub(super) const TABLE: &str = "jobs";

/// Serves an empty store with all tables until the process ends. Prints its URL.
pub(crate) async fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory()?));
    let sdk = lambda_jobs_infra::aws::local_config(&url);
    lambda_jobs_infra::create_tables(Adapters::new(&sdk, &Settings::local()).dynamo()).await?;
    create_table(&sdk).await?;
    println!("{url}");
    Ok(server.await?)
}

/// Creates the table of the workers by hand.
pub(super) async fn create_table(sdk: &SdkConfig) -> Result<(), Failure> {
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let call = Client::new(sdk).create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    call.attribute_definitions(id.build()?).key_schema(key.build()?).send().await?;
    Ok(())
}

/// A running store.
pub(super) struct Store {
    process: Child,
    url: String,
}

impl Store {
    /// Starts this program as a store.
    pub(super) async fn start(cores: Option<Cores>) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let mut command = match cores {
            Some(cores) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", &cores.store.to_string()]).arg(own);
                pinned
            }
            None => Command::new(own),
        };
        let mut process = command.arg("engine-store").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = process.stdout.take().ok_or("the store has no output")?;
        let url = BufReader::new(output).lines().next_line().await?.ok_or("the store does not start")?;
        Ok(Self { process, url })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub(super) fn id(&self) -> Result<u32, Failure> {
        self.process.id().ok_or_else(|| "the store has ended".into())
    }
}
