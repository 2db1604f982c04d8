//! The template as data.
//!
//! The template writes functions as YAML tags (`!Ref Prefix`); here they stand in the long form that
//! means the same (`{"Ref": "Prefix"}`), so that the rest is plain JSON.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template, read.
pub(crate) struct Template(Value);

impl Template {
    pub(crate) fn read() -> Self {
        let documents = Yaml::load_from_str(include_str!("../../../../template.yaml")).unwrap();
        Self(long_form(&documents[0]))
    }

    pub(crate) fn parameter(&self, name: &str) -> &Value {
        present(&self.0["Parameters"][name], "parameter", name)
    }

    pub(crate) fn resource(&self, id: &str) -> &Value {
        present(&self.0["Resources"][id], "resource", id)
    }

    /// The properties of a resource, with the parameters at their defaults.
    pub(crate) fn properties(&self, id: &str) -> Value {
        self.resolved(&self.resource(id)["Properties"])
    }

    /// The resources of a type: their logical ids and their properties, with the parameters at their defaults.
    pub(crate) fn resources(&self, kind: &str) -> BTreeMap<&str, Value> {
        let all = self.0["Resources"].as_object().unwrap().iter();
        let these = all.filter(|(_, resource)| resource["Type"] == kind);
        these.map(|(id, _)| (id.as_str(), self.properties(id))).collect()
    }

    pub(crate) fn section(&self, name: &str) -> &Value {
        present(&self.0[name], "section", name)
    }

    /// A value as it is when every parameter has its default: parameters, mappings and the names of queues
    /// and tables are put in, what only AWS knows is left as it is.
    pub(crate) fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(fields) => match fields.iter().next().map(|(name, of)| (name.as_str(), of)) {
                Some(("Ref", of)) => self.reference(text(of)).unwrap_or_else(|| value.clone()),
                Some(("Fn::Sub", of)) => self.substituted(text(of)).into(),
                Some(("Fn::FindInMap", of)) => self.found_in_map(of),
                _ => fields.iter().map(|(name, of)| (name.clone(), self.resolved(of))).collect(),
            },
            plain => plain.clone(),
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        if let Some(parameter) = self.0["Parameters"].get(name) {
            return Some(present(&parameter["Default"], "default of", name).clone());
        }
        let properties = &self.0["Resources"].get(name)?["Properties"];
        let named = ["QueueName", "TableName", "LogGroupName"].iter().find_map(|name| properties.get(*name));
        named.map(|name| self.resolved(name))
    }

    fn substituted(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            match self.reference(name) {
                Some(value) => whole.push_str(&plain(&value)),
                None => whole.extend(["${", name, "}"]),
            }
            whole.push_str(rest);
        }
        whole
    }

    fn found_in_map(&self, path: &Value) -> Value {
        let path: Vec<String> =
            path.as_array().unwrap().iter().map(|key| plain(&self.resolved(key))).collect();
        let found = path.iter().fold(&self.0["Mappings"], |map, key| &map[key]);
        present(found, "mapping", &path.join(" ")).clone()
    }
}

/// A text or a number as text, which is what a deployment makes of every parameter.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The logical id in `{"Ref": id}` or `{"Fn::GetAtt": [id, ..]}`.
pub(crate) fn logical_id(value: &Value) -> &str {
    value.get("Ref").or_else(|| value["Fn::GetAtt"].get(0)).and_then(Value::as_str).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a text, got {value}"))
}

fn present<'a>(value: &'a Value, what: &str, name: &str) -> &'a Value {
    assert!(!value.is_null(), "template.yaml has no {what} {name}");
    value
}

fn long_form(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => (*value).into(),
            Scalar::Integer(value) => (*value).into(),
            Scalar::FloatingPoint(value) => value.0.into(),
            Scalar::String(value) => value.as_ref().into(),
        },
        Yaml::Sequence(items) => items.iter().map(long_form).collect(),
        Yaml::Mapping(fields) => {
            let fields = fields.iter().map(|(name, of)| (plain(&long_form(name)), long_form(of)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, of) => function(&tag.suffix, long_form(of)),
        other => panic!("template.yaml: expected no aliases and no half-read values, got {other:?}"),
    }
}

fn function(tag: &str, of: Value) -> Value {
    match (tag, of) {
        ("Ref", of) => json!({ "Ref": of }),
        ("GetAtt", Value::String(path)) => {
            json!({ "Fn::GetAtt": path.split('.').collect::<Vec<_>>() })
        }
        (tag, of) => json!({ format!("Fn::{tag}"): of }),
    }
}
