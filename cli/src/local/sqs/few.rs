//! Lists and maps of a request, bounded in number.
//!
//! A body of 8 MiB can hold millions of empty entries, each of which costs hundreds of bytes once it is read. SQS takes
//! ten entries and ten attributes. So reading stops where no request can be valid, and leaves the exact limit to the
//! model, whose error says more.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most elements of one list or map.
const MOST: usize = 1000;

/// A list or a map of at most 1,000 elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Few<C>(pub(super) C);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<Vec<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData)).map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<BTreeMap<String, T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData)).map(Self)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(element);
        }
        Ok(list)
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MOST} fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = fields.next_entry()? {
            if map.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            map.insert(name, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entries = Few<Vec<BTreeMap<String, String>>>;

    #[test]
    fn more_than_a_thousand_are_refused_as_they_are_read() {
        let list = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(serde_json::from_str::<Entries>(&list(1000)).unwrap().0.len(), 1000);
        // The text ends where the reader has no business any more.
        let endless = list(1001).replace(']', ",");
        let error = serde_json::from_str::<Entries>(&endless).unwrap_err().to_string();
        assert!(error.contains("at most 1000 elements"), "{error}");
        let fields: Vec<String> = (0..1001).map(|n| format!(r#""{n}":"""#)).collect();
        let map = format!("{{{}}}", fields.join(","));
        let error = serde_json::from_str::<Few<BTreeMap<String, String>>>(&map).unwrap_err().to_string();
        assert!(error.contains("at most 1000 fields"), "{error}");
    }
}
