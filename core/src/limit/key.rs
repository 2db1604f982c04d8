//! What a limit counts together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidLimit;

/// The key of a limit: what has the same key shares one limit over the whole fleet. 1 to
/// [`LimitKey::MAX_LEN`] bytes without control characters.
///
/// ```
/// use lambda_jobs_core::limit::LimitKey;
///
/// assert_eq!("send-email/tenant=acme".parse::<LimitKey>()?.as_str(), "send-email/tenant=acme");
/// assert_eq!(
///     "".parse::<LimitKey>().unwrap_err().to_string(),
///     r#"limit key: expected 1 to 512 bytes without control characters, got """#,
/// );
/// # Ok::<(), lambda_jobs_core::limit::InvalidLimit>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LimitKey(String);

/// How much of a wrong key or scope its error shows.
pub(super) const SHOWN: usize = 80;

impl LimitKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 512;

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LimitKey {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        if (1..=Self::MAX_LEN).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = format!("1 to {} bytes without control characters", Self::MAX_LEN);
            let shown: String = text.chars().take(SHOWN).collect();
            Err(InvalidLimit::new("limit key", expected, format!("{shown:?}")))
        }
    }
}

impl TryFrom<String> for LimitKey {
    type Error = InvalidLimit;

    fn try_from(text: String) -> Result<Self, InvalidLimit> {
        text.parse()
    }
}

impl From<LimitKey> for String {
    fn from(key: LimitKey) -> Self {
        key.0
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LimitKey {
    /// The key of this text, which is not empty. Control characters and the backslash are escaped, so that no two
    /// texts become the same key, and one that is too long ends in a hash of all of it.
    pub(crate) fn of(text: &str) -> Self {
        let mut plain = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_control() || c == '\\' { plain.extend(c.escape_default()) } else { plain.push(c) }
        }
        if plain.len() > Self::MAX_LEN {
            // FNV-1a: the same in every release, because the key is stored.
            let hash = plain.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let end = (0..=Self::MAX_LEN - 17).rev().find(|at| plain.is_char_boundary(*at)).unwrap_or(0);
            plain.truncate(end);
            plain = format!("{plain}#{hash:016x}");
        }
        Self(plain)
    }
}
