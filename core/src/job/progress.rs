//! How far an attempt has come.
//!
//! A handler's words are a stranger's text that lists and terminals show. So they are one short line, without control
//! characters, from the moment they are set.

use serde::{Deserialize, Serialize};

use super::is_printable;

/// A share in whole percent, from 0 to 100. Whatever it is made of, it stays within those bounds.
///
/// ```
/// use lambda_jobs_core::job::Percent;
///
/// assert_eq!(Percent::of(1, 3).get(), 33);
/// assert_eq!(Percent::from(250).get(), 100);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// Everything.
    pub const ALL: Self = Self(100);

    /// The share of `done` things in `total`, rounded down. If there is nothing to do, all is done.
    #[must_use]
    pub fn of(done: u64, total: u64) -> Self {
        let percent = (u128::from(done) * 100).checked_div(u128::from(total));
        percent.map_or(Self::ALL, |percent| u8::try_from(percent).map_or(Self::ALL, Self::from))
    }

    /// The number, from 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl From<u8> for Percent {
    fn from(percent: u8) -> Self {
        Self(percent.min(Self::ALL.0))
    }
}

impl From<i32> for Percent {
    fn from(percent: i32) -> Self {
        Self::from(u8::try_from(percent.clamp(0, 100)).unwrap_or_default())
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// What a handler last said about its progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// How much is done.
    pub percent: Percent,
    /// The handler's words about it, perhaps none; at most [`Progress::MAX_WORDS`] bytes on one line.
    #[serde(default)]
    pub words: String,
}

impl Progress {
    /// The longest words, in bytes.
    pub const MAX_WORDS: usize = 200;

    /// This progress, in as much of these words as it holds. Characters that are not printable are left out.
    #[must_use]
    pub fn new(percent: Percent, words: &str) -> Self {
        let mut progress = Self::default();
        progress.set(percent, words);
        progress
    }

    /// Replaces what it says. It keeps its memory, because a handler may say something often.
    pub(crate) fn set(&mut self, percent: Percent, words: &str) {
        self.percent = percent;
        self.words.clear();
        for letter in words.chars().filter(|letter| is_printable(*letter)) {
            if self.words.len() + letter.len_utf8() > Self::MAX_WORDS {
                break;
            }
            self.words.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_stays_between_nothing_and_all() {
        assert_eq!(
            [0, 7, 100, 101, 255].map(|percent: u8| Percent::from(percent).get()),
            [0, 7, 100, 100, 100]
        );
        assert_eq!([i32::MIN, -1, 50, i32::MAX].map(|percent| Percent::from(percent).get()), [0, 0, 50, 100]);
        let of = |done, total| Percent::of(done, total).get();
        assert_eq!([of(0, 9), of(8, 9), of(9, 9), of(10, 9), of(0, 0)], [0, 88, 100, 100, 100]);
        assert_eq!([of(u64::MAX, u64::MAX), of(u64::MAX, 1), of(1, u64::MAX)], [100, 100, 0]);
        assert_eq!(serde_json::from_str::<Percent>("200").unwrap().get(), 100);
    }

    #[test]
    fn words_are_one_short_line_cut_between_letters() {
        assert_eq!(Progress::new(Percent::ALL, "a\n\u{1b}[31mb\u{7f}\u{9b}").words, "a[31mb");
        let long = Progress::new(Percent::ALL, &"ü".repeat(1_000)).words;
        assert_eq!(long, "ü".repeat(100));
        let odd = Progress::new(Percent::ALL, &format!("x{}", "ü".repeat(1_000))).words;
        assert_eq!(odd.len(), 199, "half a letter is none");
    }
}
