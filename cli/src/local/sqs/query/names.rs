//! How the query protocol names what JSON has as a list or a map.
//!
//! A form numbers the elements: `AttributeName.1=All`, `Attribute.1.Name=DelaySeconds`, `Attribute.1.Value=5`. XML
//! repeats an element. Everything else has the same name in both protocols.

/// The shape of a parameter or of an answer's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Texts.
    Texts,
    /// Objects.
    Objects,
    /// Values by name; here are the names of the two parts of each element.
    Map(&'static str, &'static str),
    /// A whole number.
    Number,
    /// Text, or an object with fields.
    Plain,
}

/// The field in JSON, and the shape, of a form's parameter.
pub(super) fn of_parameter(action: &str, name: &str) -> (String, Shape) {
    let (field, shape) = match name {
        "Attribute" => ("Attributes", Shape::Map("Name", "Value")),
        "MessageAttribute" => ("MessageAttributes", Shape::Map("Name", "Value")),
        "MessageSystemAttribute" => ("MessageSystemAttributes", Shape::Map("Name", "Value")),
        "Tag" if action == "CreateQueue" => ("tags", Shape::Map("Key", "Value")),
        "Tag" => ("Tags", Shape::Map("Key", "Value")),
        "TagKey" => ("TagKeys", Shape::Texts),
        "AttributeName" => ("AttributeNames", Shape::Texts),
        "MessageAttributeName" => ("MessageAttributeNames", Shape::Texts),
        "MessageSystemAttributeName" => ("MessageSystemAttributeNames", Shape::Texts),
        "SendMessageBatchRequestEntry"
        | "DeleteMessageBatchRequestEntry"
        | "ChangeMessageVisibilityBatchRequestEntry" => ("Entries", Shape::Objects),
        "DelaySeconds"
        | "MaxNumberOfMessages"
        | "MaxNumberOfMessagesPerSecond"
        | "MaxResults"
        | "VisibilityTimeout"
        | "WaitTimeSeconds" => (name, Shape::Number),
        _ => (name, Shape::Plain),
    };
    (field.to_owned(), shape)
}

/// The element in XML, and the shape, of an answer's field that is a list or a map.
pub(super) fn of_field(action: &str, field: &str) -> (String, Shape) {
    let (element, shape) = match field {
        "QueueUrls" | "queueUrls" => ("QueueUrl", Shape::Texts),
        "Messages" => ("Message", Shape::Objects),
        "Failed" => ("BatchResultErrorEntry", Shape::Objects),
        "Successful" | "Results" => return (format!("{action}ResultEntry"), Shape::Objects),
        "Attributes" => ("Attribute", Shape::Map("Name", "Value")),
        "MessageAttributes" => ("MessageAttribute", Shape::Map("Name", "Value")),
        "Tags" => ("Tag", Shape::Map("Key", "Value")),
        _ => (field, Shape::Plain),
    };
    (element.to_owned(), shape)
}
