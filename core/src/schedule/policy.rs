//! What a schedule does about clock changes, overlaps and missed occurrences.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

macro_rules! policy {
    ($(#[$about:meta])* $name:ident, $field:literal, { $($(#[$what:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name { $($(#[$what])* $variant),+ }

        impl $name {
            const ALL: &[(&'static str, Self)] = &[$(($text, Self::$variant)),+];

            /// The policy as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let found = Self::ALL.iter().find(|(name, _)| *name == text);
                found.map(|(_, policy)| *policy).ok_or_else(|| {
                    let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
                    Invalid::text($field, one_of(&names), text)
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(policy: $name) -> Self {
                policy.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

fn one_of(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

policy! {
    /// A local time that does not come, because the clocks are put forward over it. Holds for a cron with
    /// fixed hours; see [`Cron::goes_by_elapsed_time`](super::Cron::goes_by_elapsed_time).
    Gap, "gap", {
        /// Its occurrence is left out.
        Skip = "skip",
        /// Its occurrence comes at the first instant after the gap, so that a daily job runs every day.
        #[default]
        Next = "next",
    }
}

policy! {
    /// A local time that comes twice, because the clocks are put back over it. Holds for a cron with fixed
    /// hours, like [`Gap`].
    Repeat, "repeat", {
        /// It has one occurrence, at its first pass.
        #[default]
        First = "first",
        /// It has two.
        Both = "both",
    }
}

policy! {
    /// An occurrence that comes while the last one is unfinished.
    Overlap, "overlap", {
        /// It runs beside the last one.
        #[default]
        Allow = "allow",
        /// It is left out.
        Skip = "skip",
    }
}

policy! {
    /// Occurrences that were not made in time, because no tick ran or a service failed.
    Missed, "missed", {
        /// They are left out.
        Skip = "skip",
        /// The latest of them is made, unless a newer one is due too: a report that was missed for three days is
        /// written once.
        #[default]
        Latest = "latest",
        /// All of them are made.
        All = "all",
    }
}
