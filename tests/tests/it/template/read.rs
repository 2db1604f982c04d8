//! Reads the template. A missing part fails the test.

use std::collections::BTreeMap;

use lambda_jobs::local::template::{self, Template as Reader};
use serde_json::Value;

pub(crate) use template::plain;

/// The parsed template.
pub(crate) struct Template(Reader);

impl Template {
    pub(crate) fn read() -> Self {
        Self(Reader::own().unwrap())
    }

    pub(crate) fn parameter(&self, name: &str) -> &Value {
        present(self.section("Parameters").get(name), "parameter", name)
    }

    pub(crate) fn resource(&self, id: &str) -> &Value {
        present(self.0.resource(id), "resource", id)
    }

    /// The properties of a resource, with default parameters.
    pub(crate) fn properties(&self, id: &str) -> Value {
        self.resolved(&self.resource(id)["Properties"])
    }

    /// The resources of a type: their logical ids and properties, with default parameters.
    pub(crate) fn resources(&self, kind: &str) -> BTreeMap<&str, Value> {
        self.0.resources(kind)
    }

    pub(crate) fn section(&self, name: &str) -> &Value {
        present(self.0.section(name), "section", name)
    }

    /// A value with default parameters.
    pub(crate) fn resolved(&self, value: &Value) -> Value {
        self.0.resolved(value)
    }
}

/// The logical id in `{"Ref": id}` or `{"Fn::GetAtt": [id, ..]}`.
pub(crate) fn logical_id(value: &Value) -> &str {
    template::logical_id(value).unwrap_or_else(|| panic!("expected a logical id, got {value}"))
}

fn present<'a>(value: Option<&'a Value>, what: &str, name: &str) -> &'a Value {
    value.unwrap_or_else(|| panic!("template.yaml has no {what} {name}"))
}
