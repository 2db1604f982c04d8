//! The MD5 fields of SQS.
//!
//! Some SDKs (Java's, JavaScript's) compare them with their own and refuse the answer if they differ, so they must be
//! exact: "Calculating the MD5 message digest for message attributes" in the Developer Guide.

use std::{collections::BTreeMap, fmt::Write as _};

use lambda_jobs_core::sqs::{AttributeValue, MessageAttribute};
use md5::{Digest as _, Md5};

/// The digest of a body, in hexadecimal.
pub(super) fn of_body(body: &str) -> String {
    hex(Md5::new_with_prefix(body))
}

/// The digest of message attributes, in hexadecimal; `None` without attributes.
///
/// In order of name: name, type and value, each after its length in four bytes, and a byte before the value
/// that tells text (1) from binary (2).
pub(super) fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttribute)>,
) -> Option<String> {
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in sorted {
        let (transport, value) = match &attribute.value {
            AttributeValue::Text(text) => (1_u8, text.as_bytes()),
            AttributeValue::Binary(bytes) => (2_u8, bytes.as_slice()),
        };
        add(&mut digest, name.as_bytes());
        add(&mut digest, attribute.data_type.as_bytes());
        digest.update([transport]);
        add(&mut digest, value);
    }
    Some(hex(digest))
}

fn add(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

fn hex(digest: Md5) -> String {
    digest.finalize().iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(attributes: &[(&str, MessageAttribute)]) -> Option<String> {
        let owned: Vec<(String, MessageAttribute)> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        of_attributes(owned.iter().map(|(name, value)| (name, value)))
    }

    // Values of AWS, as tests of other implementations record them.
    #[test]
    fn digests_are_those_of_aws() {
        assert_eq!(of_body("This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
        assert_eq!(of_body("derp"), "58fd9edd83341c29f1aebba81c31e257");
        let timestamp = |value| of(&[("timestamp", MessageAttribute::number(value))]);
        assert_eq!(timestamp("1493147359900").as_deref(), Some("235c5c510d26fb653d073faed50ae77c"));
        assert_eq!(timestamp("1493147359901").as_deref(), Some("994258b45346a2cc3f9cbb611aa7af30"));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn order_is_by_name_and_binary_and_unicode_count_in_bytes() {
        let attributes = [
            ("ccc", MessageAttribute::string("testjunk")),
            ("aaa", MessageAttribute::binary([2, 3, 4])),
            ("zzz", MessageAttribute::number("0230.01")),
            ("öther_encodings", MessageAttribute::string("Tüst")),
        ];
        assert_eq!(of(&attributes).as_deref(), Some("8ae21a7957029ef04146b42aeaa18a22"));
    }
}
