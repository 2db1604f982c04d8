//! What a dead letter carries.
//!
//! The worker sends a copy of the message, because SQS's own redrive can't give a reason. The copy keeps the sender's
//! message attributes, group and trace header: whoever redrives it sends the message that came. SQS allows ten
//! attributes and 1 MiB in all, so the sender's last ones by name may have to stay behind; the reason then says so.
//!
//! A body that can't be read may leave no room for attributes. It is never cut: a later release may read it. So the
//! beginning of the reason comes first, then the message's id and queue, then the rest. A body within 12 bytes of the
//! largest leaves no room for any reason.

use std::collections::BTreeMap;

use super::DeadLetter;
use crate::sqs::{MessageAttribute, MessageContent, limits};

/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 2 * 1024;
/// How much of a reason matters more than the message's id and queue, in bytes. The field at fault comes first.
const BEGINNING_BYTES: usize = 128;
/// Room for the words about attributes that stay behind, in bytes.
const NOTE_BYTES: usize = 64;

impl DeadLetter {
    /// The attribute that says why no worker can run the message.
    pub const REASON: &str = "reason";
    /// The attribute with the message's id in the queue it came from.
    pub const ORIGINAL_ID: &str = "originalMessageId";
    /// The attribute with the name of the queue it came from.
    pub const ORIGINAL_QUEUE: &str = "originalQueue";

    /// The message to send to the dead-letter queue; `original_queue` is the name of the queue it came from.
    #[must_use]
    pub fn content(&self, original_queue: &str) -> MessageContent {
        let message = &self.message;
        let mut content = MessageContent {
            body: message.body.to_string(),
            attributes: BTreeMap::new(),
            group: message.group.clone(),
            trace_header: message.trace_header.clone(),
        };
        let empty = MessageAttribute::string("").size(Self::REASON);
        let beginning = empty + self.reason.len().min(BEGINNING_BYTES);
        for (name, text) in
            [(Self::ORIGINAL_ID, message.message_id.as_str()), (Self::ORIGINAL_QUEUE, original_queue)]
        {
            let attribute = MessageAttribute::string(text);
            // An attribute's value must not be empty.
            if !text.is_empty() && attribute.size(name) + beginning <= room(&content) {
                content.attributes.insert(name.to_owned(), attribute);
            }
        }
        let for_reason = room(&content).saturating_sub(empty);
        let reason = fitting(&self.reason, for_reason.min(MAX_REASON_BYTES));
        let left_out = self.keep_attributes(&mut content, empty + reason.len() + NOTE_BYTES);
        let reason = match left_out {
            0 => reason,
            left_out => {
                let note = format!("{reason} (without {left_out} of the sender's message attributes)");
                fitting(&note, for_reason.min(MAX_REASON_BYTES + NOTE_BYTES))
            }
        };
        if !reason.is_empty() {
            content.attributes.insert(Self::REASON.to_owned(), MessageAttribute::string(reason));
        }
        content
    }

    /// Adds the sender's attributes that fit beside the reason, which takes this many bytes. Returns how many do not.
    fn keep_attributes(&self, content: &mut MessageContent, reason_bytes: usize) -> usize {
        let mut left_out = 0;
        for (name, attribute) in &self.message.attributes {
            if [Self::REASON, Self::ORIGINAL_ID, Self::ORIGINAL_QUEUE].contains(&name.as_str()) {
                continue;
            }
            // One place is the reason's.
            let has_place = content.attributes.len() + 1 < limits::MAX_MESSAGE_ATTRIBUTES;
            if has_place && attribute.size(name) + reason_bytes <= room(content) {
                content.attributes.insert(name.clone(), attribute.clone());
            } else {
                left_out += 1;
            }
        }
        left_out
    }
}

/// The bytes that are left of SQS's largest message.
fn room(content: &MessageContent) -> usize {
    limits::MAX_MESSAGE_BYTES.saturating_sub(content.size())
}

/// A text cut to this many bytes, without the characters that SQS refuses.
fn fitting(text: &str, room: usize) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        let allowed = matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
        let c = if allowed { c } else { '\u{FFFD}' };
        if kept.len() + c.len_utf8() > room {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::job::Queue;
    use crate::ports::ReceivedMessage;
    use crate::sqs::AttributeValue;

    fn letter(body: String, reason: &str, attributes: usize) -> DeadLetter {
        let attribute = |number| (format!("a{number:02}"), MessageAttribute::number("1"));
        let message = ReceivedMessage {
            queue: Queue::High,
            message_id: "m-1".to_owned(),
            receipt_handle: "r-1".to_owned(),
            body: body.into(),
            sent_at: DateTime::UNIX_EPOCH,
            receive_count: 1,
            group: Some("tenant".to_owned()),
            attributes: (0..attributes).map(attribute).collect(),
            trace_header: Some("Root=1-2-3".to_owned()),
        };
        DeadLetter { message, reason: reason.to_owned() }
    }

    fn text(content: &MessageContent, name: &str) -> String {
        match &content.attributes[name].value {
            AttributeValue::Text(text) => text.clone(),
            AttributeValue::Binary(_) => panic!("{name}: text"),
        }
    }

    #[test]
    fn the_senders_attributes_and_trace_are_kept() {
        let mut letter = letter("{}".to_owned(), "name: missing", 7);
        letter.message.attributes.insert("a00".to_owned(), MessageAttribute::binary([1, 2]));
        let content = letter.content("q-high");
        assert_eq!(content.check(limits::MAX_MESSAGE_BYTES), Ok(()));
        assert_eq!(content.attributes.len(), 10);
        assert_eq!(content.attributes["a00"], MessageAttribute::binary([1, 2]));
        assert_eq!(text(&content, "reason"), "name: missing");
        assert_eq!(
            (text(&content, "originalMessageId"), text(&content, "originalQueue")),
            ("m-1".to_owned(), "q-high".to_owned())
        );
        assert_eq!(
            (content.group.as_deref(), content.trace_header.as_deref()),
            (Some("tenant"), Some("Root=1-2-3"))
        );
    }

    #[test]
    fn no_letter_has_more_than_ten_attributes_and_the_reason_says_what_is_missing() {
        let content = letter("{}".to_owned(), "name: missing", 10).content("q-high");
        assert_eq!(content.check(limits::MAX_MESSAGE_BYTES), Ok(()));
        assert_eq!(text(&content, "reason"), "name: missing (without 3 of the sender's message attributes)");
    }

    #[test]
    fn a_letter_that_was_redriven_gets_its_new_reason() {
        let first = letter("{}".to_owned(), "first", 0).content("q-high");
        let mut again = letter("{}".to_owned(), "second", 0);
        again.message.attributes = first.attributes;
        let content = again.content("q-high");
        assert_eq!((content.attributes.len(), text(&content, "reason")), (3, "second".to_owned()));
    }

    #[test]
    fn a_letter_is_never_larger_than_sqs_takes() {
        for spare in [0, 10, 60, 75, 90, 200, 5000] {
            let body = "x".repeat(limits::MAX_MESSAGE_BYTES - spare);
            let content = letter(body, &"ä".repeat(4000), 10).content("q-high");
            assert_eq!(content.check(limits::MAX_MESSAGE_BYTES), Ok(()), "{spare} spare bytes");
        }
    }

    #[test]
    fn a_body_that_leaves_little_room_still_gets_the_beginning_of_its_reason() {
        let reason = "body: expected a JSON object (EOF while parsing a value), got nothing";
        let named = |spare: usize| {
            let content = letter("x".repeat(limits::MAX_MESSAGE_BYTES - spare), reason, 3).content("q-high");
            assert_eq!(content.check(limits::MAX_MESSAGE_BYTES), Ok(()), "{spare} spare bytes");
            content
        };
        for spare in [12 + 5, 12 + 30, 12 + reason.len()] {
            let content = named(spare);
            assert!(text(&content, "reason").starts_with(&reason[..spare - 12]), "{spare}: {content:?}");
        }
        assert_eq!(named(12).attributes, BTreeMap::new());
        let attributes: Vec<String> = named(140).attributes.into_keys().collect();
        assert_eq!(attributes, ["originalMessageId", "originalQueue", "reason"]);
    }

    #[test]
    fn a_reason_keeps_what_sqs_takes_and_marks_what_it_refuses() {
        let content = letter("{}".to_owned(), "line\nbreak\0 and \u{7}bell €😀", 0).content("q-high");
        assert_eq!(text(&content, "reason"), "line\nbreak\u{FFFD} and \u{FFFD}bell €😀");
    }
}
