//! An endpoint that the configuration file declares, and a parked partition that it is told of.

use serde_json::json;

use super::receiver::Receiver;
use super::{settings, text};
use crate::harness::server::{Server, command, run_to_end};
use crate::harness::{Pair, System, run_set, until};
use crate::operating::alter;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn file(system: &System) -> String {
    system.data_dir().join("turnstile.toml").display().to_string()
}

fn write(system: &System, endpoints: &str) {
    std::fs::write(file(system), endpoints).expect("written");
}

fn with_file(system: &System) -> Vec<(String, String)> {
    let mut env = system.env().to_vec();
    env.push(("TURNSTILE_CONFIG".to_owned(), file(system)));
    env
}

/// On one machine the program, else its notifier: that one has the file.
async fn start(system: &System) {
    if system.pair == Pair::Real {
        let door = system.start_role("api").await;
        system.client.point_at(vec![door]);
        system.start_role("worker").await;
    }
}

fn role(system: &System) -> &'static [&'static str] {
    if system.pair == Pair::Real { &["notifier"] } else { &[] }
}

async fn start_notifier(system: &System) {
    let server = Server::start(role(system), &with_file(system));
    server.until_ready(system.client.http()).await;
    if system.pair == Pair::Embedded {
        system.client.point_at(vec![server.base.clone()]);
    }
    system.servers().push(server);
}

async fn stop_notifier(system: &System) {
    let mut server = system.servers().pop().expect("it runs");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_declared_endpoint_hears_of_a_parked_partition_embedded() {
    let name = "f46_declared_embedded";
    run_set(Pair::Embedded, name, settings(), start, async |system| a_life(system).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_a_declared_endpoint_hears_of_a_parked_partition_real() {
    run_set(Pair::Real, "f46_declared_real", settings(), start, async |system| a_life(system).await).await;
}

async fn a_life(system: &System) {
    let receiver = Receiver::start(0).await;
    let secret_file = system.data_dir().join("secret");
    std::fs::write(&secret_file, format!("{SECRET}\n")).expect("written");
    let declare = |types: &str| {
        let endpoint = format!(
            "[[webhooks]]\nname = \"ops\"\nurl = \"{}\"\nsecret_file = \"{}\"\ntypes = [{types}]\n",
            receiver.url(),
            secret_file.display()
        );
        write(system, &endpoint);
    };
    declare("\"partition.stolen\"");
    let refused = command(role(system), &with_file(system)).output().expect("it starts");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains(&format!("file {}: webhooks \"ops\": types has", file(system))), "{said}");
    declare("\"partition.*\", \"wallet.charged\"");
    start_notifier(system).await;
    let admin = system.client.admin();
    let shown = until("the endpoint", async || {
        let answer = admin.get("/v1/ops/webhooks/ops").await;
        if answer.status == 200 { Ok(answer.body) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(text(&shown, "declared_in"), file(system));
    refuses_changes(system).await;
    a_parking_is_told(system, &receiver).await;
    super::verified(&receiver.taken(), SECRET);
    // The file declares it no longer.
    stop_notifier(system).await;
    write(system, "");
    start_notifier(system).await;
    until("it to be removed", async || {
        let answer = system.client.admin().get("/v1/ops/webhooks/ops").await;
        if answer.status == 404 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

/// What the file says is changed there; what operators do about an endpoint is theirs.
async fn refuses_changes(system: &System) {
    let admin = system.client.admin();
    let secret = admin.post("/v1/ops/webhooks/ops/secret", json!({})).send().await;
    let removed = admin.delete("/v1/ops/webhooks/ops").send().await;
    for refused in [secret, removed] {
        assert_eq!((refused.status, refused.code()), (409, "not_possible"), "{refused:?}");
        assert!(text(&refused.body, "detail").contains(&file(system)), "{refused:?}");
    }
    for args in [["webhooks", "remove", "ops"], ["webhooks", "rotate", "ops"]] {
        let refused = command(&args, system.env()).output().expect("it starts");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(64), "{said}");
        assert!(said.contains("is declared in") && said.contains(&file(system)), "{said}");
    }
    run_to_end(&["webhooks", "disable", "ops"], system.env());
    run_to_end(&["webhooks", "enable", "ops"], system.env());
    let shown = run_to_end(&["webhooks", "show", "ops"], system.env());
    assert!(shown.contains(&format!("declared  {}", file(system))), "{shown}");
}

async fn a_parking_is_told(system: &System, receiver: &Receiver) {
    let alice = system.client.user("alice");
    alice.charge(100).decide().await.result();
    until("the charge", async || receiver.has(1)).await;
    alter(system, "alter table wallet_entry rename to hidden_entry").await;
    let id = alice.charge(7).send().await.request_id().to_owned();
    until("the parking", async || receiver.has(2)).await;
    let parked = receiver.taken().last().cloned().expect("it came");
    assert_eq!(text(&parked.json, "type"), "partition.parked");
    assert!(text(&parked.json["data"], "reason").contains("wallet_entry"), "{}", parked.body);
    let partition = text(&parked.json["data"], "partition").to_owned();
    assert_eq!(parked.headers["webhook-id"], format!("partition-{}-1", partition.replace('.', "-")));
    if system.pair == Pair::Real {
        successor_stands_there(system).await;
    }
    alter(system, "alter table hidden_entry rename to wallet_entry").await;
    acquired_again(system, &partition).await;
    assert_eq!(alice.decided_later(&id).await.result()["balance"], 107);
    until("that it goes on, and the charge", async || receiver.has(4)).await;
    let told = receiver.taken().into_iter().filter(|of| text(&of.json, "type").starts_with("partition."));
    let mut told: Vec<String> = told.map(|of| text(&of.json, "type").to_owned()).collect();
    told.dedup();
    assert_eq!(told, ["partition.parked", "partition.recovered"]);
}

/// The worker that parked it dies; its successor stands at the same record, and that is no news.
async fn successor_stands_there(system: &System) {
    let mut worker = system.servers().remove(1);
    worker.kill();
    let base = system.start_role("worker").await;
    // The notifier stays the last of them.
    system.servers().swap(1, 2);
    until("the next owner to stand there", async || {
        let answer = system.client.http().get(format!("{base}/readyz?verbose")).send().await.expect("an answer");
        let said = answer.text().await.expect("text");
        if said.contains("wallet_entry") { Ok(()) } else { Err(said) }
    })
    .await;
}

/// By the API, and by the command line. It may have gone on by itself since.
async fn acquired_again(system: &System, partition: &str) {
    let path = format!("/v1/ops/partitions/{partition}/acquire");
    let again = system.client.admin().post(&path, json!({"reason": "the table is back"})).send().await;
    assert!([202, 409].contains(&again.status), "{again:?}");
    let worker = system.servers().iter().map(|server| server.base.clone()).collect::<Vec<_>>();
    let at = worker[usize::from(system.pair == Pair::Real)].as_str();
    let args = ["partitions", "acquire", partition, "--reason", "once more", "--by", "kim", "--at", at];
    let again = command(&args, system.env()).output().expect("it starts");
    let said = [again.stdout, again.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    match again.status.code() {
        Some(0) => {
            let done = ["is acquired again", "was acquired meanwhile"].map(|done| format!("{partition} {done}"));
            assert!(done.iter().any(|done| said.contains(done)), "{said}");
        }
        code => assert!(code == Some(64) && said.contains(&format!("{partition} is not parked but owned")), "{said}"),
    }
}
