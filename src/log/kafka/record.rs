//! A fetched message as a record.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use bytes::Bytes;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message, Timestamp as KafkaTimestamp};

use crate::log::{Headers, Record, Timestamp};

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

/// The headers, and how many cannot be read.
fn headers_of(headers: &BorrowedHeaders) -> (Headers, usize) {
    let mut read = Headers::new();
    let mut unreadable = 0;
    for index in 0..headers.count() {
        match header(headers, index) {
            Some(header) => read.push(header),
            None => unreadable += 1,
        }
    }
    (read, unreadable)
}

/// rdkafka unwraps the name as UTF-8 and has no other way to a header, while producers in C, Go and Rust send any bytes.
/// The panic starts and ends in Rust code, after the call into C, and leaves nothing half done.
fn header(headers: &BorrowedHeaders, index: usize) -> Option<(String, Vec<u8>)> {
    READING_A_HEADER.set(true);
    let read = catch_unwind(AssertUnwindSafe(|| {
        let header = headers.try_get(index)?;
        Some((header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
    }));
    READING_A_HEADER.set(false);
    read.ok().flatten()
}
