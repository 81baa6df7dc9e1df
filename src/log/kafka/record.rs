//! A fetched message as a record.

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use bytes::Bytes;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, Message, Timestamp as KafkaTimestamp};

use crate::log::{Headers, Record, Timestamp, header_name};

thread_local! {
    static READING_A_HEADER: Cell<bool> = const { Cell::new(false) };
}

/// A header that cannot be read is counted, not reported as a defect of this program: called before the first record.
pub(super) fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !READING_A_HEADER.get() {
                report(panic);
            }
        }));
    });
}

pub(super) fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let (headers, unreadable_headers) = message.headers().map_or_else(Default::default, headers_of);
    Record {
        // Never negative for a fetched message.
        offset: u64::try_from(message.offset()).unwrap_or(0),
        timestamp: match message.timestamp() {
            KafkaTimestamp::LogAppendTime(ms) => Timestamp::LogAppend(ms),
            KafkaTimestamp::CreateTime(ms) => Timestamp::Create(ms),
            KafkaTimestamp::NotAvailable => Timestamp::Create(0),
        },
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers,
        unreadable_headers,
    }
}

/// The headers, and how many cannot be read. All values are copied into one buffer.
fn headers_of(headers: &BorrowedHeaders) -> (Headers, usize) {
    let mut read: Vec<(Cow<'static, str>, usize)> = Vec::with_capacity(headers.count());
    let mut values = Vec::with_capacity(256);
    let mut unreadable = 0;
    for index in 0..headers.count() {
        match header(headers, index) {
            Some(Header { key, value }) => {
                values.extend_from_slice(value.unwrap_or_default());
                read.push((header_name(key), values.len()));
            }
            None => unreadable += 1,
        }
    }
    let (values, mut from) = (Bytes::from(values), 0);
    let part = |(name, end)| (name, values.slice(std::mem::replace(&mut from, end)..end));
    (read.into_iter().map(part).collect(), unreadable)
}

/// rdkafka unwraps the name as UTF-8 and has no other way to a header, while producers in C, Go and Rust send any bytes.
/// The panic starts and ends in Rust code, after the call into C, and leaves nothing half done.
fn header(headers: &BorrowedHeaders, index: usize) -> Option<Header<'_, &[u8]>> {
    READING_A_HEADER.set(true);
    let read = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
    READING_A_HEADER.set(false);
    read.ok().flatten()
}
