//! The command as a process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A stack in its own process, killed on drop.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: String,
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lambda-jobs"));
    for variable in ["AWS_ENDPOINT_URL", "AWS_PROFILE", "RUST_LOG", "LAMBDA_JOBS_RETRY_DELAY_MS"] {
        command.env_remove(variable);
    }
    command
}

/// A command that runs; killed on drop.
pub(crate) struct Spawned(pub(crate) Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the command.
pub(crate) fn spawn(args: &[&str]) -> Spawned {
    Spawned(command().args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Runs the command to its end, and returns its output.
pub(crate) fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

/// Runs the command to its end with a closed stdout.
pub(crate) fn run_unread(args: &[&str]) -> Output {
    let mut child = command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

impl Running {
    /// Starts `dev` on a free port, and waits until it says where it listens.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(&[], args)
    }

    /// The same, with these environment variables.
    pub(crate) fn start_with(variables: &[(&str, &str)], args: &[&str]) -> Self {
        let mut child = command()
            .envs(variables.iter().copied())
            .args(["dev", "--port", "0", "--retry-delay-ms", "1", "--no-rules"])
            .args(args)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("AWS_ENDPOINT_URL="))
            .expect("the stack says where it listens");
        let (_, rest) = address.split_once("127.0.0.1:").unwrap();
        let port = rest.split_whitespace().next().unwrap().to_owned();
        // Nothing else reads the pipe, and a full pipe would block the stack.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    /// Runs a command against this stack.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let local = format!("--local={}", self.port);
        run(&[args, &[&local]].concat())
    }

    /// Runs a command against this stack with these environment variables.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Output {
        let local = format!("--local={}", self.port);
        command().envs(variables.iter().copied()).args(args).arg(local).output().unwrap()
    }

    /// Runs a command against this stack with this standard input.
    pub(crate) fn run_fed(&self, input: &str, args: &[&str]) -> Output {
        let local = format!("--local={}", self.port);
        let mut child = command();
        child.args(args).arg(local).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Starts a command against this stack, and returns the first line of its standard error.
    pub(crate) fn first_error_line(&self, args: &[&str]) -> String {
        let local = format!("--local={}", self.port);
        let mut child =
            command().args(args).arg(local).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (mut errors, (told, line)) = (BufReader::new(child.stderr.take().unwrap()), mpsc::channel());
        let reader = thread::spawn(move || {
            let mut line = String::new();
            errors.read_line(&mut line).unwrap();
            told.send(line)
        });
        // A command that says nothing must not hold up the test for ever.
        let line = line.recv_timeout(Duration::from_secs(30));
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap().ok();
        line.unwrap()
    }

    /// The process id of the stack.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command that must succeed. Returns what it printed.
    pub(crate) fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command that must succeed. Returns the JSON that it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    /// Kills the stack as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the stack as Ctrl-C does. Returns whether it ended successfully.
    #[cfg(unix)]
    pub(crate) fn interrupt(mut self) -> bool {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
