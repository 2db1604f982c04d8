//! How much of an attempt's outcome is kept: a record must fit into a DynamoDB item.

use serde_json::{Value, json};

/// The longest text of an error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 4 * 1024;
/// The largest result that is kept, in bytes of JSON: a DynamoDB item holds 400 KB in all.
const MAX_RESULT_BYTES: usize = 64 * 1024;

/// An error's text, or as much of it as is kept.
pub(super) fn shortened(mut text: String) -> String {
    if text.len() > MAX_ERROR_BYTES {
        let end = (0..=MAX_ERROR_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// The result to keep: all of it, or a note of its size.
pub(super) fn kept(result: Value) -> Value {
    let bytes = result.to_string().len();
    if bytes <= MAX_RESULT_BYTES {
        return result;
    }
    tracing::warn!(bytes, limit = MAX_RESULT_BYTES, "a result is too large to keep");
    json!({ "omitted": format!("the result is {bytes} bytes of JSON; at most {MAX_RESULT_BYTES} are kept") })
}
