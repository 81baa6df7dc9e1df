//! `turnstile backup` while the pair sells: each copy is a pair that starts, knows what was answered and audits clean.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::server::{Server, command, run_to_end};
use crate::harness::{self, Client, Pair, Sale, System, User, one_section};

const BUYERS: u32 = 6;
const COPIES: i64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_the_pair_sells_starts_and_audits_clean() {
    harness::run(Pair::Embedded, "backup", scenario).await;
}

async fn scenario(system: &System) {
    let client = &system.client;
    let sale = one_section(client, 300).await;
    let (saver, done) = (client.user("saver"), AtomicBool::new(false));
    let directory = tempfile::tempdir().unwrap();
    let copy = |n: i64| directory.path().join(format!("copy-{n}"));
    let buyers =
        futures_util::future::join_all((0..BUYERS).map(|n| buy(client.user(format!("buyer{n}")), &sale, &done)));
    let copying = async {
        for n in 1..=COPIES {
            saver.charge(1_000).decide().await.result();
            let (env, to) = (system.env().to_vec(), copy(n).display().to_string());
            let copied = tokio::task::spawn_blocking(move || run_to_end(&["backup", &to], &env)).await.unwrap();
            assert!(copied.contains("log and store are copied"), "{copied}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (bought, ()) = tokio::join!(buyers, copying);
    assert!(bought.iter().sum::<u32>() > 0, "nothing was sold meanwhile");
    for n in 1..=COPIES {
        check(system, &copy(n), n * 1_000).await;
    }
    let again = command(&["backup", &copy(1).display().to_string()], system.env()).output().unwrap();
    assert_eq!(again.status.code(), Some(64), "a copy is not overwritten");
}

/// Buys and cancels until the copies are made; how many times.
async fn buy(user: User, sale: &Sale, done: &AtomicBool) -> u32 {
    let mut bought = 0;
    while !done.load(Ordering::Relaxed) {
        user.charge(1_000).decide().await.result();
        let held = user.hold_best(sale, "A", 1).decide().await.result();
        let reservation = harness::text(&held, "reservation_id");
        user.pay(&reservation).decide().await.result();
        user.cancel(&reservation).decide().await.result();
        bought += 1;
    }
    bought
}

async fn check(system: &System, copy: &Path, saved: i64) {
    let mut env = system.env().to_vec();
    env.push(("TURNSTILE__DATA_DIR".into(), copy.display().to_string()));
    run_to_end(&["audit"], &env);
    let mut server = Server::start(&[], &env);
    let client = Client::new();
    server.until_ready(client.http()).await;
    client.point_at(vec![server.base.clone()]);
    harness::until("what was answered before the copy", async || match client.user("saver").balance().await {
        balance if balance >= saved => Ok(()),
        balance => Err(balance.to_string()),
    })
    .await;
    server.stop().await;
    run_to_end(&["audit"], &env);
}
