//! As much of JSON Schema as `asyncapi.yaml` uses; a keyword it does not know is an error.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

pub struct Schemas<'d> {
    document: &'d Value,
    /// Properties met while checking, as `{schema}.{property}`.
    used: RefCell<BTreeSet<String>>,
}

type Checked = Result<(), String>;

impl<'d> Schemas<'d> {
    pub fn new(document: &'d Value) -> Self {
        Schemas { document, used: RefCell::default() }
    }

    /// Whether a value keeps the named schema. Properties that are not described are allowed.
    pub fn accepts(&self, schema: &str, value: &Value) -> Checked {
        self.value(&self.document["components"]["schemas"][schema], schema, value, false)
    }

    /// The same, but what is not described is an error.
    pub fn check(&self, schema: &str, value: &Value) -> Checked {
        self.value(&self.document["components"]["schemas"][schema], schema, value, true)
    }

    /// Described properties of payloads that [`Schemas::check`] has not met.
    pub fn unused(&self) -> Vec<String> {
        let mut all = BTreeSet::new();
        for (name, schema) in self.document["components"]["schemas"].as_object().unwrap() {
            if !name.ends_with("Headers") {
                described(schema, name, &mut all);
            }
        }
        all.difference(&self.used.borrow()).cloned().collect()
    }

    fn value(&self, schema: &Value, path: &str, value: &Value, closed: bool) -> Checked {
        let rules = schema.as_object().ok_or_else(|| format!("no schema {path}"))?;
        for (keyword, rule) in rules {
            let kept = match keyword.as_str() {
                "$ref" => {
                    let name = rule.as_str().and_then(|text| text.strip_prefix("#/components/schemas/"));
                    let name = name.unwrap_or_else(|| panic!("{path}: {rule}"));
                    self.value(&self.document["components"]["schemas"][name], name, value, closed)?;
                    true
                }
                "type" => is_type(rule, value),
                "const" => rule == value,
                "enum" => rule.as_array().unwrap().contains(value),
                "minimum" => value.as_number().is_none_or(|_| integer(value) >= integer(rule)),
                "maximum" => value.as_number().is_none_or(|_| integer(value) <= integer(rule)),
                "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap()),
                "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap()),
                "uniqueItems" => value.as_array().is_none_or(|list| {
                    list.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len() == list.len()
                }),
                "maxLength" => value.as_str().is_none_or(|s| s.chars().count() as u64 <= rule.as_u64().unwrap()),
                "pattern" => value.as_str().is_none_or(|text| matches_pattern(rule.as_str().unwrap(), text)),
                "format" => is_format(rule.as_str().unwrap(), value),
                "required" => value.as_object().is_none_or(|fields| {
                    rule.as_array().unwrap().iter().all(|name| fields.contains_key(name.as_str().unwrap()))
                }),
                "items" => {
                    let list = value.as_array().into_iter().flatten();
                    list.into_iter().try_for_each(|item| self.value(rule, path, item, closed))?;
                    true
                }
                "properties" => {
                    self.properties(rule, path, value, closed)?;
                    true
                }
                "oneOf" => {
                    // Branches only narrow down when properties stand beside them.
                    let closed = closed && !rules.contains_key("properties");
                    let branches = rule.as_array().unwrap().iter();
                    branches.filter(|branch| self.value(branch, path, value, closed).is_ok()).count() == 1
                }
                "not" => self.value(rule, path, value, false).is_err(),
                "description" | "default" | "examples" => true,
                unknown => panic!("{path}: keyword {unknown} is not known to this test"),
            };
            if !kept {
                return Err(format!("{path}: {value} does not keep {keyword} {rule}"));
            }
        }
        Ok(())
    }

    fn properties(&self, described: &Value, path: &str, value: &Value, closed: bool) -> Checked {
        for (name, field) in value.as_object().into_iter().flatten() {
            match described.get(name) {
                Some(schema) => {
                    let path = format!("{path}.{name}");
                    self.value(schema, &path, field, closed)?;
                    if closed {
                        self.used.borrow_mut().insert(path);
                    }
                }
                None if closed => return Err(format!("{path}: {name} is not described")),
                None => {}
            }
        }
        Ok(())
    }
}

fn described(schema: &Value, path: &str, all: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        described(property, &path, all);
        all.insert(path);
    }
    if schema["items"].is_object() {
        described(&schema["items"], path, all);
    }
    if !schema["properties"].is_object() {
        schema["oneOf"].as_array().into_iter().flatten().for_each(|branch| described(branch, path, all));
    }
}

fn integer(value: &Value) -> i128 {
    value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)).unwrap_or(i128::MAX)
}

fn is_type(rule: &Value, value: &Value) -> bool {
    let one = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("type {other}"),
    };
    match rule {
        Value::Array(names) => names.iter().any(|name| one(name.as_str().unwrap())),
        name => one(name.as_str().unwrap()),
    }
}

fn is_format(format: &str, value: &Value) -> bool {
    match (format, value) {
        ("int64", Value::Number(number)) => number.is_i64(),
        ("uuid", Value::String(text)) => text.parse::<uuid::fmt::Hyphenated>().is_ok(),
        ("date-time", Value::String(text)) => turnstile::wire::time::parse_rfc3339(text).is_some(),
        ("int64" | "uuid" | "date-time", _) => true,
        _ => panic!("format {format}"),
    }
}

fn matches_pattern(pattern: &str, text: &str) -> bool {
    // Of the format characters (Cf) the ones that the tests know.
    let is_visible = |text: &str, max: usize| {
        let hidden = |c: char| c.is_control() || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
        (1..=max).contains(&text.chars().count()) && !text.chars().any(hidden)
    };
    match pattern {
        "^[A-Za-z0-9._-]{1,32}$" => {
            (1..=32).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        }
        r"^[^\p{Cc}\p{Cf}]{1,128}$" => is_visible(text, 128),
        r"^[^\p{Cc}\p{Cf}]{1,64}$" => is_visible(text, 64),
        r"^[^\p{Cc}\p{Cf}]{1,64}-[1-9][0-9]{0,9}$" => text.rsplit_once('-').is_some_and(|(section, number)| {
            let digits = (1..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
            is_visible(section, 64) && digits && !number.starts_with('0')
        }),
        "^[0-9a-f]{16}$" => text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        r"^[^\x00-\x1f\x7f-\x9f]*$" => !text.chars().any(char::is_control),
        _ => panic!("pattern {pattern}"),
    }
}
