//! Builds functions and makes their events.

use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::Utc;
use serde_json::{Value, json};

use crate::Failure;

/// The package of the functions that only benchmarks run.
pub(crate) const OWN: &str = "lambda-jobs-bench-functions";

/// Binaries that are built together. Cargo unites the features of what it builds together, so a worker that is built
/// beside a function with the SDK's own HTTP client would carry that client too.
pub(crate) struct Part {
    pub(crate) packages: &'static [&'static str],
    /// Of the first package; none if empty.
    pub(crate) features: &'static str,
    pub(crate) binaries: &'static [&'static str],
}

impl Part {
    fn build(&self, profile: &str) -> Result<(), Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--profile", profile]);
        build.args(self.packages.iter().flat_map(|package| ["--package", package]));
        if let (Some(package), false) = (self.packages.first(), self.features.is_empty()) {
            build.args(["--features", &format!("{package}/{}", self.features)]);
        }
        build.args(self.binaries.iter().flat_map(|binary| ["--bin", binary]));
        if build.status()?.success() { Ok(()) } else { Err("the functions can't be built".into()) }
    }
}

/// Builds binaries with a profile of Cargo. Returns their folder.
pub(crate) fn build(profile: &str, parts: &[Part]) -> Result<PathBuf, Failure> {
    parts.iter().try_for_each(|part| part.build(profile))?;
    // A benchmark is in the folder `deps` of its profile. Cargo's own profiles share two folders.
    let folder = match profile {
        "bench" => "release",
        "dev" | "test" => "debug",
        own => own,
    };
    let benchmark = std::env::current_exe()?;
    Ok(benchmark.ancestors().nth(3).map(|target| Path::join(target, folder)).unwrap_or_default())
}

/// Lambda's event for these records.
pub(crate) fn event(records: &[Value]) -> Value {
    json!({ "Records": records })
}

/// A message as Lambda passes it on, received for the first time.
pub(crate) fn record(id: &str, queue: &str, body: &Value) -> Value {
    json!({
        "messageId": id,
        "receiptHandle": id,
        "body": body.to_string(),
        "attributes": {
            "SentTimestamp": Utc::now().timestamp_millis().to_string(),
            "ApproximateReceiveCount": "1",
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:lambda-jobs-{queue}"),
        "awsRegion": "us-east-1",
    })
}
