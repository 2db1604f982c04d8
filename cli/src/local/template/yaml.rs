//! YAML with `CloudFormation`'s tags, as JSON.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::{TemplateError, plain};

pub(super) fn read(text: &str) -> Result<Value, TemplateError> {
    let refuse = |found: String| TemplateError::new("the file", "YAML", found);
    let documents = Yaml::load_from_str(text).map_err(|error| refuse(error.to_string()))?;
    long_form(documents.first().ok_or_else(|| refuse("nothing".to_owned()))?)
}

fn long_form(yaml: &Yaml<'_>) -> Result<Value, TemplateError> {
    match yaml {
        Yaml::Value(scalar) => Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => (*value).into(),
            Scalar::Integer(value) => (*value).into(),
            Scalar::FloatingPoint(value) => value.0.into(),
            Scalar::String(value) => value.as_ref().into(),
        }),
        Yaml::Sequence(items) => items.iter().map(long_form).collect(),
        Yaml::Mapping(fields) => {
            let field = |(name, of)| Ok((plain(&long_form(name)?), long_form(of)?));
            fields.iter().map(field).collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        Yaml::Tagged(tag, of) => Ok(function(&tag.suffix, long_form(of)?)),
        other => {
            let found = format!("{other:?}");
            Err(TemplateError::new("the file", "no aliases and no half-read values", found))
        }
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
