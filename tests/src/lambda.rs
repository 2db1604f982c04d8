//! Lambda as an event source mapping sees it: a function with an environment at any time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::environment::{Environment, Function, Interrupted};

/// A function with one environment at a time. The environment starts with the first invocation, and again whenever the
/// last process has ended.
pub struct Lambda {
    function: Function,
    environment: AsyncMutex<Option<Environment>>,
    kill: Notify,
    deaths: Mutex<Vec<Death>>,
}

/// A process that ended during an invocation.
#[derive(Clone, Debug)]
pub struct Death {
    /// The cause.
    pub why: Interrupted,
    /// Everything that it wrote.
    pub log: Vec<String>,
}

impl Lambda {
    /// A function that was never invoked.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self { function, environment: AsyncMutex::default(), kill: Notify::new(), deaths: Mutex::default() }
    }

    /// Invokes the function, after any running invocation. The INIT of a new process does not count towards its time.
    pub async fn invoke(&self, event: Value, deadline: DateTime<Utc>) -> Result<Value, String> {
        let asked = Utc::now();
        let mut slot = self.environment.lock().await;
        let mut environment = match slot.take() {
            Some(environment) => environment,
            None => self.start().await?,
        };
        let deadline = deadline + (Utc::now() - asked);
        let outcome = tokio::select! {
            outcome = environment.invoke(&event, deadline) => outcome,
            () = self.kill.notified() => {
                environment.kill().await;
                Err(Interrupted::Exited(environment.ended().await.unwrap_or_default()))
            }
        };
        match &outcome {
            Ok(_) | Err(Interrupted::Failed(_)) => *slot = Some(environment),
            Err(why) => {
                // Its status is in `why`. This waits for its last lines.
                let _ = environment.ended().await;
                self.deaths_mut().push(Death { why: why.clone(), log: environment.log() });
            }
        }
        outcome.map_err(|why| why.to_string())
    }

    /// Kills the process during the running invocation.
    pub fn kill(&self) {
        self.kill.notify_waiters();
    }

    /// The processes that ended during an invocation.
    #[must_use]
    pub fn deaths(&self) -> Vec<Death> {
        self.deaths_mut().clone()
    }

    fn deaths_mut(&self) -> MutexGuard<'_, Vec<Death>> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self) -> Result<Environment, String> {
        let mut environment = self.function.start().await.map_err(|error| error.to_string())?;
        environment.ready().await.map_err(|why| format!("INIT: {why}; it wrote {:?}", environment.log()))?;
        Ok(environment)
    }
}
