//! The few messages of OTLP that spans need (opentelemetry/proto/trace/v1), as Protocol Buffers: 60 lines instead of nine
//! crates.

use super::span::{Context, Span};

const LENGTH: u64 = 2;
const FIXED_64: u64 = 1;

/// `ExportTraceServiceRequest` with these spans of this service.
pub fn request(spans: &[Span], resource: &[(&'static str, String)]) -> Vec<u8> {
    let mut scope = Vec::new();
    bytes(&mut scope, 1, b"turnstile");
    let mut of_scope = Vec::new();
    bytes(&mut of_scope, 1, &scope);
    spans.iter().for_each(|of| bytes(&mut of_scope, 2, &span(of)));
    let mut attributes = Vec::new();
    resource.iter().for_each(|(key, value)| bytes(&mut attributes, 1, &key_value(key, value)));
    let mut of_resource = Vec::new();
    bytes(&mut of_resource, 1, &attributes);
    bytes(&mut of_resource, 2, &of_scope);
    let mut request = Vec::new();
    bytes(&mut request, 1, &of_resource);
    request
}

fn span(of: &Span) -> Vec<u8> {
    let mut out = Vec::new();
    ids(&mut out, of.context);
    if let Some(parent) = &of.parent {
        bytes(&mut out, 4, parent);
    }
    bytes(&mut out, 5, of.name.as_bytes());
    number(&mut out, 6, of.kind as u64);
    nanos(&mut out, 7, of.start_ms);
    nanos(&mut out, 8, of.end_ms.max(of.start_ms));
    of.attributes.iter().for_each(|(key, value)| bytes(&mut out, 9, &key_value(key, value)));
    for link in &of.links {
        let mut message = Vec::new();
        ids(&mut message, *link);
        bytes(&mut out, 13, &message);
    }
    if of.failed {
        let mut status = Vec::new();
        // STATUS_CODE_ERROR
        number(&mut status, 3, 2);
        bytes(&mut out, 15, &status);
    }
    out
}

fn ids(out: &mut Vec<u8>, context: Context) {
    bytes(out, 1, &context.trace);
    bytes(out, 2, &context.span);
}

fn key_value(key: &str, value: &str) -> Vec<u8> {
    let mut text = Vec::new();
    bytes(&mut text, 1, value.as_bytes());
    let mut out = Vec::new();
    bytes(&mut out, 1, key.as_bytes());
    bytes(&mut out, 2, &text);
    out
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | LENGTH);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn nanos(out: &mut Vec<u8>, field: u64, ms: i64) {
    varint(out, field << 3 | FIXED_64);
    out.extend_from_slice(&(ms.max(0).unsigned_abs() * 1_000_000).to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
