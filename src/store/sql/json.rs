//! The few columns that hold JSON: headers, and the ids of a log's topics.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::log::{Headers, Topic};
use crate::store::StoreError;

/// A header's value: text where it is text, so that a person can read the row.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum HeaderValue {
    Text(String),
    Bytes { base64: String },
}

/// `[["name","text"],["name",{"base64":"…"}]]`, in the order of the record; a name may repeat.
pub(super) fn headers(headers: &Headers) -> String {
    let value = |bytes: &Vec<u8>| match std::str::from_utf8(bytes) {
        Ok(text) => HeaderValue::Text(text.to_owned()),
        Err(_) => HeaderValue::Bytes { base64: STANDARD.encode(bytes) },
    };
    let pairs: Vec<(&str, HeaderValue)> = headers.iter().map(|(name, bytes)| (name.as_str(), value(bytes))).collect();
    serde_json::to_string(&pairs).unwrap_or_else(|_| "[]".to_owned())
}

pub(super) fn parse_headers(text: &str) -> Result<Headers, StoreError> {
    let pairs: Vec<(String, HeaderValue)> = serde_json::from_str(text).map_err(|error| corrupt("headers", &error))?;
    let bytes = |value| match value {
        HeaderValue::Text(text) => Ok(text.into_bytes()),
        HeaderValue::Bytes { base64 } => STANDARD.decode(base64).map_err(|error| corrupt("headers", &error)),
    };
    pairs.into_iter().map(|(name, value)| Ok((name, bytes(value)?))).collect()
}

pub(super) fn topics(topics: &BTreeMap<Topic, String>) -> String {
    let by_name: BTreeMap<&str, &String> = topics.iter().map(|(topic, id)| (topic.as_str(), id)).collect();
    serde_json::to_string(&by_name).unwrap_or_else(|_| "{}".to_owned())
}

pub(super) fn parse_topics(text: &str) -> Result<BTreeMap<Topic, String>, StoreError> {
    let by_name: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| corrupt("topics", &error))?;
    let topic = |name: String| name.parse::<Topic>().map_err(|error| corrupt("topics", &error));
    by_name.into_iter().map(|(name, id)| Ok((topic(name)?, id))).collect()
}

/// A row that is not what this program writes.
pub(super) fn corrupt(column: &str, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("column {column} is corrupt: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    #[test]
    fn headers_keep_order_repeats_and_bytes_that_are_no_text() {
        let written: Headers = vec![
            ("traceparent".into(), b"00-ab\0cd".to_vec()),
            ("raw".into(), vec![0xff, 0x00, 0xfe]),
            ("traceparent".into(), Vec::new()),
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
}
