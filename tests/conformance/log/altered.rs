//! Topics whose settings somebody changed.

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

/// Gives a lane's topic one other setting.
pub async fn alter(admin: &AdminClient<DefaultClientContext>, name: &str, key: &str, value: &str) {
    let topic = ResourceSpecifier::Topic(name);
    let mut alter = AlterConfig::new(ResourceSpecifier::Topic(name));
    // The whole configuration is replaced: what a lane needs besides is said again.
    let lane = [
        ("message.timestamp.type", "LogAppendTime"),
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
    ];
    for (other, needed) in lane.into_iter().filter(|(other, _)| *other != key) {
        alter = alter.set(other, needed);
    }
    let altered = admin.alter_configs([&alter.set(key, value)], &AdminOptions::new()).await.unwrap();
    altered[0].as_ref().unwrap();
    // The broker learns of it from the controller, after the answer.
    loop {
        let described = admin.describe_configs([&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        if described.get(key).and_then(|entry| entry.value.as_deref()) == Some(value) {
            return;
        }
    }
}
