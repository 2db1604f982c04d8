//! The conformance suites of every port, through the SDK adapters, against the AWS endpoints that the environment
//! names. `docs/endpoints.md` lists which pass.
//!
//! Even AWS itself must be named, so that no run creates resources in an account by accident. Every suite creates its
//! own tables or queues under new names, and deletes them even if it fails.

mod queue;
mod schedule;
mod services;
mod stores;
mod suite;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use tokio::runtime::Runtime;

use services::{Service, Services};
use suite::Suite;

const SUITES: [Suite; 11] = [
    Suite { name: "job_queue and dead_letters", needs: &[Service::Sqs], run: queue::run },
    Suite { name: "job_store", needs: &[Service::DynamoDb], run: stores::job_store },
    Suite { name: "job_index", needs: &[Service::DynamoDb], run: stores::job_index },
    Suite { name: "schedules", needs: &[Service::DynamoDb], run: stores::schedules },
    Suite { name: "batch_nodes", needs: &[Service::DynamoDb], run: stores::batch_nodes },
    Suite { name: "running_jobs", needs: &[Service::DynamoDb], run: stores::running_jobs },
    Suite { name: "job_pruner", needs: &[Service::DynamoDb], run: stores::job_pruner },
    Suite { name: "unique_keys", needs: &[Service::DynamoDb], run: stores::unique_keys },
    Suite { name: "versioned", needs: &[Service::DynamoDb], run: stores::versioned },
    Suite { name: "webhooks", needs: &[Service::DynamoDb], run: stores::webhooks },
    Suite { name: "schedule", needs: &[Service::Sqs, Service::EventBridge], run: schedule::run },
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let services = Services::read(|variable| std::env::var(variable).ok());
    if !arguments.list {
        if services.is_empty() {
            eprintln!("{}", services::ADVICE);
            return ExitCode::FAILURE;
        }
        print!("{services}");
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("the async runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    // The suites mostly wait for the endpoint or for a delay.
    arguments.test_threads.get_or_insert(SUITES.len());
    let trials = SUITES.map(|suite| suite.trial(&services, &runtime)).into();
    libtest_mimic::run(&arguments, trials).exit_code()
}
