//! Members of JSON objects, read leniently: what can be understood is taken, with a warning if it is odd.

use serde_json::{Map, Value};

use crate::plan::finding::{At, PlanError, Warnings};
use crate::plan::text::{self, TEXT_MAX};
use crate::plan::types::{HUNDREDTHS, POSITION_MAX, Point};

/// In units, not yet rounded: positions are rounded once, after they have been added up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offset {
    pub x: f64,
    pub y: f64,
}

impl Offset {
    pub fn plus(self, other: Offset) -> Offset {
        Offset { x: self.x + other.x, y: self.y + other.y }
    }

    pub fn rounded(self, at: At<'_>) -> Result<Point, PlanError> {
        Ok(Point { x: hundredths(self.x, at)?, y: hundredths(self.y, at)? })
    }
}

pub fn hundredths(value: f64, at: At<'_>) -> Result<i32, PlanError> {
    if !value.is_finite() || value.abs() > f64::from(POSITION_MAX) {
        return Err(PlanError::new(at, format!("{value} is more than {POSITION_MAX} from the corner")));
    }
    Ok((value * f64::from(HUNDREDTHS)).round() as i32)
}

pub struct Object<'a> {
    members: &'a Map<String, Value>,
    at: At<'a>,
    /// `a seat`
    what: &'static str,
}

impl<'a> Object<'a> {
    pub fn of(value: &'a Value, at: At<'a>, what: &'static str) -> Result<Self, PlanError> {
        match value {
            Value::Object(members) => Ok(Object { members, at, what }),
            _ => Err(PlanError::new(at, format!("{what} must be an object"))),
        }
    }

    pub fn at(&self) -> At<'a> {
        self.at
    }

    /// Members of other names are ignored.
    pub fn note_unknown(&self, known: &[&str], warnings: &mut Warnings) {
        for name in self.members.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown = text::shortened(name, 40);
            warnings.note(At::Member(&self.at, name), format!("{shown:?} of {} is ignored", self.what));
        }
    }

    /// `None` also if it is null.
    pub fn member(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub fn required(&self, name: &'a str) -> Result<&'a Value, PlanError> {
        self.member(name).ok_or_else(|| self.error(name, "is missing"))
    }

    pub fn error(&self, name: &str, message: impl Into<String>) -> PlanError {
        PlanError::new(At::Member(&self.at, name), message)
    }

    /// Without this member the object has no odd value, so it is left out.
    pub fn odd(&self, name: &str, expected: &str, warnings: &mut Warnings) {
        warnings.note(At::Member(&self.at, name), format!("{name:?} of {} is not {expected}: ignored", self.what));
    }

    pub fn items(&self, name: &'a str) -> Result<&'a [Value], PlanError> {
        match self.required(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(self.error(name, "must be an array")),
        }
    }

    /// As it stands in the file; a number is taken for its digits.
    pub fn exact_text(&self, name: &str, warnings: &mut Warnings) -> Result<Option<String>, PlanError> {
        let text = match self.member(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => {
                let message = format!("{name:?} of {} is a number, not a text: taken as it is", self.what);
                warnings.note(At::Member(&self.at, name), message);
                number.to_string()
            }
            Some(_) => return Err(self.error(name, "must be a text")),
        };
        if !text::fits(&text, TEXT_MAX) {
            return Err(self.error(name, format!("is longer than {TEXT_MAX} characters")));
        }
        Ok(Some(text))
    }

    /// A text for people: NFC, nothing invisible.
    pub fn text(&self, name: &str, warnings: &mut Warnings) -> Result<Option<String>, PlanError> {
        let Some(given) = self.exact_text(name, warnings)? else { return Ok(None) };
        let (cleaned, had_invisible) = text::clean(&given);
        if had_invisible {
            let message = format!("{name:?} of {} has invisible characters: left out", self.what);
            warnings.note(At::Member(&self.at, name), message);
        }
        Ok(Some(cleaned.into_owned()))
    }

    pub fn required_text(&self, name: &'a str, warnings: &mut Warnings) -> Result<String, PlanError> {
        self.required(name)?;
        Ok(self.text(name, warnings)?.unwrap_or_default())
    }

    /// A number, also one in a text. `None`: it is not there, or it is odd.
    pub fn number(&self, name: &str, warnings: &mut Warnings) -> Option<f64> {
        match self.member(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
                let message = format!("{name:?} of {} is a text, not a number: taken as a number", self.what);
                warnings.note(At::Member(&self.at, name), message);
                text.trim().parse().ok()
            }
            _ => {
                self.odd(name, "a number", warnings);
                None
            }
        }
    }

    /// A whole number of this range, rounded if need be. `None`: it is not there, or it is odd.
    pub fn whole(&self, name: &str, range: std::ops::RangeInclusive<u32>, warnings: &mut Warnings) -> Option<u32> {
        let number = self.number(name, warnings)?;
        let rounded = number.round();
        if rounded < f64::from(*range.start()) || rounded > f64::from(*range.end()) {
            self.odd(name, &format!("{} to {}", range.start(), range.end()), warnings);
            return None;
        }
        if rounded != number {
            let message = format!("{name:?} of {} is not a whole number: rounded", self.what);
            warnings.note(At::Member(&self.at, name), message);
        }
        Some(rounded as u32)
    }

    pub fn color(&self, name: &str, warnings: &mut Warnings) -> Option<String> {
        match self.member(name)? {
            Value::String(color) if text::is_color(color) => Some(color.clone()),
            _ => {
                self.odd(name, "a color", warnings);
                None
            }
        }
    }

    /// Both coordinates; `None` if the member is not there.
    pub fn offset(&self, name: &str, warnings: &mut Warnings) -> Result<Option<Offset>, PlanError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        offset(value, At::Member(&self.at, name), warnings).map(Some)
    }
}

pub fn offset(value: &Value, at: At<'_>, warnings: &mut Warnings) -> Result<Offset, PlanError> {
    let position = Object::of(value, at, "a position")?;
    position.note_unknown(&["x", "y"], warnings);
    let mut coordinate = |name| {
        let number = position.number(name, warnings).ok_or_else(|| position.error(name, "must be a number"))?;
        // Three of them are added: none may be so large that the others vanish in it.
        hundredths(number, At::Member(&at, name)).map(|_| number)
    };
    Ok(Offset { x: coordinate("x")?, y: coordinate("y")? })
}
