//! One Lambda environment: a function binary in its own process. It sees the variables that Lambda sets, and none of
//! this process's environment.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::runtime_api::{Answer, RuntimeApi};

/// The variables that Lambda sets, except the address of its Runtime API. The credentials are made up.
const VARIABLES: [(&str, &str); 14] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "lambda-jobs-worker"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/lambda-jobs-worker"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]0"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_SESSION_TOKEN", "local"),
    ("_HANDLER", "bootstrap"),
    ("TZ", ":UTC"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
];

/// The configuration of a function: its binary and its variables.
#[derive(Clone, Debug)]
pub struct Function {
    binary: PathBuf,
    variables: Vec<(String, String)>,
}

/// A process that serves invocations.
pub struct Environment {
    api: RuntimeApi,
    process: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Vec<JoinHandle<()>>,
}

/// A line that a process wrote.
struct Line {
    text: String,
    to: Output,
}

#[derive(Clone, Copy, PartialEq)]
enum Output {
    Standard,
    Error,
}

/// How much a process has written, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// To its standard output.
    pub output: usize,
    /// To its standard error.
    pub errors: usize,
}

/// Why an invocation has no response.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Interrupted {
    /// The function reported an error; its process lives on.
    #[error("the function reported an error: {0}")]
    Failed(Value),
    /// The process exited.
    #[error("the process ended: {0}")]
    Exited(ExitStatus),
    /// The deadline passed, and the process was killed, as Lambda kills it.
    #[error("the task timed out")]
    TimedOut,
}

impl Function {
    /// A function whose AWS calls go to `endpoint`.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, endpoint: &str) -> Self {
        Self { binary: binary.into(), variables: Vec::new() }.with("AWS_ENDPOINT_URL", endpoint)
    }

    /// The same function with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same function with permission to send webhooks to receivers on this machine.
    #[must_use]
    pub fn calling_this_machine(self) -> Self {
        self.with("LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK", "true").with("LAMBDA_JOBS_WEBHOOK_ALLOW_HTTP", "true")
    }

    /// Starts a process, which runs its INIT.
    pub async fn start(&self) -> std::io::Result<Environment> {
        let api = RuntimeApi::start().await?;
        let mut process = Command::new(&self.binary)
            .env_clear()
            .envs(VARIABLES)
            .env("AWS_LAMBDA_RUNTIME_API", api.authority())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = Arc::default();
        let mut readers = Vec::new();
        readers.extend(process.stdout.take().map(|stream| keep_lines(stream, Output::Standard, &lines)));
        readers.extend(process.stderr.take().map(|stream| keep_lines(stream, Output::Error, &lines)));
        Ok(Environment { api, process, lines, readers })
    }
}

impl Environment {
    /// Waits for the end of INIT: the process asks for its first invocation, or exits.
    pub async fn ready(&mut self) -> Result<(), Interrupted> {
        let gone = tokio::select! {
            () = self.api.asked() => return Ok(()),
            status = self.process.wait() => status,
        };
        Err(Interrupted::exited(gone))
    }

    /// Makes an invocation. A process that outlasts the deadline is killed.
    pub async fn invoke(&mut self, event: &Value, deadline: DateTime<Utc>) -> Result<Value, Interrupted> {
        let time = (deadline - Utc::now()).to_std().unwrap_or_default();
        let ended = tokio::select! {
            biased;
            answer = self.api.invoke(event, deadline) => return match answer {
                Answer::Returned(answer) => Ok(answer),
                Answer::Failed(error) => Err(Interrupted::Failed(error)),
            },
            status = self.process.wait() => Interrupted::exited(status),
            () = tokio::time::sleep(time) => Interrupted::TimedOut,
        };
        self.kill().await;
        Err(ended)
    }

    /// Kills the process with SIGKILL, as Lambda does without warning.
    pub async fn kill(&mut self) {
        // It may have exited already.
        let _ = self.process.kill().await;
    }

    /// Waits for the process to exit, and for its last lines.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.process.wait().await?;
        for reader in self.readers.drain(..) {
            // A reader ends at the end of its stream.
            let _ = reader.await;
        }
        Ok(status)
    }

    /// The lines that the process has written so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.lines().iter().map(|line| line.text.clone()).collect()
    }

    /// How much the process has written so far.
    #[must_use]
    pub fn written(&self) -> Written {
        let lines = self.lines();
        let bytes = |to: Output| {
            let lines = lines.iter().filter(|line| line.to == to);
            lines.map(|line| line.text.len() + "\n".len()).sum()
        };
        Written { output: bytes(Output::Standard), errors: bytes(Output::Error) }
    }

    /// The process's id, unless it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupted {
    fn exited(status: std::io::Result<ExitStatus>) -> Self {
        // The child is ours, so waiting for it can't fail.
        Self::Exited(status.unwrap_or_default())
    }
}

fn keep_lines(
    stream: impl AsyncRead + Send + Unpin + 'static,
    to: Output,
    lines: &Arc<Mutex<Vec<Line>>>,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    tokio::spawn(async move {
        let mut stream = BufReader::new(stream).lines();
        while let Ok(Some(text)) = stream.next_line().await {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(Line { text, to });
        }
    })
}
