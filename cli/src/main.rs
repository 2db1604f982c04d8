//! The `lambda-jobs` command.

use std::process::ExitCode;

use clap::Parser;
use lambda_jobs::args::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match lambda_jobs::commands::run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", describe(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each once.
fn describe(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
