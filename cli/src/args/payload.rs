//! `--payload`: JSON in the argument, in a file, or from standard input.
//!
//! An argument of a command holds 128 KiB at most, and a message 1 MiB.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lambda_jobs_core::sqs::limits::MAX_MESSAGE_BYTES;
use lambda_jobs_core::{Invalid, Payload};

/// Where a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadSource {
    /// In the argument itself.
    Json(Payload),
    /// In a file: `@FILE`.
    File(PathBuf),
    /// In the standard input: `-`.
    Stdin,
}

impl FromStr for PayloadSource {
    type Err = String;

    /// Reads the argument, but no file: a command line can be checked without its files.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            Some("") => Err("expected the name of a file after @".to_owned()),
            Some(file) => Ok(Self::File(file.into())),
            None if text == "-" => Ok(Self::Stdin),
            None => json(text)
                .map(Self::Json)
                .map_err(|error| format!("{error}; @FILE reads a file, and - reads standard input")),
        }
    }
}

impl PayloadSource {
    /// The payload.
    pub(crate) fn read(&self) -> Result<Payload, String> {
        match self {
            Self::Json(payload) => Ok(payload.clone()),
            Self::File(path) => File::open(path)
                .map_err(|error| error.to_string())
                .and_then(from)
                .map_err(|error| in_file(path, &error)),
            Self::Stdin => {
                from(std::io::stdin().lock()).map_err(|error| format!("payload: standard input: {error}"))
            }
        }
    }
}

fn in_file(path: &Path, error: &str) -> String {
    format!("payload: file {}: {error}", path.display())
}

fn from(source: impl Read) -> Result<Payload, String> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_MESSAGE_BYTES).unwrap_or(u64::MAX);
    source.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(format!(
            "expected at most {MAX_MESSAGE_BYTES} bytes, the most that a message holds, got more"
        ));
    }
    json(std::str::from_utf8(&bytes).map_err(|error| format!("expected UTF-8: {error}"))?)
}

fn json(text: &str) -> Result<Payload, String> {
    text.parse().map_err(|error: Invalid| error.to_string().trim_start_matches("payload: ").to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_argument_is_json_a_file_or_standard_input() {
        assert_eq!("{\"a\":1}".parse(), Ok(PayloadSource::Json(json!({"a":1}).into())));
        assert_eq!("@a b.json".parse(), Ok(PayloadSource::File("a b.json".into())));
        assert_eq!("-".parse(), Ok(PayloadSource::Stdin));
        assert_eq!("@".parse::<PayloadSource>(), Err("expected the name of a file after @".to_owned()));
        let error = "payload.json".parse::<PayloadSource>().unwrap_err();
        assert!(error.starts_with("expected JSON (") && error.contains("@FILE reads a file"), "{error}");
    }

    #[test]
    fn a_file_is_bounded_and_named_by_every_error() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            PayloadSource::File(path).read()
        };
        let text = "x".repeat(MAX_MESSAGE_BYTES - 2);
        assert_eq!(read("largest", format!("\"{text}\"").as_bytes()), Ok(json!(text).into()));
        for (name, bytes, expected) in [
            ("too-large", "x".repeat(MAX_MESSAGE_BYTES + 1).into_bytes(), "expected at most 1048576 bytes"),
            ("not-json", b"{".to_vec(), "expected JSON ("),
            ("not-utf-8", vec![0xFF], "expected UTF-8: "),
        ] {
            let error = read(name, &bytes).unwrap_err();
            assert!(
                error.starts_with("payload: file ") && error.contains(name) && error.contains(expected),
                "{error}"
            );
        }
        let missing = PayloadSource::File(folder.path().join("missing")).read().unwrap_err();
        assert!(missing.contains("missing: No such file"), "{missing}");
    }
}
