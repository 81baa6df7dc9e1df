//! Converts between lane partitions and Kafka's topics and partition lists.

use std::collections::BTreeMap;

use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::client::KafkaSettings;
use crate::domain::Lane;
use crate::log::{LanePartition, Topic};

/// Topic names of the lanes.
#[derive(Clone)]
pub(super) struct Lanes(Vec<(Lane, String)>);

impl Lanes {
    pub fn of(settings: &KafkaSettings) -> Self {
        Lanes(Lane::ALL.map(|lane| (lane, settings.topic_name(Topic::Lane(lane)))).to_vec())
    }

    pub fn topics(&self) -> Vec<&str> {
        self.0.iter().map(|(_, name)| name.as_str()).collect()
    }

    fn name(&self, lane: Lane) -> &str {
        self.0.iter().find(|(known, _)| *known == lane).map_or("", |(_, name)| name)
    }

    fn partition(&self, element: &TopicPartitionListElem<'_>) -> Option<LanePartition> {
        let (lane, _) = self.0.iter().find(|(_, name)| name == element.topic())?;
        Some(LanePartition { lane: *lane, partition: u32::try_from(element.partition()).ok()? })
    }

    pub fn partitions(&self, list: &TopicPartitionList) -> Vec<LanePartition> {
        list.elements().iter().filter_map(|element| self.partition(element)).collect()
    }

    /// The offsets that the list has.
    pub fn offsets(&self, list: &TopicPartitionList) -> BTreeMap<LanePartition, u64> {
        let offset = |element: &TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        };
        list.elements().iter().filter_map(|element| Some((self.partition(element)?, offset(element)?))).collect()
    }

    pub fn list(&self, partitions: impl IntoIterator<Item = (LanePartition, Offset)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (LanePartition { lane, partition }, offset) in partitions {
            // Fails only for an offset or a partition number outside Kafka's range.
            let number = i32::try_from(partition).unwrap_or(i32::MAX);
            let _ = list.add_partition_offset(self.name(lane), number, offset);
        }
        list
    }
}
