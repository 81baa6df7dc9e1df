//! `telemetry.*`: log lines and traces.

use super::layers::{ConfigError, ENV_PREFIX, Layers, Source};
use crate::telemetry::logging::{LogFormat, Logging};

const ENDPOINT: &str = "telemetry.otlp_endpoint";
const RATIO: &str = "telemetry.trace_ratio";

/// Where spans of sampled commands go, and how many commands are sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Base of a collector, such as `http://127.0.0.1:4318`; `None`: nowhere.
    pub endpoint: Option<String>,
    /// `service.name` of the spans.
    pub service: String,
    /// Of a million requests whose clients have not decided it.
    pub per_million: u32,
}

impl Traces {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        // The standard variable may be meant for other programs of the same environment.
        let for_others = |source: Source| matches!(source, Source::Env(name) if !name.starts_with(ENV_PREFIX));
        let set = layers.text_opt(ENDPOINT)?.map(str::to_owned);
        let endpoint = set.filter(|_| cfg!(feature = "otel") || !for_others(layers.source(ENDPOINT)));
        if endpoint.is_some() && !cfg!(feature = "otel") {
            return Err(layers.refuse(ENDPOINT, "is set, which needs the build feature otel"));
        }
        let text = layers.text(RATIO)?;
        let ratio = text.parse().ok().filter(|ratio: &f64| (0.0..=1.0).contains(ratio));
        let ratio = ratio.ok_or_else(|| layers.refuse(RATIO, format_args!("is {text:?}, must be \"0\" to \"1\"")))?;
        let service = layers.text("telemetry.service_name")?.to_owned();
        if service.is_empty() {
            return Err(layers.refuse("telemetry.service_name", "must not be empty"));
        }
        Ok(Traces { endpoint, service, per_million: (ratio * 1e6).round() as u32 })
    }
}

pub(super) fn logging(layers: &Layers) -> Result<Logging, ConfigError> {
    let formats = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
    let filter = layers.text("telemetry.log_filter")?;
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(filter) {
        return Err(layers.refuse("telemetry.log_filter", format_args!("is {filter:?}: {error}")));
    }
    Ok(Logging { format: layers.choice("telemetry.log_format", &formats)?, filter: filter.to_owned() })
}
