//! Encoding of records in the file. Everything one commit adds to a partition is one row, like a Kafka batch.
//!
//! Layout, little-endian integers: key length u32, value length u32, number of headers u16; for each header its name
//! length u16, value length u32, name, value; then key, value; then the next record. Offset and time come from the row:
//! offsets count up from the first, the time is the same for all.

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::log::{AppendError, NewRecord, Record, Timestamp, header_name};

/// A row is split at this many bytes, so that reading one record costs little more than the record.
pub(super) const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// And at this many records.
pub(super) const CHUNK_RECORDS_MAX: usize = 1024;

/// Refuses what the encoding cannot hold; the limit on record size bounds the rest.
pub(super) fn refusal(record: &NewRecord) -> Option<AppendError> {
    let fits = u16::try_from(record.headers.len()).is_ok()
        && record.headers.iter().all(|(name, _)| u16::try_from(name.len()).is_ok());
    (!fits).then(|| AppendError::Refused("more than 65535 headers, or a header's name is that long".to_owned()))
}

pub(super) fn encode(records: &[Record]) -> Vec<u8> {
    let bytes: usize = records.iter().map(|record| record.size() + 10 + 6 * record.headers.len()).sum();
    let mut body = Vec::with_capacity(bytes);
    for record in records {
        let key = record.key.as_deref().unwrap_or_default();
        let value = record.value.as_deref().unwrap_or_default();
        // `refusal` and the limit on record size bound the lengths.
        body.extend_from_slice(&(key.len() as u32).to_le_bytes());
        body.extend_from_slice(&(value.len() as u32).to_le_bytes());
        body.extend_from_slice(&(record.headers.len() as u16).to_le_bytes());
        for (name, value) in &record.headers {
            body.extend_from_slice(&(name.len() as u16).to_le_bytes());
            body.extend_from_slice(&(value.len() as u32).to_le_bytes());
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(value);
        }
        body.extend_from_slice(key);
        body.extend_from_slice(value);
    }
    body
}

/// SQLite does not detect a damaged page. The offset is the seed, so a row in the wrong place is detected too.
pub(super) fn checksum(first_offset: u64, body: &[u8]) -> i64 {
    xxh3_64_with_seed(body, first_offset).cast_signed()
}

/// `None` if the bytes are damaged.
pub(super) fn decode(first_offset: u64, time_ms: i64, records: usize, mut body: Bytes) -> Option<Vec<Record>> {
    let mut decoded = Vec::with_capacity(records.min(CHUNK_RECORDS_MAX));
    while body.has_remaining() {
        let key_len = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
        let value_len = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
        let header_count = body.try_get_u16_le().ok()?;
        let mut headers = Vec::with_capacity(usize::from(header_count));
        for _ in 0..header_count {
            let name_len = usize::from(body.try_get_u16_le().ok()?);
            let value_len = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
            let name = header_name(std::str::from_utf8(&take(&mut body, name_len)?).ok()?);
            headers.push((name, take(&mut body, value_len)?));
        }
        let key = take(&mut body, key_len)?;
        let value = take(&mut body, value_len)?;
        let offset = first_offset + decoded.len() as u64;
        let timestamp = Timestamp::LogAppend(time_ms);
        decoded.push(Record { offset, timestamp, key: Some(key), value: Some(value), headers, unreadable_headers: 0 });
    }
    (decoded.len() == records).then_some(decoded)
}

fn take(body: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= body.len()).then(|| body.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64, value: &'static str) -> Record {
        Record {
            offset,
            timestamp: Timestamp::LogAppend(77),
            key: Some("key".into()),
            value: Some(value.into()),
            headers: vec![("name".into(), "value".into()), ("empty".into(), Bytes::new())],
            unreadable_headers: 0,
        }
    }

    #[test]
    fn records_come_back_with_their_offsets() {
        let records = vec![record(40, "a"), record(41, ""), record(42, "ccc")];
        let body = Bytes::from(encode(&records));
        assert_eq!(decode(40, 77, 3, body), Some(records));
    }

    #[test]
    fn cut_bytes_are_noticed() {
        let body = Bytes::from(encode(&[record(0, "abc"), record(1, "def")]));
        for len in 0..body.len() {
            assert_eq!(decode(0, 77, 2, body.slice(..len)), None, "{len} of {} bytes passed", body.len());
        }
        assert_ne!(checksum(0, &body), checksum(1, &body));
    }
}
