//! Lambda as an event source mapping sees it: a function that always has an environment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::environment::{Environment, Function, Interrupted};

/// A function with room for one environment at a time. It starts with the first invocation, and again
/// whenever the last process has ended.
pub struct Lambda {
    function: Function,
    environment: AsyncMutex<Option<Environment>>,
    kill: Notify,
    deaths: Mutex<Vec<Death>>,
}

/// The end of a process that had an invocation to answer.
#[derive(Clone, Debug)]
pub struct Death {
    /// Why.
    pub why: Interrupted,
    /// Everything that it wrote.
    pub log: Vec<String>,
}

impl Lambda {
    /// A function that nothing has invoked yet.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self { function, environment: AsyncMutex::default(), kill: Notify::new(), deaths: Mutex::default() }
    }

    /// Makes an invocation, after any that runs. The INIT of a new process is no part of its time.
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
                // Its status is in `why`; what is waited for are its last lines.
                let _ = environment.ended().await;
                self.deaths_mut().push(Death { why: why.clone(), log: environment.log() });
            }
        }
        outcome.map_err(|why| why.to_string())
    }

    /// Kills the process in the middle of the invocation that runs.
    pub fn kill(&self) {
        self.kill.notify_waiters();
    }

    /// The processes that ended over an invocation.
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
