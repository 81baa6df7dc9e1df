//! Values by dotted key, each with its source: defaults, then a file, then the environment.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

/// Prefix of environment variables that are configuration; `TURNSTILE_…` with one underscore is not.
pub const ENV_PREFIX: &str = "TURNSTILE__";

/// The one section with arbitrary keys: they are passed to the Kafka client.
pub const OPEN_SECTION: &str = "log.kafka.";

/// Variables of OpenTelemetry, and the settings that they stand for.
const STANDARD_NAMES: [(&str, &str); 3] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.trace_ratio"),
];

/// Source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(String),
    Env(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {path}"),
            Source::Env(name) => write!(f, "environment {name}"),
        }
    }
}

/// One line for the operator: source, key and reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {0}")]
pub struct ConfigError(pub String);

/// The merged values.
#[derive(Debug, Clone)]
pub struct Layers {
    pub(super) values: BTreeMap<String, (Value, Source)>,
    /// The file, if there is one.
    pub(super) file: Option<String>,
}

impl Layers {
    /// The defaults define the keys and their types.
    pub fn defaults(text: &str) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for (key, value) in flatten(text, &Source::Default)? {
            values.insert(key, (value, Source::Default));
        }
        Ok(Self { values, file: None })
    }

    /// Overrides with a file's content; `path` is for errors only.
    pub fn add_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let source = Source::File(path.to_owned());
        for (key, value) in flatten(text, &source)? {
            let value = if key.starts_with(OPEN_SECTION) { as_text(value) } else { value };
            self.set(key, value, source.clone())?;
        }
        Ok(())
    }

    /// Overrides with environment variables; ignores those without the prefix. What OpenTelemetry calls by names of its own
    /// counts where no file says otherwise.
    pub fn add_env(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
        let (mut ours, others): (Vec<_>, Vec<_>) = variables.partition(|(name, _)| name.starts_with(ENV_PREFIX));
        let sampler = others.iter().find(|(name, text)| name == "OTEL_TRACES_SAMPLER" && !text.is_empty());
        let is_ratio = sampler.is_none_or(|(_, text)| text.ends_with("traceidratio"));
        for (name, key) in STANDARD_NAMES {
            let found = others.iter().find(|(of, text)| of == name && !text.is_empty());
            if let Some((name, text)) = found
                && (is_ratio || key != "telemetry.trace_ratio")
                && self.values.get(key).is_some_and(|(_, source)| *source == Source::Default)
            {
                self.set(key.to_owned(), Value::String(text.clone()), Source::Env(name.clone()))?;
            }
        }
        ours.sort();
        for (name, text) in ours {
            let key = env_key(&name);
            let source = Source::Env(name);
            let value = match self.values.get(&key) {
                Some((default, _)) => parse_as(default, &text).ok_or_else(|| wrong_type(&source, &key, default))?,
                None => Value::String(text),
            };
            self.set(key, value, source)?;
        }
        Ok(())
    }

    fn set(&mut self, key: String, value: Value, source: Source) -> Result<(), ConfigError> {
        match self.values.get(&key) {
            Some((known, _)) if !known.same_type(&value) => return Err(wrong_type(&source, &key, known)),
            None if !key.starts_with(OPEN_SECTION) => {
                return Err(ConfigError(format!("{source}: {key} is not a known key")));
            }
            _ => {}
        }
        self.values.insert(key, (value, source));
        Ok(())
    }
}

/// `TURNSTILE__LOG__TOPIC_PREFIX` → `log.topic_prefix`; below `log.kafka` an underscore stands for a dot.
fn env_key(name: &str) -> String {
    let key = name[ENV_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
    match key.strip_prefix(OPEN_SECTION) {
        Some(rest) => format!("{OPEN_SECTION}{}", rest.replace('_', ".")),
        None => key,
    }
}

fn wrong_type(source: &Source, key: &str, expected: &Value) -> ConfigError {
    let expected = match expected {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Float(_) => "a number",
        Value::Array(_) => "a list of tables, in a file: [[webhooks]]",
        _ => "text",
    };
    ConfigError(format!("{source}: {key} must be {expected}"))
}

fn parse_as(example: &Value, text: &str) -> Option<Value> {
    Some(match example {
        Value::Integer(_) => Value::Integer(text.trim().parse().ok()?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().ok()?),
        Value::Float(_) => Value::Float(text.trim().parse().ok()?),
        _ => Value::String(text.to_owned()),
    })
}

/// Kafka client settings are text.
fn as_text(value: Value) -> Value {
    match value {
        Value::String(_) => value,
        other => Value::String(other.to_string()),
    }
}

fn flatten(text: &str, source: &Source) -> Result<Vec<(String, Value)>, ConfigError> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        ConfigError(format!("{source}: line {line} is not TOML: {}", error.message()))
    })?;
    let mut flat = Vec::new();
    flatten_into(&mut flat, "", table);
    Ok(flat)
}

fn flatten_into(flat: &mut Vec<(String, Value)>, prefix: &str, table: Table) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(inner) => flatten_into(flat, &format!("{key}."), inner),
            leaf => flat.push((key, leaf)),
        }
    }
}
