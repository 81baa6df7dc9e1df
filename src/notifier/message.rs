//! What a chat is told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::Event;

/// Events of one message that are told one by one; the others are counted.
const TOLD_MAX: usize = 10;
/// Slack refuses a longer text.
const TEXT_CHARS_MAX: usize = 2900;

/// A message: `text` for notifications, a block for the chat. Slack reads `&`, `<` and `>` as its own.
pub fn message(events: &[Event]) -> Vec<u8> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        *counts.entry(event.kind).or_default() += 1;
    }
    let heads: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let text = heads.join(", ");
    let mut lines = vec![format!("*{text}*")];
    lines.extend(events.iter().take(TOLD_MAX).map(told));
    if let Some(more) = events.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more"));
    }
    let lines: String = lines.join("\n").chars().take(TEXT_CHARS_MAX).collect();
    let block = serde_json::json!({"type": "section", "text": {"type": "mrkdwn", "text": lines}});
    serde_json::json!({ "text": text, "blocks": [block] }).to_string().into_bytes()
}

/// One event in a line, without users.
fn told(event: &Event) -> String {
    let escaped = |text: String| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let shown = |name: &str| match event.data.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.len() > 8 => Some(format!("{} of them", items.len())),
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        Value::Object(problem) => problem.get("code").and_then(Value::as_str).map(str::to_owned),
        other => Some(other.to_string()),
    };
    let names = [
        "seats",
        "seat",
        "amount",
        "balance",
        "sequence",
        "reservations",
        "problem",
        "message",
        "from",
        "to",
        "partition",
        "reason",
    ];
    let facts = names.iter().filter_map(|name| Some(format!("{name} {}", shown(name)?)));
    escaped(format!("• {} {}", event.kind, facts.collect::<Vec<_>>().join(", ")))
}
