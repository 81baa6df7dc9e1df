//! What the last `turnstile audit` said.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::AuditRun;
use crate::wire::time::rfc3339;

/// A replay of the whole log, compared with the store.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditObject {
    /// When it ended.
    #[schema(format = "date-time")]
    pub at: String,
    pub took_seconds: f64,
    /// Replayed.
    pub records: u64,
    /// Compared.
    pub rows: u64,
    /// 0: the store is what the log says.
    pub differences: u64,
    /// The first difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl From<&AuditRun> for AuditObject {
    fn from(run: &AuditRun) -> Self {
        AuditObject {
            at: rfc3339(run.at),
            took_seconds: run.took_ms as f64 / 1_000.0,
            records: run.records,
            rows: run.rows,
            differences: run.differences,
            first: run.first.clone(),
        }
    }
}
