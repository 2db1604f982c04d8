//! Payloads that a tree would not keep as they are.
//!
//! A plan holds a mark in place of such a text, and the text replaces it when the message is made.

use std::sync::LazyLock;

use serde_json::Value;

use crate::simulation::dice::Dice;
use lambda_jobs_core::job::Payload;

/// Large numbers, members that come twice, half a surrogate pair, space, and a depth that no tree has.
static TEXTS: LazyLock<[String; 6]> = LazyLock::new(|| {
    [
        "12345678901234567890123".to_owned(),
        "[1e400,1.50,-0.0]".to_owned(),
        r#"{"twice":1,"twice":2,"a":0}"#.to_owned(),
        r#""\ud800\u00e9\/""#.to_owned(),
        "[ 1 , { } ]".to_owned(),
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
    ]
});

fn mark(at: usize) -> String {
    format!("odd text {at}")
}

/// Gives a payload a member that is odd.
pub(super) fn add_to(payload: &mut Value, dice: &mut Dice) {
    payload["odd"] = mark(dice.index(TEXTS.len())).into();
}

/// The JSON of a message or a payload, with an odd text in place of its mark.
pub(super) fn json_of(value: &Value) -> String {
    let json = value.to_string();
    // Few have one, and some are too large to be searched in vain.
    let odd = [value.get("odd"), value.pointer("/payload/odd")].into_iter().flatten().next();
    let text = odd.and_then(|odd| (0..TEXTS.len()).find(|at| *odd == mark(*at)).map(|at| (odd, &TEXTS[at])));
    match text {
        Some((odd, text)) => json.replace(&odd.to_string(), text),
        None => json,
    }
}

/// A payload with odd texts in place of their marks.
pub(super) fn payload_of(value: &Value) -> Payload {
    json_of(value).parse().unwrap_or_default()
}

/// Whether a payload is one of the odd texts, to the letter.
pub(super) fn is_one(payload: &Payload) -> bool {
    TEXTS.iter().any(|text| text == payload.as_str())
}
