//! Latency histogram with buckets that grow with the value: 3 % precision from 1 µs to hours in 16 KiB.

use std::time::Duration;

/// Buckets per power of two.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// 2^36 µs are 19 hours; larger values count as that.
const POWER_MAX: u32 = 36;
const BUCKETS: usize = ((POWER_MAX - STEP_BITS + 1) as usize) * STEPS as usize;

#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max_us: 0 }
    }
}

/// Values below 32 µs have a bucket each; above, 32 buckets share each power of two.
fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << POWER_MAX) - 1);
    if us < STEPS {
        return us as usize;
    }
    let power = us.ilog2();
    let shift = power - STEP_BITS;
    ((u64::from(shift) + 1) * STEPS + ((us >> shift) - STEPS)) as usize
}

/// The largest value of a bucket, in µs.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS + 1) << shift) - 1
}

impl Histogram {
    pub fn add(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(us)] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    /// Latency that this share of requests did not exceed; zero without requests.
    pub fn percentile(&self, percent: f64) -> Duration {
        let wanted = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(upper_bound(bucket).min(self.max_us));
            }
        }
        self.max()
    }

    /// Number of latencies above `from`, up to `to`.
    pub fn between(&self, from: Duration, to: Duration) -> u64 {
        let (from, to) = (from.as_micros() as u64, to.as_micros() as u64);
        let inside = self.buckets.iter().enumerate().filter(|(bucket, _)| {
            let bound = upper_bound(*bucket);
            bound > from && bound <= to
        });
        inside.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_at_most_a_thirtieth_above_it() {
        for power in 0..POWER_MAX {
            for us in [1u64 << power, (1 << power) + 1, (1 << power) * 3 / 2, (2 << power) - 1] {
                let bound = upper_bound(bucket_of(us));
                assert!(bound >= us && bound - us <= us / 30, "{us} µs is counted as {bound} µs");
                assert_eq!(bucket_of(bound), bucket_of(us));
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(99.0), Duration::ZERO);
        (1..=1000).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        for (percent, exact_ms) in [(50.0, 500), (99.0, 990), (100.0, 1000)] {
            let found = histogram.percentile(percent).as_millis() as i64;
            assert!((found - exact_ms).abs() <= exact_ms / 30, "p{percent} is {found} ms");
        }
        assert_eq!(histogram.max(), Duration::from_secs(1));
        assert_eq!(histogram.between(Duration::ZERO, Duration::from_secs(3600)), 1000);
    }
}
