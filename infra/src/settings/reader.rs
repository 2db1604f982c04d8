//! Reads variables one by one, and collects the mistakes.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// All mistakes, each with its variable, its value and the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    mistakes: Vec<String>,
}

impl SettingsError {
    /// The mistakes, one line each.
    #[must_use]
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mistakes.join("; "))
    }
}

impl std::error::Error for SettingsError {}

/// Looks variables up, and notes their mistakes.
pub(super) struct Reader<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(look_up: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { look_up, mistakes: Vec::new() }
    }

    /// The settings, unless there was a mistake.
    pub(super) fn finish<T>(self, settings: T) -> Result<T, SettingsError> {
        if self.mistakes.is_empty() { Ok(settings) } else { Err(SettingsError { mistakes: self.mistakes }) }
    }

    pub(super) fn refuse(&mut self, variable: &str, expected: &str, got: &str) {
        self.mistakes.push(format!("{variable}: expected {expected}, got {got:?}"));
    }

    /// A text of any kind.
    pub(super) fn text(&self, variable: &str) -> Option<String> {
        (self.look_up)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(&mut self, variable: &str, range: RangeInclusive<u64>, default: T) -> T
    where
        T: TryFrom<u64>,
    {
        let Some(text) = self.text(variable) else { return default };
        let number = text.parse().ok().filter(|number| range.contains(number));
        if let Some(number) = number.and_then(|number| T::try_from(number).ok()) {
            return number;
        }
        self.refuse(variable, &format!("a whole number from {} to {}", range.start(), range.end()), &text);
        default
    }

    /// A duration in whole milliseconds within `range`.
    pub(super) fn millis(
        &mut self,
        variable: &str,
        range: RangeInclusive<u64>,
        default: Duration,
    ) -> Duration {
        let Some(text) = self.text(variable) else { return default };
        match text.parse::<u64>() {
            Ok(millis) if range.contains(&millis) => Duration::from_millis(millis),
            _ => {
                let expected = format!("whole milliseconds from {} to {}", range.start(), range.end());
                self.refuse(variable, &expected, &text);
                default
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, variable: &str, choices: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(variable) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return *value;
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.refuse(variable, &words.join(" or "), &text);
        default
    }
}
