//! How a partition stands, for operators: metric, health check, log.

use std::time::Duration;

use prometheus::IntGauge;
use tracing::warn;

use super::context::Context;
use crate::domain::LanePartition;
use crate::runtime::health::{Health, Severity};
use crate::telemetry::metrics::PARTITION_STATE;

pub(super) struct Standing {
    partition: LanePartition,
    state: IntGauge,
    health: Health,
}

impl Standing {
    pub fn of(partition: LanePartition, context: &Context) -> Self {
        let state = PARTITION_STATE.with_label_values(&[partition.lane.as_str(), &partition.partition.to_string()]);
        Standing { partition, state, health: context.deps.health.clone() }
    }

    fn check(&self) -> String {
        format!("partition {}", self.partition)
    }

    pub fn nobodys(&self) {
        self.health.forget(&self.check());
        self.state.set(0);
    }

    pub fn owned(&self) {
        self.state.set(1);
        self.health.ok(&self.check());
    }

    pub fn parked(&self, reason: &str, rest: Duration) {
        warn!(partition = %self.partition, reason, ?rest, "parked");
        self.state.set(2);
        self.health.failing(&self.check(), Severity::Degraded, format!("parked: {reason}"));
    }

    /// Until its next commit.
    pub fn waiting(&self, reason: &str) {
        if self.state.get() != 3 {
            warn!(partition = %self.partition, reason, "one record alone takes too long; repeated until it does not");
        }
        self.state.set(3);
        self.health.failing(&self.check(), Severity::Degraded, format!("waiting: {reason}"));
    }

    pub fn split(&self, reason: &str) {
        warn!(partition = %self.partition, reason, "the batch is decided again in parts");
    }
}
