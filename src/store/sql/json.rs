//! Columns that hold JSON: headers, the ids of a log's topics, the seats of a reservation, notes of a sale, what a process
//! says of itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::cells::corrupt;
use super::names::Names;
use crate::domain::block::SaleNote;
use crate::domain::{BlockName, LogTime, SeatId};
use crate::log::{Headers, Topic};
use crate::store::{ProcessStatus, StoreError};

/// Of plain data, so it cannot fail.
pub(super) fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn parse<'a, T: Deserialize<'a>>(column: &str, text: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(column, error))
}

/// A header's value: text where it is text, so that a person can read the row.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum HeaderValue {
    Text(String),
    Bytes { base64: String },
}

/// `[["name","text"],["name",{"base64":"…"}]]`, in the order of the record; a name may repeat.
pub(super) fn headers(headers: &Headers) -> String {
    let mut text = String::with_capacity(640);
    text.push('[');
    for (place, (name, value)) in headers.iter().enumerate() {
        text.push_str(if place == 0 { "[" } else { ",[" });
        push_text(&mut text, name);
        text.push(',');
        match std::str::from_utf8(value) {
            Ok(value) => push_text(&mut text, value),
            Err(_) => text.push_str(&to_text(&HeaderValue::Bytes { base64: STANDARD.encode(value) })),
        }
        text.push(']');
    }
    text.push(']');
    text
}

/// Each outcome has ten headers: those that need no escaping go without a serializer.
fn push_text(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&to_text(&text));
    }
}

pub(super) fn parse_headers(text: &str) -> Result<Headers, StoreError> {
    let pairs: Vec<(String, HeaderValue)> = parse("headers", text)?;
    let bytes = |value| match value {
        HeaderValue::Text(text) => Ok(text.into()),
        HeaderValue::Bytes { base64 } => {
            STANDARD.decode(base64).map(Bytes::from).map_err(|error| corrupt("headers", error))
        }
    };
    pairs.into_iter().map(|(name, value)| Ok((name.into(), bytes(value)?))).collect()
}

pub(super) fn status(status: &ProcessStatus) -> String {
    to_text(status)
}

pub(super) fn parse_status(text: &str) -> Result<ProcessStatus, StoreError> {
    parse("status", text)
}

pub(super) fn topics(topics: &BTreeMap<Topic, String>) -> String {
    let by_name: BTreeMap<&str, &String> = topics.iter().map(|(topic, id)| (topic.as_str(), id)).collect();
    to_text(&by_name)
}

pub(super) fn parse_topics(text: &str) -> Result<BTreeMap<Topic, String>, StoreError> {
    let by_name: BTreeMap<String, String> = parse("topics", text)?;
    let topic = |name: String| name.parse::<Topic>().map_err(|error| corrupt("topics", error));
    by_name.into_iter().map(|(name, id)| Ok((topic(name)?, id))).collect()
}

/// `[["A",[12,13]],["B",[1]]]`, in the order of the seats.
pub(super) fn seats(seats: &[SeatId]) -> String {
    let sections = seats.chunk_by(|one, next| one.section == next.section);
    let sections = sections.map(|of| (of[0].section.as_str(), of.iter().map(|seat| seat.number).collect()));
    to_text(&sections.collect::<Vec<(&str, Vec<u32>)>>())
}

pub(super) fn parse_seats(text: &str, names: &mut Names) -> Result<Vec<SeatId>, StoreError> {
    let sections: Vec<(Cow<'_, str>, Vec<u32>)> = parse("seats", text)?;
    let mut seats = Vec::with_capacity(sections.iter().map(|(_, numbers)| numbers.len()).sum());
    for (section, numbers) in sections {
        let section = names.section(&section)?;
        seats.extend(numbers.into_iter().map(|number| SeatId { section: section.clone(), number }));
    }
    Ok(seats)
}

#[derive(Serialize, Deserialize)]
struct Note<'a> {
    version: u64,
    state: Cow<'a, str>,
    sales_open_at: Option<i64>,
    starts_at: i64,
}

impl Note<'_> {
    fn of(note: &SaleNote) -> Note<'static> {
        let SaleNote { version, state, sales_open_at, starts_at } = *note;
        let sales_open_at = sales_open_at.map(|time| time.0);
        Note { version, state: state.as_str().into(), sales_open_at, starts_at: starts_at.0 }
    }

    fn note(self, column: &str) -> Result<SaleNote, StoreError> {
        let state = self.state.parse().map_err(|error| corrupt(column, error))?;
        let sales_open_at = self.sales_open_at.map(LogTime);
        Ok(SaleNote { version: self.version, state, sales_open_at, starts_at: LogTime(self.starts_at) })
    }
}

/// `{"version":7,"state":"open","sales_open_at":null,"starts_at":1800000000000}`
pub(super) fn note(note: &SaleNote) -> String {
    to_text(&Note::of(note))
}

pub(super) fn parse_note(text: &str) -> Result<SaleNote, StoreError> {
    parse::<Note>("noted", text)?.note("noted")
}

/// `{"main":{…},"north":null}`
pub(super) fn sale(sale: &BTreeMap<BlockName, Option<SaleNote>>) -> String {
    let blocks = sale.iter().map(|(block, note)| (block.as_str(), note.as_ref().map(Note::of)));
    to_text(&blocks.collect::<BTreeMap<_, _>>())
}

pub(super) fn parse_sale(text: &str) -> Result<BTreeMap<BlockName, Option<SaleNote>>, StoreError> {
    let blocks: BTreeMap<String, Option<Note>> = parse("sale", text)?;
    let block = |(name, note): (String, Option<Note>)| {
        let name = name.parse().map_err(|error| corrupt("sale", error))?;
        Ok((name, note.map(|note| note.note("sale")).transpose()?))
    };
    blocks.into_iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;
    use crate::domain::block::SaleState;

    #[test]
    fn headers_keep_order_repeats_and_bytes_that_are_no_text() {
        let written: Headers = vec![
            ("traceparent".into(), "00-ab\0cd".into()),
            ("raw".into(), vec![0xff, 0x00, 0xfe].into()),
            ("a \"name\"".into(), "a\\b".into()),
            ("traceparent".into(), Bytes::new()),
        ];
        assert_eq!(parse_headers(&headers(&written)), Ok(written));
        assert!(parse_headers("[[1,2]]").is_err());
    }

    #[test]
    fn topic_ids_read_back_under_their_topics() {
        let written = BTreeMap::from([(Topic::Lane(Lane::Seats), "a".to_owned()), (Topic::Outcomes, "b".to_owned())]);
        assert_eq!(parse_topics(&topics(&written)), Ok(written));
        assert!(parse_topics(r#"{"rows":"a"}"#).is_err());
    }

    #[test]
    fn seats_of_several_sections_keep_their_order() {
        let written: Vec<SeatId> = ["A-2", "A-9", "Ö \"1\"-1", "A-1"].map(|seat| seat.parse().unwrap()).into();
        let text = seats(&written);
        assert_eq!(text, r#"[["A",[2,9]],["Ö \"1\"",[1]],["A",[1]]]"#);
        assert_eq!(parse_seats(&text, &mut Names::default()), Ok(written));
        assert!(parse_seats(r#"[["",[1]]]"#, &mut Names::default()).is_err());
    }

    #[test]
    fn notes_read_back() {
        let (sales_open_at, starts_at) = (Some(LogTime(-1)), LogTime(5));
        let written = SaleNote { version: 7, state: SaleState::AllHeld, sales_open_at, starts_at };
        assert_eq!(parse_note(&note(&written)), Ok(written));
        let name = |name: &str| name.parse::<BlockName>().unwrap();
        let blocks = BTreeMap::from([(name("main"), Some(written)), (name("north"), None)]);
        assert_eq!(parse_sale(&sale(&blocks)), Ok(blocks));
    }
}
