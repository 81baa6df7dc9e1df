//! Endpoints of webhooks that a file declares: `[[webhooks]]`. Only what TOML says is checked here; whether a URL, a type
//! or a secret is a right one the notifier knows.

use std::path::PathBuf;

use toml::{Table, Value};
use uuid::Uuid;

use super::layers::{ConfigError, Layers};
use super::read::Secret;

const KEY: &str = "webhooks";
const KEYS: [&str; 11] = [
    "name",
    "url",
    "url_file",
    "secret",
    "secret_file",
    "types",
    "schedule",
    "concert",
    "include_user",
    "format",
    "on_failure",
];

/// Text in the configuration itself, or a file that has nothing else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    Here(Secret),
    File(PathBuf),
}

/// One `[[webhooks]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredEndpoint {
    pub name: String,
    /// Of a chat it is a secret.
    pub url: Given,
    pub secret: Option<Given>,
    /// Empty: all.
    pub types: Vec<String>,
    pub schedule: Option<Uuid>,
    pub concert: Option<Uuid>,
    pub include_user: bool,
    /// For a chat.
    pub slack: bool,
    /// After the last attempt the endpoint is disabled, not the event given up.
    pub stop: bool,
}

/// What the file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredEndpoints {
    /// Absolute.
    pub file: String,
    pub endpoints: Vec<DeclaredEndpoint>,
}

impl DeclaredEndpoints {
    /// `None`: there is no file, and so nothing that it could have declared before either.
    pub(super) fn read(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        let tables = layers.values.get(KEY).and_then(|(value, _)| value.as_array());
        let tables = tables.ok_or_else(|| layers.refuse(KEY, "must be tables: [[webhooks]]"))?;
        let Some(file) = layers.file.clone() else { return Ok(None) };
        let mut endpoints: Vec<DeclaredEndpoint> = Vec::new();
        for (at, value) in tables.iter().enumerate() {
            let endpoint = Reader::of(layers, at, value)?.endpoint()?;
            if endpoints.iter().any(|other| other.name == endpoint.name) {
                return Err(layers.refuse(KEY, format_args!("has {:?} twice", endpoint.name)));
            }
            endpoints.push(endpoint);
        }
        Ok(Some(DeclaredEndpoints { file, endpoints }))
    }
}

/// Reads one of the tables. Errors name it by its name, or by its number.
struct Reader<'a> {
    layers: &'a Layers,
    table: &'a Table,
    which: String,
}

impl<'a> Reader<'a> {
    fn of(layers: &'a Layers, at: usize, value: &'a Value) -> Result<Self, ConfigError> {
        let Some(table) = value.as_table() else {
            return Err(layers.refuse(KEY, "must be tables: [[webhooks]]"));
        };
        let name = table.get("name").and_then(Value::as_str);
        let which = name.map_or_else(|| format!("number {}", at + 1), |name| format!("{name:?}"));
        let reader = Reader { layers, table, which };
        match table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(unknown) => Err(reader.refuse(unknown, "is not a known key")),
            None => Ok(reader),
        }
    }

    fn refuse(&self, key: &str, why: impl std::fmt::Display) -> ConfigError {
        self.layers.refuse(KEY, format_args!("{}: {key} {why}", self.which))
    }

    fn endpoint(&self) -> Result<DeclaredEndpoint, ConfigError> {
        let name = self.text("name")?.ok_or_else(|| self.refuse("name", "is missing"))?.to_owned();
        let url = self.given("url", "url_file")?.ok_or_else(|| self.refuse("url", "is missing"))?;
        Ok(DeclaredEndpoint {
            name,
            url,
            secret: self.given("secret", "secret_file")?,
            types: self.texts("types")?,
            schedule: self.id("schedule")?,
            concert: self.id("concert")?,
            include_user: self.flag("include_user")?,
            slack: self.second("format", ["standard", "slack"])?,
            stop: self.second("on_failure", ["skip", "stop"])?,
        })
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
        text.map(Some).ok_or_else(|| self.refuse(key, "must be text that is not empty"))
    }

    /// Text, or the name of a file that has it.
    fn given(&self, here: &str, file: &str) -> Result<Option<Given>, ConfigError> {
        match (self.text(here)?, self.text(file)?) {
            (Some(_), Some(_)) => Err(self.refuse(file, format_args!("and {here} are both given"))),
            (Some(text), None) => Ok(Some(Given::Here(Secret::new(text)))),
            (None, Some(path)) => Ok(Some(Given::File(path.into()))),
            (None, None) => Ok(None),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().and_then(|list| list.iter().map(|one| Some(one.as_str()?.to_owned())).collect());
        texts.ok_or_else(|| self.refuse(key, "must be a list of texts"))
    }

    fn id(&self, key: &str) -> Result<Option<Uuid>, ConfigError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.refuse(key, "must be a UUID"))
    }

    fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.refuse(key, "must be true or false"))
    }

    /// Whether it is the second of two words; left out: the first.
    fn second(&self, key: &str, words: [&str; 2]) -> Result<bool, ConfigError> {
        let text = self.text(key)?.unwrap_or(words[0]);
        let found = words.iter().position(|word| *word == text);
        let why = || self.refuse(key, format_args!("is {text:?}, must be {:?} or {:?}", words[0], words[1]));
        found.map(|at| at == 1).ok_or_else(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, layers, show};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn read(text: &str) -> Result<(Layers, Config), ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        let layers = layers(Some(&path), std::iter::empty())?;
        let config = Config::read(&layers)?;
        Ok((layers, config))
    }

    #[test]
    fn a_file_declares_endpoints_and_none_of_their_secrets_is_shown() {
        let (layers, config) = read(&format!(
            "[[webhooks]]\nname = \"shop\"\nurl = \"https://a.example/\"\nsecret = \"{SECRET}\"\n\
             types = [\"payment.*\"]\ninclude_user = true\non_failure = \"stop\"\n\
             [[webhooks]]\nname = \"chat\"\nurl = \"https://hooks.example/path\"\nformat = \"slack\"\n\
             [[webhooks]]\nname = \"third\"\nurl_file = \"/run/url\"\nsecret_file = \"/run/secret\"\n"
        ))
        .unwrap();
        let declared = config.webhooks.unwrap();
        assert!(declared.file.starts_with('/') && declared.file.ends_with("/t.toml"), "{}", declared.file);
        let [shop, chat, third] = &declared.endpoints[..] else { panic!("{declared:?}") };
        assert_eq!(
            (shop.name.as_str(), &shop.types[..], shop.include_user),
            ("shop", &["payment.*".to_owned()][..], true)
        );
        assert_eq!((shop.slack, shop.stop, chat.slack, chat.stop), (false, true, true, false));
        assert_eq!(third.url, Given::File("/run/url".into()));
        let shown = show(&layers);
        assert!(shown.contains("https://a.example/") && shown.contains("/run/secret"), "{shown}");
        assert!(!shown.contains(SECRET) && !shown.contains("hooks.example"), "{shown}");
        shown.parse::<Table>().expect("it is TOML");
    }

    #[test]
    fn a_file_without_any_declares_none_and_no_file_says_nothing() {
        assert_eq!(read("").unwrap().1.webhooks.unwrap().endpoints, []);
        let layers = layers(None, std::iter::empty()).unwrap();
        assert_eq!(Config::read(&layers).unwrap().webhooks, None);
    }

    #[test]
    fn what_is_wrong_is_refused_by_name_and_key() {
        let hook = |rest: &str| format!("[[webhooks]]\nname = \"shop\"\n{rest}\n");
        for (text, wanted) in [
            (hook(""), "webhooks \"shop\": url is missing"),
            ("[[webhooks]]\nurl = \"https://a.example\"\n".to_owned(), "webhooks number 1: name is missing"),
            (hook("ulr = \"x\""), "webhooks \"shop\": ulr is not a known key"),
            (hook("url = 7"), "webhooks \"shop\": url must be text that is not empty"),
            (hook("url = \"x\"\nurl_file = \"y\""), "webhooks \"shop\": url_file and url are both given"),
            (hook("url = \"x\"\nformat = \"fax\""), "must be \"standard\" or \"slack\""),
            (hook("url = \"x\"\ntypes = \"all\""), "types must be a list of texts"),
            (hook("url = \"x\"\nschedule = \"7\""), "schedule must be a UUID"),
            (hook("url = \"x\"").repeat(2), "has \"shop\" twice"),
            ("webhooks = \"shop\"\n".to_owned(), "webhooks must be a list of tables"),
            ("webhooks = [1]\n".to_owned(), "webhooks must be tables"),
        ] {
            let refused = read(&text).expect_err(&text).to_string();
            assert!(refused.contains(wanted) && refused.contains("t.toml"), "{text}: {refused}");
        }
        let environment = [("TURNSTILE__WEBHOOKS".to_owned(), "[]".to_owned())];
        let refused = layers(None, environment.into_iter()).expect_err("not by environment").to_string();
        assert!(refused.contains("TURNSTILE__WEBHOOKS") && refused.contains("in a file"), "{refused}");
    }
}
