//! A worker can read every message that the pages show.

use chrono::DateTime;
use lambda_jobs_core::message::JobMessage;

use super::page::{Page, pages};

fn decode(body: &str) -> Result<JobMessage, String> {
    JobMessage::decode(body, "m", DateTime::UNIX_EPOCH).map_err(|error| error.to_string())
}

/// The texts between one marker and the next occurrence of another.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split(end).next()).collect()
}

#[test]
fn every_message_that_is_shown_is_one_that_a_worker_reads() {
    let mut shown = 0;
    for page in pages() {
        for block in page.blocks() {
            let bodies: Vec<&str> = match block.language.as_str() {
                "json" => vec![&block.code],
                "python" => between(&block.code, "json.dumps(", "))"),
                _ => between(&block.code, "--message-body '", "'"),
            };
            for body in bodies {
                decode(body).unwrap_or_else(|error| panic!("{}: {body}: {error}", page.name));
                shown += 1;
            }
        }
    }
    assert!(shown >= 3, "only {shown} messages were found");
}

#[test]
fn the_contract_shows_a_refusal_as_it_is() {
    let page = Page::read("docs/message-contract.md");
    let refusal = decode(r#"{"name":"greet","priority":"high"}"#).unwrap_err();
    assert!(page.inline_code().contains(&refusal), "docs/message-contract.md must show `{refusal}`");
}

#[test]
fn every_field_of_the_contract_is_one_that_a_worker_reads() {
    let page = Page::read("docs/message-contract.md");
    let rows = page.rows().into_iter().filter(|row| row.len() == 3);
    let names = rows.map(|row| row[0].replace('`', ""));
    let fields: Vec<String> =
        names.flat_map(|cell| cell.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(fields.len() > 15, "{fields:?}");
    for field in fields.iter().filter(|field| *field != "payload") {
        // Only the payload may be an object, and a worker ignores unknown fields.
        let mut body = serde_json::json!({ "name": "greet" });
        body[field] = serde_json::json!({});
        let refusal = decode(&body.to_string()).unwrap_err();
        assert!(refusal.starts_with(&format!("{field}: expected ")), "{field}: {refusal}");
    }
}
