//! `telemetry.*`: log lines and traces.

use super::layers::{ConfigError, Layers};
use crate::telemetry::logging::{LogFormat, Logging};

const ENDPOINT: &str = "telemetry.otlp_endpoint";
const RATIO: &str = "telemetry.trace_ratio";

/// Where spans of sampled commands go, and how many commands are sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Base of a collector, such as `http://127.0.0.1:4318`; `None`: nowhere.
    pub endpoint: Option<String>,
    /// Of a million requests whose clients have not decided it.
    pub per_million: u32,
}

impl Traces {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let endpoint = layers.text_opt(ENDPOINT)?.map(str::to_owned);
        if endpoint.is_some() && !cfg!(feature = "otel") {
            return Err(layers.refuse(ENDPOINT, "is set, which needs the build feature otel"));
        }
        let text = layers.text(RATIO)?;
        let ratio = text.parse().ok().filter(|ratio: &f64| (0.0..=1.0).contains(ratio));
        let ratio = ratio.ok_or_else(|| layers.refuse(RATIO, format_args!("is {text:?}, must be \"0\" to \"1\"")))?;
        Ok(Traces { endpoint, per_million: (ratio * 1e6).round() as u32 })
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
