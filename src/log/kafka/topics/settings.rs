//! The settings topics are made with, and what is wrong with those found.

use std::collections::HashMap;
use std::time::Duration;

use crate::log::{APPEND_BYTES_MAX, Topic};

/// The largest record with headers and framing.
const MESSAGE_BYTES_MAX: usize = APPEND_BYTES_MAX + 4096;
/// One week: as long as the store keeps requests.
const OUTCOMES_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Copies of which one may be away while the others take appends.
const COPIES: i32 = 3;

/// How many copies topics get, and how many must have a record before it is acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copies {
    pub count: i32,
    pub in_sync_min: Option<i32>,
}

impl Copies {
    /// What the configuration says, or three, as far as there are brokers. With three, one broker may be lost without
    /// losing an acknowledged record or a leader for long.
    pub fn of(configured: Option<i32>, brokers: usize) -> Self {
        let count = configured.unwrap_or(COPIES.min(i32::try_from(brokers).unwrap_or(COPIES)).max(1));
        Copies { count, in_sync_min: (count >= COPIES).then_some(count - 1) }
    }
}

/// What happens with another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    /// It is the operator's choice.
    Nothing,
    Warning,
    /// The lane is not used: with the reason.
    Refused(&'static str),
}

struct Setting {
    key: &'static str,
    value: String,
    otherwise: Otherwise,
}

fn setting(key: &'static str, value: impl ToString, otherwise: Otherwise) -> Setting {
    Setting { key, value: value.to_string(), otherwise }
}

fn settings(topic: Topic, copies: Copies) -> Vec<Setting> {
    use Otherwise::{Nothing, Refused, Warning};
    let mut settings = vec![
        setting("max.message.bytes", MESSAGE_BYTES_MAX, Warning),
        // Another codec than the producers' own costs the broker a compression of everything.
        setting("compression.type", "producer", Warning),
    ];
    settings.extend(copies.in_sync_min.map(|min| setting("min.insync.replicas", min, Warning)));
    match topic {
        Topic::Lane(_) => {
            let bounded = Refused("the log would lose commands, decided or not, and with them the proof of the sale");
            settings.extend([
                setting(
                    "message.timestamp.type",
                    "LogAppendTime",
                    Refused("time would be that of the producers' clocks, and time decides which holds have run out"),
                ),
                setting("cleanup.policy", "delete", Refused("compaction removes all commands of a key but the last")),
                setting("retention.ms", -1, bounded),
                setting("retention.bytes", -1, bounded),
            ]);
        }
        Topic::Outcomes | Topic::DeadLetters => {
            let kept =
                if topic == Topic::Outcomes { OUTCOMES_RETENTION.as_millis().to_string() } else { "-1".to_owned() };
            settings.extend([
                setting("cleanup.policy", "delete", Warning),
                setting("retention.ms", kept, Nothing),
                setting("retention.bytes", -1, Nothing),
            ]);
        }
    }
    settings
}

/// Names and values for a topic to be made.
pub(super) fn wanted(topic: Topic, copies: Copies) -> Vec<(&'static str, String)> {
    let settings = settings(topic, copies).into_iter();
    settings.map(|setting| (setting.key, setting.value)).collect()
}

/// What is wrong with a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Complaints {
    pub warnings: Vec<String>,
    /// Why a lane is not used.
    pub refusals: Vec<String>,
}

/// Judges what the broker says about a topic; settings that it does not say are not judged.
pub(super) fn judge(topic: Topic, name: &str, copies: Copies, found: &HashMap<String, String>) -> Complaints {
    let mut complaints = Complaints::default();
    for Setting { key, value, otherwise } in settings(topic, copies) {
        let Some(found) = found.get(key).filter(|found| !fits(key, &value, found)) else { continue };
        let what = format!("topic {name} has {key}={found}, must have {value}");
        let alter =
            format!("kafka-configs --alter --entity-type topics --entity-name {name} --add-config {key}={value}");
        match otherwise {
            Otherwise::Nothing => {}
            Otherwise::Warning => complaints.warnings.push(format!("{what}: {alter}")),
            Otherwise::Refused(why) => complaints.refusals.push(format!("{what}, or {why}: {alter}")),
        }
    }
    complaints
}

fn fits(key: &str, wanted: &str, found: &str) -> bool {
    match (key, wanted.parse::<i64>(), found.parse::<i64>()) {
        ("max.message.bytes" | "min.insync.replicas", Ok(wanted), Ok(found)) => found >= wanted,
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    const LANE: Topic = Topic::Lane(Lane::Seats);

    fn judged(topic: Topic, key: &str, value: &str) -> Complaints {
        let copies = Copies::of(None, 3);
        let mut found: HashMap<String, String> =
            wanted(topic, copies).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        found.insert(key.to_owned(), value.to_owned());
        judge(topic, "t", copies, &found)
    }

    #[test]
    fn a_lane_that_could_lose_commands_or_has_other_clocks_is_refused() {
        for (key, value) in [
            ("message.timestamp.type", "CreateTime"),
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "1073741824"),
        ] {
            let Complaints { warnings, refusals } = judged(LANE, key, value);
            assert_eq!((warnings.len(), refusals.len()), (0, 1), "{key}={value}");
            assert!(refusals[0].starts_with(&format!("topic t has {key}={value}, must have ")), "{}", refusals[0]);
            assert!(!refusals[0].contains('\n'), "{}", refusals[0]);
            assert_eq!(judged(Topic::Outcomes, key, value).refusals, Vec::<String>::new());
        }
    }

    #[test]
    fn what_costs_or_risks_something_is_a_warning() {
        for (topic, key, value) in [
            (LANE, "compression.type", "zstd"),
            (LANE, "max.message.bytes", "1048588"),
            (LANE, "min.insync.replicas", "1"),
            (Topic::Outcomes, "cleanup.policy", "compact"),
        ] {
            let Complaints { warnings, refusals } = judged(topic, key, value);
            assert_eq!((warnings.len(), refusals.len()), (1, 0), "{key}={value}");
            assert!(warnings[0].contains(&format!("--add-config {key}=")), "{}", warnings[0]);
        }
    }

    #[test]
    fn more_than_is_needed_and_what_is_the_operators_choice_is_fine() {
        for (topic, key, value) in [
            (LANE, "max.message.bytes", "8388608"),
            (LANE, "min.insync.replicas", "3"),
            (Topic::Outcomes, "retention.ms", "3600000"),
            (Topic::DeadLetters, "retention.bytes", "1"),
            (Topic::Outcomes, "message.timestamp.type", "LogAppendTime"),
        ] {
            assert_eq!(judged(topic, key, value), Complaints::default(), "{key}={value}");
        }
    }

    #[test]
    fn copies_follow_the_cluster_up_to_three() {
        let of = |configured, brokers| {
            let Copies { count, in_sync_min } = Copies::of(configured, brokers);
            (count, in_sync_min)
        };
        assert_eq!(of(None, 0), (1, None));
        assert_eq!(of(None, 1), (1, None));
        assert_eq!(of(None, 2), (2, None));
        assert_eq!(of(None, 3), (3, Some(2)));
        assert_eq!(of(None, 12), (3, Some(2)));
        assert_eq!(of(Some(1), 3), (1, None));
        assert_eq!(of(Some(5), 9), (5, Some(4)));
    }
}
