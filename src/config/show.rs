//! The effective configuration as text, secrets hidden.

use std::fmt::Write as _;

use toml::Value;

use super::layers::{Layers, OPEN_SECTION, Source};

const HIDDEN: &str = "***";

/// TOML that `--config` would accept, except for the secrets; each overridden value names its source.
pub fn show(layers: &Layers) -> String {
    let mut text = String::new();
    let mut section = "";
    let mut keys: Vec<_> = layers.values.keys().collect();
    // TOML requires keys without a section first.
    keys.sort_by_key(|key| (key.contains('.'), section_of(key), key.as_str()));
    for key in keys {
        let (value, source) = &layers.values[key];
        if section_of(key) != section {
            section = section_of(key);
            let _ = writeln!(text, "\n[{section}]");
        }
        let name = key.strip_prefix(section).map_or(key.as_str(), |rest| rest.trim_start_matches('.'));
        let name = if name.contains('.') { format!("{name:?}") } else { name.to_owned() };
        let _ = write!(text, "{name} = {}", hide(key, value));
        if *source != Source::Default {
            let _ = write!(text, "  # {source}");
        }
        text.push('\n');
    }
    text
}

/// Kafka client settings contain dots; their section is `log.kafka`.
fn section_of(key: &str) -> &str {
    match key.starts_with(OPEN_SECTION) {
        true => OPEN_SECTION.trim_end_matches('.'),
        false => key.rsplit_once('.').map_or("", |(section, _)| section),
    }
}

fn hide(key: &str, value: &Value) -> Value {
    let text = match value {
        Value::Array(tables) => return Value::Array(tables.iter().map(|table| hide(key, table)).collect()),
        Value::Table(table) => {
            // The URL of a chat is a secret.
            let slack = table.get("format").and_then(Value::as_str) == Some("slack");
            let hidden = |name: &str| name == "secret" || (slack && name == "url");
            let shown = |(name, value): (&String, &Value)| match hidden(name) {
                true => (name.clone(), Value::String(HIDDEN.to_owned())),
                false => (name.clone(), value.clone()),
            };
            return Value::Table(table.iter().map(shown).collect());
        }
        Value::String(text) => text,
        _ => return value.clone(),
    };
    let secret = ["secret", "password", "ssl.key", "oauthbearer", "jaas"].iter().any(|word| key.contains(word));
    if secret && !text.is_empty() {
        return Value::String(HIDDEN.to_owned());
    }
    Value::String(if key == "database.url" { hide_password(text) } else { text.clone() })
}

/// `postgres://user:password@host/name?password=…` without the password.
fn hide_password(url: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let mut shown = match (base.find("://"), base.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let credentials = &base[scheme + 3..at];
            let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
            let password = if credentials.contains(':') { format!(":{HIDDEN}") } else { String::new() };
            format!("{}{user}{password}{}", &base[..scheme + 3], &base[at..])
        }
        _ => base.to_owned(),
    };
    if let Some(query) = query {
        let kept: Vec<_> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if name.contains("password") => format!("{name}={HIDDEN}"),
                _ => pair.to_owned(),
            })
            .collect();
        shown = format!("{shown}?{}", kept.join("&"));
    }
    shown
}
