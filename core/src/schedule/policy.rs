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

            /// The written form.
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
    /// A local time that does not exist, because the clocks go forward over it. Applies to a cron with
    /// fixed hours; see [`Cron::goes_by_elapsed_time`](super::Cron::goes_by_elapsed_time).
    Gap, "gap", {
        /// Skips the occurrence.
        Skip = "skip",
        /// Moves the occurrence to the first instant after the gap, so that a daily job runs every day.
        #[default]
        Next = "next",
    }
}

policy! {
    /// A local time that occurs twice, because the clocks go back over it. Applies to a cron with fixed
    /// hours, like [`Gap`].
    Repeat, "repeat", {
        /// Fires once, at the first pass.
        #[default]
        First = "first",
        /// Fires twice.
        Both = "both",
    }
}

policy! {
    /// An occurrence that is due while the last one is unfinished.
    Overlap, "overlap", {
        /// Runs it beside the last one.
        #[default]
        Allow = "allow",
        /// Skips it.
        Skip = "skip",
    }
}

policy! {
    /// Occurrences that were missed, because no tick ran or a service failed.
    Missed, "missed", {
        /// Skips them.
        Skip = "skip",
        /// Runs the latest of them, unless a newer one is due too: a report that was missed for 3 days is
        /// written once.
        #[default]
        Latest = "latest",
        /// Runs all of them.
        All = "all",
    }
}
