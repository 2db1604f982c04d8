//! An answer's JSON as XML.

use serde_json::{Map, Value};

use super::names::{Shape, of_field};
use crate::local::sqs::fault::Fault;

const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// The answer of an action. An answer without fields has no result, as that of `DeleteMessage`.
pub(in super::super) fn write(action: &str, json: &[u8], request_id: &str) -> Result<String, Fault> {
    let fields: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| Fault::Unreadable { action: "the reply".to_owned(), error })?;
    let mut xml = String::with_capacity(json.len().saturating_add(400));
    declare(&mut xml);
    xml.extend(["<", action, "Response xmlns=\"", NAMESPACE, "\">"]);
    if has_result(action) {
        element(&mut xml, &format!("{action}Result"), |xml| object(xml, action, &fields));
    }
    element(&mut xml, "ResponseMetadata", |xml| text(xml, "RequestId", request_id));
    xml.extend(["</", action, "Response>"]);
    Ok(xml)
}

/// The answer to a request that failed.
pub(in super::super) fn refusal(blame: &str, code: &str, message: &str, request_id: &str) -> String {
    let mut xml = String::new();
    declare(&mut xml);
    xml.extend(["<ErrorResponse xmlns=\"", NAMESPACE, "\">"]);
    element(&mut xml, "Error", |xml| {
        text(xml, "Type", blame);
        text(xml, "Code", code);
        text(xml, "Message", message);
        xml.push_str("<Detail/>");
    });
    text(&mut xml, "RequestId", request_id);
    xml.push_str("</ErrorResponse>");
    xml
}

fn declare(xml: &mut String) {
    xml.push_str("<?xml version=\"1.0\"?>");
}

/// Actions that answer with their metadata alone.
fn has_result(action: &str) -> bool {
    !matches!(
        action,
        "ChangeMessageVisibility"
            | "DeleteMessage"
            | "DeleteQueue"
            | "PurgeQueue"
            | "SetQueueAttributes"
            | "TagQueue"
            | "UntagQueue"
    )
}

fn object(xml: &mut String, action: &str, fields: &Map<String, Value>) {
    for (field, value) in fields {
        let (name, shape) = of_field(action, field);
        match (shape, value) {
            (_, Value::Array(list)) => list.iter().for_each(|one| {
                element(xml, &name, |xml| plain(xml, action, one));
            }),
            (Shape::Map(key, inner), Value::Object(map)) => {
                for (given, value) in map {
                    element(xml, &name, |xml| {
                        text(xml, key, given);
                        element(xml, inner, |xml| plain(xml, action, value));
                    });
                }
            }
            _ => element(xml, &name, |xml| plain(xml, action, value)),
        }
    }
}

fn plain(xml: &mut String, action: &str, value: &Value) {
    match value {
        Value::Object(fields) => object(xml, action, fields),
        Value::String(text) => escape(xml, text),
        other => escape(xml, &other.to_string()),
    }
}

fn element(xml: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    xml.extend(["<", name, ">"]);
    content(xml);
    xml.extend(["</", name, ">"]);
}

fn text(xml: &mut String, name: &str, content: &str) {
    element(xml, name, |xml| escape(xml, content));
}

/// A parser would read a bare carriage return as a line feed, and the digests would differ. A character that XML can't
/// hold can come from an error message only.
fn escape(xml: &mut String, content: &str) {
    for c in content.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            '\t' | '\n' | ' '..='\u{FFFD}' | '\u{10000}'.. => xml.push(c),
            _ => xml.push('\u{FFFD}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(action: &str, json: &str) -> String {
        write(action, json.as_bytes(), "r").unwrap()
    }

    #[test]
    fn lists_repeat_and_maps_have_names_and_values() {
        let json = r#"{"Messages":[{"Body":"a\r\n<&","Attributes":{"SentTimestamp":"1"},
            "MessageAttributes":{"n":{"DataType":"Number","StringValue":"2"}}}]}"#;
        let xml = written("ReceiveMessage", json);
        for expected in [
            "<ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><ReceiveMessageResult><Message>",
            "<Body>a&#xD;\n&lt;&amp;</Body>",
            "<Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute>",
            "<MessageAttribute><Name>n</Name><Value><DataType>Number</DataType><StringValue>2</StringValue></Value></MessageAttribute>",
            "</Message></ReceiveMessageResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ReceiveMessageResponse>",
        ] {
            assert!(xml.contains(expected), "{expected} in {xml}");
        }
        let xml = written(
            "DeleteMessageBatch",
            r#"{"Successful":[{"Id":"a"}],"Failed":[{"Id":"b","SenderFault":true}]}"#,
        );
        let entries = "<DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry>";
        let failed =
            "<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault></BatchResultErrorEntry>";
        assert!(xml.contains(entries) && xml.contains(failed), "{xml}");
        assert!(!written("DeleteMessage", "{}").contains("Result>"));
        assert!(written("ListQueues", "{}").contains("<ListQueuesResult></ListQueuesResult>"));
    }

    #[test]
    fn a_refusal_is_xml_whatever_it_quotes() {
        let xml = refusal("Sender", "InvalidAction", "no \u{1} <action>", "r");
        let expected = "<Error><Type>Sender</Type><Code>InvalidAction</Code><Message>no \u{FFFD} &lt;action&gt;</Message>";
        assert!(xml.contains(expected), "{xml}");
    }
}
