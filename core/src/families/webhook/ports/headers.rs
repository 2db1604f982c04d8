//! Headers whose values may be secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

/// The headers that a user adds, by name. A value may be a token, so the `Debug` form shows the names
/// alone. Elsewhere, show [`Headers::hidden`].
///
/// ```
/// use lambda_jobs_core::families::webhook::ports::Headers;
///
/// let headers: Headers = [("x-key".to_owned(), "s3cret".to_owned())].into();
/// assert_eq!(format!("{headers:?}"), r#"{"x-key": "..."}"#);
/// assert_eq!(headers.hidden()["x-key"], "...");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, String>);

/// The text in place of a value.
const HIDDEN: &str = "...";

impl Headers {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers as they may be shown: their names, each with `...` for its value.
    #[must_use]
    pub fn hidden(&self) -> Self {
        self.0.keys().map(|name| (name.clone(), HIDDEN.to_owned())).collect()
    }
}

impl Deref for Headers {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<const N: usize> From<[(String, String); N]> for Headers {
    fn from(headers: [(String, String); N]) -> Self {
        Self(headers.into())
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a String, &'a String);
    type IntoIter = std::collections::btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, HIDDEN))).finish()
    }
}
