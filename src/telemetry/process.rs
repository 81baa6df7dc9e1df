//! What the operating system says of this process. Where it is not Linux, nothing.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus::{Counter, IntGauge, register_counter, register_int_gauge};

/// `/proc/self/stat` counts in ticks of this length, on every Linux.
const TICK_MS: u64 = 10;
/// `/proc/self/statm` counts in pages.
const PAGE_BYTES: u64 = 4096;

/// What the process has used, and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Since it began, over all cores.
    pub cpu_ms: u64,
    /// Resident.
    pub memory_bytes: u64,
    pub open_files: u64,
}

impl Usage {
    /// As of now; zeros where the system does not say.
    pub fn now() -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        Usage {
            cpu_ms: ticks(&read("stat")).unwrap_or(0) * TICK_MS,
            memory_bytes: number(read("statm").split(' ').nth(1)).unwrap_or(0) * PAGE_BYTES,
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
        }
    }
}

fn number(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// Time in the program and in the kernel. The name of the program, in parentheses, may have spaces.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(number(fields.next())? + number(fields.next())?)
}

struct Metrics {
    cpu: Counter,
    memory: IntGauge,
    files: IntGauge,
    /// What the counter says, in ms.
    counted_ms: Mutex<u64>,
}

/// The names that every process exports under Prometheus.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let unique = "metric names are unique";
    Metrics {
        cpu: register_counter!("process_cpu_seconds_total", "CPU time used").expect(unique),
        memory: register_int_gauge!("process_resident_memory_bytes", "Resident memory").expect(unique),
        files: register_int_gauge!("process_open_fds", "Open file descriptors").expect(unique),
        counted_ms: Mutex::new(0),
    }
});

/// Brings the metrics of the process up to date.
pub fn measure() {
    let Usage { cpu_ms, memory_bytes, open_files } = Usage::now();
    let mut counted_ms = METRICS.counted_ms.lock().unwrap_or_else(PoisonError::into_inner);
    METRICS.cpu.inc_by(cpu_ms.saturating_sub(*counted_ms) as f64 / 1_000.0);
    *counted_ms = cpu_ms.max(*counted_ms);
    METRICS.memory.set(i64::try_from(memory_bytes).unwrap_or(i64::MAX));
    METRICS.files.set(i64::try_from(open_files).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_name_whatever_it_has() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_holds_memory_and_files() {
        let usage = Usage::now();
        assert!(usage.memory_bytes > 1 << 20 && usage.open_files > 2, "{usage:?}");
    }
}
