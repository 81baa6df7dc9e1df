//! A span, and whether its trace is sampled.

#[cfg(feature = "otel")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "otel")]
use tokio::sync::mpsc;
use uuid::Uuid;

/// Links of one span: more are left out.
pub const LINKS_MAX: usize = 128;

/// The random part of a trace id that counts for sampling, as W3C recommends: its last 56 bits.
const RANDOM_BITS: u32 = 56;

/// Traces whose random part is below it are sampled.
static SAMPLED_BELOW: AtomicU64 = AtomicU64::new(0);
#[cfg(feature = "otel")]
static QUEUE: OnceLock<mpsc::Sender<Span>> = OnceLock::new();

/// The share of requests that are sampled where the client has not decided it: 0 to 1.
pub fn set_ratio(ratio: f64) {
    SAMPLED_BELOW.store((ratio * 2_f64.powi(RANDOM_BITS as i32)) as u64, Ordering::Relaxed);
}

/// Whether a new trace is sampled.
pub fn draws(trace: Uuid) -> bool {
    let random = trace.as_u64_pair().1 & ((1 << RANDOM_BITS) - 1);
    random < SAMPLED_BELOW.load(Ordering::Relaxed)
}

/// Whether spans go anywhere.
pub fn are_collected() -> bool {
    #[cfg(feature = "otel")]
    return QUEUE.get().is_some();
    #[cfg(not(feature = "otel"))]
    false
}

/// Spans go here from now on; false: they go elsewhere already.
#[cfg(feature = "otel")]
pub(super) fn collect(queue: mpsc::Sender<Span>) -> bool {
    QUEUE.set(queue).is_ok()
}

/// A span that others belong to, or are linked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context {
    pub trace: [u8; 16],
    pub span: [u8; 8],
}

impl Context {
    /// Of a `traceparent` that says that its trace is sampled; `None` where nothing is collected.
    pub fn sampled(traceparent: Option<&[u8]>) -> Option<Context> {
        if !are_collected() {
            return None;
        }
        let text = std::str::from_utf8(traceparent?).ok().filter(|text| text.len() == 55)?;
        let flags = u8::from_str_radix(text.get(53..)?, 16).ok()?;
        let trace = u128::from_str_radix(text.get(3..35)?, 16).ok()?;
        let span = u64::from_str_radix(text.get(36..52)?, 16).ok()?;
        (flags & 1 == 1).then(|| Context { trace: trace.to_be_bytes(), span: span.to_be_bytes() })
    }

    /// A new span of this trace.
    pub fn child(self) -> Context {
        Context { span: random_span(), ..self }
    }

    /// The first span of a trace of its own.
    pub fn root() -> Context {
        Context { trace: *Uuid::new_v4().as_bytes(), span: random_span() }
    }

    pub fn traceparent(self) -> String {
        format!("00-{:032x}-{:016x}-01", u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span))
    }
}

fn random_span() -> [u8; 8] {
    // Version and variant bits keep it from being all zero.
    Uuid::new_v4().as_u64_pair().1.to_be_bytes()
}

/// What a span is to the others, with OpenTelemetry's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// What OpenTelemetry's conventions for messaging say of a record on its way to the log; without an offset the log has
/// not acknowledged it.
pub fn sent(topic: &str, partition: u32, offset: Option<u64>) -> Vec<(&'static str, String)> {
    let mut attributes = vec![
        ("messaging.operation.name", "send".to_owned()),
        ("messaging.operation.type", "send".to_owned()),
        ("messaging.destination.name", topic.to_owned()),
        ("messaging.destination.partition.id", partition.to_string()),
    ];
    attributes.extend(offset.map(|offset| ("messaging.kafka.message.offset", offset.to_string())));
    attributes
}

/// Something that has ended. Times in ms since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub context: Context,
    /// The span id of its parent.
    pub parent: Option<[u8; 8]>,
    pub kind: Kind,
    pub name: String,
    pub start_ms: i64,
    pub end_ms: i64,
    pub attributes: Vec<(&'static str, String)>,
    pub links: Vec<Context>,
    pub failed: bool,
}

impl Span {
    /// Hands it to the collector; while that is away and the queue is full, it is dropped.
    pub fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(queue) = QUEUE.get() {
            let _ = queue.try_send(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_decides_by_the_trace_id_alone() {
        let sampled = |ratio| {
            set_ratio(ratio);
            (0..10_000).filter(|_| draws(Uuid::new_v4())).count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        let some = sampled(0.1);
        assert!((700..1_300).contains(&some), "{some}");
        set_ratio(0.0);
    }

    #[test]
    fn nothing_is_sampled_where_nothing_is_collected() {
        let context = Context::root();
        assert_eq!(Context::sampled(Some(context.traceparent().as_bytes())), None);
        assert_eq!(context.child().trace, context.trace);
        assert_ne!(context.child().span, context.span);
    }
}
