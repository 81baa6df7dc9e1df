//! A chat gets few messages with much in them.

use std::time::Duration;

use super::World;
use super::receiver::{Received, Receiver};
use crate::notifier::event;
use crate::notifier::message::message;
use crate::runtime::clock::Clock;
use crate::store::WebhookFormat;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_a_chat_gets_at_most_one_message_a_second() {
    let (world, receiver) = (World::new(), Receiver::always(200).await);
    world.add(&receiver, |wanted| wanted.format = WebhookFormat::Slack).await;
    let notifier = world.start("a");
    for round in 0..10 {
        world.charge(round % 2, "alice", 0..50).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let told = |taken: &[Received]| -> u64 { taken.iter().map(|r| count(r.json()["text"].as_str().unwrap())).sum() };
    receiver.until(|taken| told(taken) >= 500).await;
    notifier.stop().await;
    let messages = receiver.taken();
    assert_eq!(told(&messages), 500, "each event is told once");
    for pair in messages.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(990), "{:?}", pair[1].at - pair[0].at);
    }
    let first = &messages[0];
    assert!(!first.headers.contains_key("webhook-signature") && first.json()["blocks"][0]["type"] == "section");
}

fn count(text: &str) -> u64 {
    text.split(" × ").next().unwrap().parse().unwrap()
}

#[test]
fn a_message_is_bounded_and_what_slack_reads_as_its_own_is_escaped() {
    let mut test = event::test(Clock::System.now());
    test.data.insert("message".into(), "<!channel> & more".into());
    let events = vec![test; 300];
    let body: serde_json::Value = serde_json::from_slice(&message(&events)).unwrap();
    assert_eq!(body["text"], "300 × turnstile.test");
    let text = body["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt; &amp; more") && text.ends_with("… and 290 more"), "{text}");
    assert!(message(&[]).len() < 200);
}
