//! W3C trace context: checked, and made where a request has none.

use uuid::Uuid;

use crate::telemetry::spans;

/// Version 00 of the W3C trace context, with ids that are not all zero.
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, len| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let set = |part: &str| part.bytes().any(|b| b != b'0');
    matches!(parts[..], ["00", trace, span, flags]
        if hex(trace, 32) && set(trace) && hex(span, 16) && set(span) && hex(flags, 2))
}

/// A new trace, sampled as often as `telemetry.trace_ratio` says.
pub fn new_traceparent() -> String {
    let trace = Uuid::new_v4();
    // A span's id need only be unique within its trace. The variant bits make neither id all zero.
    let (span, flags) = (trace.as_u64_pair().1, u8::from(spans::draws(trace)));
    format!("00-{}-{span:016x}-{flags:02x}", trace.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_context_is_believed_only_when_well_formed() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(is_traceparent(&new_traceparent()));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
