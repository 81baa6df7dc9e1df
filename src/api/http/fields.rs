//! Reads a JSON body field by field and collects what is wrong, each with its RFC 6901 pointer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::problem::{FieldError, Kind, Problem};
use crate::domain::money::AMOUNT_MAX;
use crate::domain::{Amount, Code, LogTime};
use crate::wire::time::parse_rfc3339;

/// Most wrong fields one answer lists.
const ERRORS_MAX: usize = 50;

/// Names of sections and categories have one spelling (NFC); clients may use another.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Reads one body. Each getter gives `None` for a field that is wrong and notes why; [`Fields::finish`] has the last
/// word.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    pointer: String,
    errors: Vec<FieldError>,
    /// Something other than an amount was wrong.
    beyond_amounts: bool,
}

impl<'a> Fields<'a> {
    pub fn of(body: &'a Value) -> Result<Self, Problem> {
        let Value::Object(object) = body else {
            return Err(Problem::field("", "the body must be a JSON object"));
        };
        Ok(Fields { object, pointer: String::new(), errors: Vec::new(), beyond_amounts: false })
    }

    /// The value, if no field was wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ if self.beyond_amounts => Err(Problem::fields(Kind::InvalidFields, self.errors)),
            _ => Err(Problem::fields(Code::InvalidAmount, self.errors)),
        }
    }

    /// Whether the field is given and not null.
    pub fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Notes that a field is wrong.
    pub fn reject<T>(&mut self, name: &str, detail: impl Into<String>) -> Option<T> {
        self.beyond_amounts = true;
        self.note(name, detail)
    }

    /// What a charge or a debit moves: an integer, 1..=[`AMOUNT_MAX`].
    pub fn amount(&mut self, name: &str) -> Option<i64> {
        self.money(name, |amount| Amount::movement(amount).is_ok(), format_args!("from 1 to {AMOUNT_MAX}"))
    }

    /// The price of one seat: an integer, 0..=[`AMOUNT_MAX`].
    pub fn price(&mut self, name: &str) -> Option<Amount> {
        let is_price = |amount| Amount::price(amount).is_ok();
        self.money(name, is_price, format_args!("from 0 to {AMOUNT_MAX}")).and_then(|amount| Amount::price(amount).ok())
    }

    /// What several seats cost together: an integer, 0..=10^14.
    pub fn total(&mut self, name: &str) -> Option<i64> {
        self.money(name, |amount| Amount::new(amount).is_ok(), format_args!("from 0 to {}", 100 * AMOUNT_MAX))
    }

    /// An object: prices by name, such as `{"R": 1000}`.
    pub fn prices<N: FromStr<Err: Display> + Ord>(
        &mut self,
        name: &str,
        count_max: usize,
    ) -> Option<BTreeMap<N, Amount>> {
        let count = self.object.get(name).and_then(Value::as_object).map_or(0, Map::len);
        if count > count_max {
            return self.reject(name, format!("must have at most {count_max} members"));
        }
        self.object(name, |prices| {
            let object = prices.object;
            let mut read = BTreeMap::new();
            for key in object.keys() {
                let price = prices.price(key);
                match nfc(key).parse() {
                    Ok(category) => read.extend(price.map(|price| (category, price))),
                    Err(error) => drop(prices.reject::<()>(key, N::Err::to_string(&error))),
                }
            }
            (read.len() == object.len()).then_some(read)
        })
    }

    /// An object: values by name.
    pub fn texts<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<BTreeMap<&'a str, T>> {
        self.object(name, |texts| {
            let object = texts.object;
            let values = object.keys().map(|key| Some((key.as_str(), texts.parsed(key)?)));
            values.collect()
        })
    }

    fn money(&mut self, name: &str, is_good: impl Fn(i64) -> bool, range: impl Display) -> Option<i64> {
        match self.object.get(name) {
            None => self.note(name, "is missing"),
            Some(value) => match value.as_i64().filter(|amount| is_good(*amount)) {
                Some(amount) => Some(amount),
                None => self.note(name, format!("must be an integer {range}")),
            },
        }
    }

    pub fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let (low, high) = (*range.start(), *range.end());
        let number = self.required(name)?.as_i64().filter(|number| range.contains(number));
        number.or_else(|| self.reject(name, format!("must be an integer from {low} to {high}")))
    }

    /// Text of 1..=`chars_max` characters without control characters, which not every store can keep.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<&'a str> {
        let text = self.string(name)?;
        match text.chars().count() {
            0 => self.reject(name, "must not be empty"),
            count if count > chars_max => self.reject(name, format!("must have at most {chars_max} characters")),
            _ if text.chars().any(|c| c.is_control() && c != '\n') => {
                self.reject(name, "must not have control characters")
            }
            _ => Some(text),
        }
    }

    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.required(name)?.as_bool();
        value.or_else(|| self.reject(name, "must be true or false"))
    }

    /// A time in RFC 3339.
    pub fn time(&mut self, name: &str) -> Option<LogTime> {
        let time = parse_rfc3339(self.string(name)?);
        time.or_else(|| self.reject(name, "must be a time like 2026-11-21T07:00:00Z"))
    }

    /// Text that a type of the domain reads.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.string(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => self.reject(name, error.to_string()),
        }
    }

    /// A name of a section or a category, in whatever normal form.
    pub fn name<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match nfc(self.string(name)?).parse() {
            Ok(value) => Some(value),
            Err(error) => self.reject(name, error.to_string()),
        }
    }

    /// An absent or null field is `Some(None)`; otherwise what `read` says.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(&mut Self, &str) -> Option<T>) -> Option<Option<T>> {
        if self.has(name) { read(self, name).map(Some) } else { Some(None) }
    }

    /// A list of strings; `read` judges each.
    pub fn strings<T>(
        &mut self,
        name: &str,
        count_max: usize,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.list(name, count_max)?;
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let value = item.as_str().ok_or_else(|| "must be a string".to_owned()).and_then(&read);
            match value {
                Ok(value) => values.push(value),
                Err(detail) => {
                    let _: Option<()> = self.reject(&format!("{name}/{index}"), detail);
                }
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// A list of lists of `N` integers of 0 or more each; it may be empty.
    pub fn tuples<const N: usize>(&mut self, name: &str, count_max: usize) -> Option<Vec<[u32; N]>> {
        let Value::Array(items) = self.required(name)? else { return self.reject(name, "must be a list") };
        if items.len() > count_max {
            return self.reject(name, format!("must have at most {count_max} items"));
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let numbers = item.as_array().map(|numbers| numbers.iter().map(|n| u32::try_from(n.as_u64()?).ok()));
            let numbers: Option<Vec<u32>> = numbers.and_then(Iterator::collect);
            match numbers.and_then(|numbers| <[u32; N]>::try_from(numbers).ok()) {
                Some(numbers) => values.push(numbers),
                None => {
                    let _: Option<()> =
                        self.reject(&format!("{name}/{index}"), format!("must be a list of {N} integers of 0 or more"));
                }
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// A list of objects; `read` reads each.
    pub fn objects<T>(
        &mut self,
        name: &str,
        count_max: usize,
        read: impl Fn(&mut Fields<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.list(name, count_max)?;
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = format!("{name}/{index}");
            match item {
                Value::Object(object) => values.extend(self.within(&place, object, &read)),
                _ => {
                    let _: Option<()> = self.reject(&place, "must be an object");
                }
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// One object inside this one.
    pub fn object<T>(&mut self, name: &str, read: impl Fn(&mut Fields<'a>) -> Option<T>) -> Option<T> {
        match self.required(name)? {
            Value::Object(object) => self.within(name, object, &read),
            _ => self.reject(name, "must be an object"),
        }
    }

    fn within<T>(
        &mut self,
        name: &str,
        object: &'a Map<String, Value>,
        read: &impl Fn(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        let pointer = format!("{}/{name}", self.pointer);
        let errors = std::mem::take(&mut self.errors);
        let mut inner = Fields { object, pointer, errors, beyond_amounts: self.beyond_amounts };
        let value = read(&mut inner);
        self.errors = inner.errors;
        self.beyond_amounts = inner.beyond_amounts;
        value
    }

    fn list(&mut self, name: &str, count_max: usize) -> Option<&'a Vec<Value>> {
        match self.required(name)? {
            Value::Array(items) if (1..=count_max).contains(&items.len()) => Some(items),
            Value::Array(_) => self.reject(name, format!("must have 1 to {count_max} items")),
            _ => self.reject(name, "must be a list"),
        }
    }

    fn string(&mut self, name: &str) -> Option<&'a str> {
        let text = self.required(name)?.as_str();
        text.or_else(|| self.reject(name, "must be a string"))
    }

    fn required(&mut self, name: &str) -> Option<&'a Value> {
        let value = self.object.get(name);
        value.or_else(|| self.reject(name, "is missing"))
    }

    fn note<T>(&mut self, name: &str, detail: impl Into<String>) -> Option<T> {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(FieldError { pointer: format!("{}/{name}", self.pointer), detail: detail.into() });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(body: &Value, read: impl Fn(&mut Fields<'_>)) -> Vec<(String, String)> {
        let mut fields = Fields::of(body).unwrap();
        read(&mut fields);
        fields.errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
    }

    #[test]
    fn every_wrong_field_is_named_with_its_pointer() {
        let body = json!({"title": 3, "flag": "yes", "count": 101, "when": "soon", "rows": [{"price": -1}, 7, {}]});
        let found = problems(&body, |fields| {
            fields.text("title", 10);
            fields.boolean("flag");
            fields.integer("count", 1..=100);
            fields.time("when");
            fields.text("absent", 10);
            fields.objects("rows", 10, |row| row.amount("price"));
        });
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        let expected = ["/title", "/flag", "/count", "/when", "/absent", "/rows/0/price", "/rows/1", "/rows/2/price"];
        assert_eq!(pointers, expected);
    }

    #[test]
    fn amounts_are_whole_positive_and_bounded() {
        let texts = ["0", "-1", "1.5", "1.0", "\"100\"", "10000000000000", "1e3", "null", "true", "[1]", "1e400"];
        for text in texts {
            let Ok(amount) = serde_json::from_str::<Value>(text) else { continue };
            let body = json!({ "amount": amount });
            let mut fields = Fields::of(&body).unwrap();
            let value = fields.amount("amount");
            let problem = fields.finish(value).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code.as_str()), (422, "invalid_amount"), "{text}");
        }
        for good in [1, AMOUNT_MAX] {
            let body = json!({ "amount": good });
            let mut fields = Fields::of(&body).unwrap();
            let value = fields.amount("amount");
            assert_eq!(fields.finish(value), Ok(good));
        }
    }

    #[test]
    fn a_seat_may_be_free_and_a_hundred_seats_may_cost_more_than_one() {
        let body = json!({ "price": 0, "high": AMOUNT_MAX + 1, "total": 100 * AMOUNT_MAX });
        let found = problems(&body, |fields| {
            assert_eq!(fields.price("price"), Some(Amount::ZERO));
            assert_eq!(fields.total("total"), Some(100 * AMOUNT_MAX));
            fields.price("high");
            fields.total("absent");
        });
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn names_are_read_in_any_normal_form() {
        let body = json!({ "name": "Parkett e\u{301}", "hidden": "A\u{200b}" });
        let found = problems(&body, |fields| {
            let name: Option<crate::domain::SectionName> = fields.name("name");
            assert_eq!(name.unwrap().as_str(), "Parkett \u{e9}");
            fields.name::<crate::domain::SectionName>("hidden");
        });
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn lists_of_numbers_have_the_length_they_should() {
        let body = json!({ "good": [[1, 20], [21, 40]], "none": [], "bad": [[1, 2], [1], 7, [1, -2], [1, 2, 3]] });
        let found = problems(&body, |fields| {
            assert_eq!(fields.tuples::<2>("good", 10), Some(vec![[1, 20], [21, 40]]));
            assert_eq!(fields.tuples::<2>("none", 10), Some(vec![]));
            fields.tuples::<2>("bad", 10);
            fields.tuples::<2>("good", 1);
        });
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/bad/1", "/bad/2", "/bad/3", "/bad/4", "/good"]);
    }

    #[test]
    fn text_is_counted_in_characters_and_keeps_no_control_characters() {
        let body = json!({"ok": "ä".repeat(10), "long": "x".repeat(11), "nul": "a\u{0}b", "empty": ""});
        let found = problems(&body, |fields| {
            assert!(fields.text("ok", 10).is_some());
            fields.text("long", 10);
            fields.text("nul", 10);
            fields.text("empty", 10);
        });
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_flood_of_errors_is_cut() {
        let body = json!({ "rows": vec![1; 1000] });
        let found = problems(&body, |fields| {
            fields.objects("rows", 1000, |row| row.amount("price"));
        });
        assert_eq!(found.len(), ERRORS_MAX);
    }
}
