//! Traces of sampled commands, for an OpenTelemetry collector (feature `otel`). Without the feature nothing is collected, and
//! the checks are false at compile time. A command that is not sampled has no span, only a flag that is looked at.

#[cfg(feature = "otel")]
mod otlp;
#[cfg(feature = "otel")]
mod protobuf;
mod span;

#[cfg(feature = "otel")]
pub use otlp::start;
pub use span::{Context, Kind, LINKS_MAX, Span, are_collected, draws, sent, set_ratio};
