//! The deployment template as data.
//!
//! The local stack reads the deployed template, so that both follow one source. The template writes functions as YAML
//! tags (`!Ref Prefix`). Here they have their long form (`{"Ref": "Prefix"}`), so that everything is plain JSON.

mod yaml;

use std::collections::BTreeMap;

use serde_json::Value;

/// The template, as it is deployed.
const TEXT: &str = include_str!("../../../../template.yaml");
/// The property that stands for a resource's `!Ref` here: on AWS it is an address or a name made of it.
const NAMES: [&str; 3] = ["QueueName", "TableName", "LogGroupName"];

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template(Value);

/// Why a template can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template.yaml: {place}: expected {expected}, got {found}")]
pub struct TemplateError {
    place: String,
    expected: String,
    found: String,
}

impl TemplateError {
    pub(super) fn new(
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self { place: place.into(), expected: expected.into(), found: found.to_string() }
    }
}

impl Template {
    /// The project's own template.
    pub fn own() -> Result<Self, TemplateError> {
        Self::read(TEXT)
    }

    /// Reads a template.
    pub fn read(text: &str) -> Result<Self, TemplateError> {
        yaml::read(text).map(Self)
    }

    /// The same template, deployed with another value of a parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        if let Some(parameter) = self.0.get_mut("Parameters").and_then(|all| all.get_mut(name)) {
            parameter["Default"] = value.into();
        }
        self
    }

    /// A part of the template, such as `Outputs`.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A resource, as it is written.
    #[must_use]
    pub fn resource(&self, id: &str) -> Option<&Value> {
        self.section("Resources")?.get(id)
    }

    /// The resources of a type: their logical ids and their properties, with the parameters at their defaults.
    #[must_use]
    pub fn resources(&self, kind: &str) -> BTreeMap<&str, Value> {
        let all = self.section("Resources").and_then(Value::as_object).into_iter().flatten();
        let these = all.filter(|(_, resource)| resource["Type"] == kind);
        these.map(|(id, resource)| (id.as_str(), self.resolved(&resource["Properties"]))).collect()
    }

    /// A value with every parameter at its default. Replaces parameters, mappings and the names of queues and tables,
    /// and leaves values that only AWS knows.
    #[must_use]
    pub fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(fields) => match fields.iter().next().map(|(name, of)| (name.as_str(), of)) {
                Some(("Ref", Value::String(of))) => self.reference(of).unwrap_or_else(|| value.clone()),
                Some(("Fn::Sub", Value::String(of))) => self.substituted(of).into(),
                Some(("Fn::FindInMap", of)) => self.found_in_map(of).unwrap_or_else(|| value.clone()),
                _ => fields.iter().map(|(name, of)| (name.clone(), self.resolved(of))).collect(),
            },
            plain => plain.clone(),
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        if let Some(parameter) = self.section("Parameters").and_then(|all| all.get(name)) {
            return parameter.get("Default").cloned();
        }
        let properties = self.resource(name)?.get("Properties")?;
        NAMES.iter().find_map(|name| properties.get(*name)).map(|name| self.resolved(name))
    }

    fn substituted(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else {
                whole.extend(["${", part]);
                continue;
            };
            match self.reference(name) {
                Some(value) => whole.push_str(&plain(&value)),
                None => whole.extend(["${", name, "}"]),
            }
            whole.push_str(rest);
        }
        whole
    }

    fn found_in_map(&self, path: &Value) -> Option<Value> {
        let keys = path.as_array()?.iter().map(|key| plain(&self.resolved(key)));
        keys.fold(self.section("Mappings"), |map, key| map?.get(&key)).cloned()
    }
}

/// A text or a number as text, because a deployment turns every parameter into text.
#[must_use]
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The logical id in `{"Ref": id}` or `{"Fn::GetAtt": [id, ..]}`.
#[must_use]
pub fn logical_id(value: &Value) -> Option<&str> {
    value.get("Ref").or_else(|| value.get("Fn::GetAtt")?.get(0))?.as_str()
}
