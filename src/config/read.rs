//! Typed reads of layered values. Every refusal names source and key.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::Value;

use super::layers::{ConfigError, Layers, OPEN_SECTION, Source};

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Layers {
    /// Refuses a key's value, naming its source.
    pub fn refuse(&self, key: &str, why: impl Display) -> ConfigError {
        ConfigError(format!("{}: {key} {why}", self.source(key)))
    }

    pub fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Default, |(_, source)| source.clone())
    }

    fn value(&self, key: &str) -> Result<&Value, ConfigError> {
        self.values.get(key).map(|(value, _)| value).ok_or_else(|| ConfigError(format!("{key} has no default")))
    }

    /// Text, trimmed.
    pub fn text(&self, key: &str) -> Result<&str, ConfigError> {
        self.value(key)?.as_str().map(str::trim).ok_or_else(|| self.refuse(key, "must be text"))
    }

    /// Text, `None` if empty.
    pub fn text_opt(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        Ok(Some(self.text(key)?).filter(|text| !text.is_empty()))
    }

    pub fn secret_opt(&self, key: &str) -> Result<Option<Secret>, ConfigError> {
        Ok(self.text_opt(key)?.map(Secret::new))
    }

    pub fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        self.value(key)?.as_bool().ok_or_else(|| self.refuse(key, "must be true or false"))
    }

    /// A whole number within bounds.
    pub fn number(&self, key: &str, bounds: RangeInclusive<i64>) -> Result<i64, ConfigError> {
        let number = self.value(key)?.as_integer().ok_or_else(|| self.refuse(key, "must be a whole number"))?;
        if bounds.contains(&number) {
            return Ok(number);
        }
        let (low, high) = bounds.into_inner();
        Err(self.refuse(key, format_args!("is {number}, must be {low} to {high}")))
    }

    /// The same in the caller's type, which must contain the bounds.
    pub fn count<T: TryFrom<i64>>(&self, key: &str, bounds: RangeInclusive<i64>) -> Result<T, ConfigError> {
        let number = self.number(key, bounds)?;
        T::try_from(number).map_err(|_| self.refuse(key, format_args!("is {number}, which does not fit")))
    }

    pub fn millis(&self, key: &str, bounds: RangeInclusive<i64>) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(self.count(key, bounds)?))
    }

    pub fn seconds(&self, key: &str, bounds: RangeInclusive<i64>) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(self.count(key, bounds)?))
    }

    /// A number with its unit: `90s`, `5m`, `12h`, `7d`.
    pub fn duration(&self, key: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, ConfigError> {
        let text = self.text(key)?;
        let found = duration(text).filter(|found| bounds.contains(found));
        found.ok_or_else(|| {
            let (low, high) = (bounds.start().as_secs() / 60, bounds.end().as_secs() / 86_400);
            self.refuse(key, format_args!("is {text:?}, must be {low}m to {high}d, such as 90s, 5m, 12h or 7d"))
        })
    }

    /// Text, parsed; `what` completes the sentence "must be …".
    pub fn parsed<T: FromStr>(&self, key: &str, what: &str) -> Result<T, ConfigError> {
        let text = self.text(key)?;
        text.parse().map_err(|_| self.refuse(key, format_args!("is {text:?}, must be {what}")))
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text(key)?;
        choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.refuse(key, format_args!("is {text:?}, must be {}", words.join(" or ")))
        })
    }

    /// Kafka client settings, by their own names; may hold passwords.
    pub fn kafka_settings(&self) -> BTreeMap<String, Secret> {
        self.values
            .iter()
            .filter_map(|(key, (value, _))| {
                let name = key.strip_prefix(OPEN_SECTION)?;
                Some((name.to_owned(), Secret::new(value.as_str()?)))
            })
            .collect()
    }
}

/// `90s`, `5m`, `12h`, `7d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}
