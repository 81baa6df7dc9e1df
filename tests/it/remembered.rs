//! An operator changes for how long requests count as seen: each partition applies it at its next takeover, and the audit
//! of a fresh process lists it.

use crate::harness::server::{command, run_to_end};
use crate::harness::{System, scenarios, until};

scenarios!(the_age_of_requests_is_changed_at_the_next_takeover);

async fn the_age_of_requests_is_changed_at_the_next_takeover(system: &System) {
    let user = system.client.user("alice");
    user.charge(100).decide().await.result();
    let listed = remember(system, &[]);
    assert!(listed.lines().skip(1).all(|line| line.split_whitespace().nth(1) == Some("7d")), "{listed}");

    let wrong = command(&["partitions", "remember", "5s", "--reason", "too short"], system.env());
    assert_eq!({ wrong }.output().expect("the program starts").status.code(), Some(64));
    for (age, reason) in [("1h", "a slip of the pen"), ("30d", "a partner repeats for weeks")] {
        let said = remember(system, &[age, "--reason", reason, "--by", "kim"]);
        assert!(said.contains(&format!("remember requests for {age} once")), "{said}");
    }
    let listed = remember(system, &[]);
    assert!(listed.lines().skip(1).all(|line| line.contains("  7d  ") && line.ends_with("  30d")), "{listed}");

    system.stop().await;
    system.start().await;
    until("every partition to be acquired", async || {
        let listed = remember(system, &[]);
        let applied =
            |line: &str| line.split_whitespace().nth(1) == Some("30d") && line.split_whitespace().count() == 3;
        if listed.lines().skip(1).all(applied) { Ok(()) } else { Err(listed) }
    })
    .await;
    assert_eq!(user.charge(7).decide().await.result()["balance"], 107);
    system.stop().await;
    let audit = run_to_end(&["audit"], system.env());
    let acts = audit.lines().filter(|line| line.contains("requests count as seen for 30d from offset"));
    assert_eq!(acts.count(), listed.lines().count() - 1, "{audit}");
    assert!(audit.contains("by kim at") && audit.contains(": a partner repeats for weeks"), "{audit}");
    system.start().await;
}

fn remember(system: &System, args: &[&str]) -> String {
    run_to_end(&[&["partitions", "remember"], args].concat(), system.env())
}
