//! Runs a suite, and cleans up after it.

use std::pin::Pin;
use std::sync::Arc;

use lambda_jobs_core::clock::Entropy;
use lambda_jobs_infra::{OsEntropy, SystemClock};
use lambda_jobs_testing::conformance::Fixture;
use libtest_mimic::{Completion, Failed, Trial};
use tokio::runtime::Runtime;

use crate::services::{Service, Services};

/// A failure, as text.
pub(crate) type Outcome = Result<(), String>;

/// A running suite.
pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A suite: its name and the services that it needs.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Service],
    pub(crate) run: fn() -> Running,
}

impl Suite {
    pub(crate) fn trial(self, services: &Services, runtime: &Arc<Runtime>) -> Trial {
        let lack = services.lack(self.needs);
        let runtime = Arc::clone(runtime);
        Trial::ignorable_test(self.name, move || match lack {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => runtime.block_on((self.run)()).map(|()| Completion::Completed).map_err(Failed::from),
        })
    }
}

/// The prefix of a suite's names. It is new in every run, and it marks the leftovers of a killed run.
pub(crate) fn fresh_prefix() -> String {
    format!("lambda-jobs-test-{:016x}-", OsEntropy.next_u64())
}

/// A fixture with the machine's clock.
pub(crate) fn fixture() -> Fixture {
    Fixture::new(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

/// Runs checks that panic on failure, and catches the panic so that cleanup can follow.
pub(crate) async fn caught(checks: impl Future<Output = ()> + Send + 'static) -> Outcome {
    let Err(error) = tokio::spawn(checks).await else { return Ok(()) };
    let payload = error.into_panic();
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Err(text.unwrap_or_else(|| "a check failed without a word".to_owned()))
}

/// Combines two outcomes, with both errors if there are two.
pub(crate) fn both(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Err(one), Err(other)) => Err(format!("{one}\n{other}")),
        (one, other) => one.and(other),
    }
}
