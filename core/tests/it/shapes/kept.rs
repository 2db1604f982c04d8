//! Compares JSON with a file beside the test.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

/// Named shapes, kept in one file.
pub(crate) struct Shapes {
    file: &'static str,
    found: Map<String, Value>,
}

impl Shapes {
    /// No shapes yet; `file` is a name in the folder of the snapshots.
    pub(crate) fn of(file: &'static str) -> Self {
        Self { file, found: Map::new() }
    }

    /// Adds a serialized value.
    #[must_use]
    pub(crate) fn written(mut self, name: impl Into<String>, value: &impl Serialize) -> Self {
        let name = name.into();
        let before = self.found.insert(name.clone(), without_words(serde_json::to_value(value).unwrap()));
        assert_eq!(before, None, "two shapes are called {name:?}");
        self
    }

    /// Compares the shapes with those in the file. If the file does not exist, writes it and fails the test once. To
    /// change a shape on purpose, delete its file, run the test twice and read the difference.
    pub(crate) fn check(self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shapes/kept");
        let path = folder.join(self.file).with_extension("json");
        let found = format!("{:#}\n", Value::Object(self.found));
        let Ok(kept) = fs::read_to_string(&path) else {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, found).unwrap();
            panic!(
                "{}: did not exist and was written; read it, commit it, run the test again",
                path.display()
            );
        };
        let mut lines = kept.lines().zip(found.lines()).enumerate();
        if let Some((line, (kept, found))) = lines.find(|(_, (kept, found))| kept != found) {
            panic!("{}:{}: expected {kept:?}, got {found:?}", path.display(), line + 1);
        }
        assert_eq!(found.len(), kept.len(), "{}: one is longer than the other", path.display());
    }
}

/// Fields with text for people, which must be there but may change in wording.
const WORDED: [&str; 6] = ["detail", "error", "issues", "lastError", "note", "warnings"];

fn without_words(shape: Value) -> Value {
    match shape {
        Value::Object(fields) => {
            let kept = |(name, value): (String, Value)| {
                let is_worded = WORDED.contains(&name.as_str());
                (name, if is_worded { covered(value) } else { without_words(value) })
            };
            Value::Object(fields.into_iter().map(kept).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_words).collect()),
        other => other,
    }
}

fn covered(words: Value) -> Value {
    match words {
        Value::String(_) => "words".into(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, covered(value))).collect(),
        Value::Array(list) => list.into_iter().map(covered).collect(),
        other => other,
    }
}
