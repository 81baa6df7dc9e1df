//! Webhooks end to end: a bad receiver, killed notifiers, and strangers that verify the signatures (`scripts/receivers`).

mod declared;
pub mod private_ca;
mod receiver;
mod routes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::receiver::Received;
pub use self::receiver::Receiver;
use crate::harness::server::Server;
use crate::harness::{Pair, System, User, run_set, until};

const USERS: usize = 20;

/// How many outcomes: a few in the ordinary suite.
fn outcomes() -> usize {
    std::env::var("TURNSTILE_TEST_WEBHOOK_OUTCOMES").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

/// How often a notifier is killed.
fn kills() -> usize {
    if outcomes() > 5_000 { 20 } else { 4 }
}

/// Calls this machine, and does not wait between attempts.
pub fn settings() -> Vec<(String, String)> {
    let retry = ["0s"; 40].join(",");
    let pairs = [
        ("ALLOW_HTTP", "true"),
        ("ALLOW_PRIVATE", "127.0.0.0/8"),
        ("TIMEOUT_MS", "400"),
        ("TAKEOVER_AFTER_MS", "1000"),
        ("RETRY", &retry),
    ];
    pairs.map(|(name, value)| (format!("TURNSTILE__NOTIFIER__{name}"), value.to_owned())).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_embedded() {
    let start = async |system: &System| system.start().await;
    run_set(Pair::Embedded, "b6_embedded", settings(), start, async |system| everything_comes(system).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_real() {
    let start = async |system: &System| {
        let door = system.start_role("api").await;
        system.client.point_at(vec![door]);
        system.start_role("worker").await;
    };
    run_set(Pair::Real, "b6_real", settings(), start, async |system| everything_comes(system).await).await;
}

/// Who is killed: on one machine the whole program, else one of two notifiers in turn.
enum Victims {
    Whole,
    Notifiers(Vec<Server>),
}

impl Victims {
    async fn of(system: &System) -> Victims {
        match system.pair {
            Pair::Embedded => Victims::Whole,
            Pair::Real => {
                let both = [(); 2].map(|()| Server::start(&["notifier"], system.env()));
                for notifier in &both {
                    notifier.until_ready(system.client.http()).await;
                }
                Victims::Notifiers(both.into())
            }
        }
    }

    async fn kill(&mut self, system: &System) {
        match self {
            Victims::Whole => {
                system.kill();
                system.start().await;
            }
            Victims::Notifiers(running) => {
                let mut victim = running.remove(0);
                victim.kill();
                running.push(Server::start(&["notifier"], system.env()));
            }
        }
    }

    async fn stop(self) {
        if let Victims::Notifiers(running) = self {
            for mut notifier in running {
                notifier.stop().await;
            }
        }
    }
}

async fn everything_comes(system: &System) {
    let receiver = Receiver::start(30).await;
    let body = json!({"name": "shop", "url": receiver.url(), "types": ["wallet.charged"], "include_user": true});
    let added = system.client.admin().post("/v1/ops/webhooks", body).send().await;
    assert_eq!(added.status, 201, "{added:?}");
    let secret = added.body["secret"].as_str().unwrap().to_owned();
    let mut verifier = Verifier { secret, verified: 0 };
    let mut victims = Victims::of(system).await;
    let mut load = JoinSet::new();
    for number in 0..USERS {
        load.spawn(charge(system.client.user(format!("user{number}")), outcomes() / USERS));
    }
    for round in 1..=kills() {
        let enough = outcomes() * round / (kills() + 2);
        // In as long as it takes, as long as something comes.
        for some in (verifier.verified..enough).step_by(100).skip(1).chain([enough]) {
            until(&format!("{some} events"), async || receiver.has(some)).await;
        }
        verifier.catch_up(&receiver);
        victims.kill(system).await;
    }
    let accepted: BTreeSet<String> = load.join_all().await.into_iter().flatten().collect();
    until_all(&receiver, &accepted, &mut verifier).await;
    victims.stop().await;
    let taken = receiver.taken();
    in_order_and_whole(&taken, &accepted);
    println!("{:?}: {} events, {} requests", system.pair, accepted.len(), receiver.asked());
    verifier.catch_up(&receiver);
    assert_eq!(verifier.verified, taken.len());
}

/// Has what has come verified while it is fresh: the libraries refuse timestamps more than five minutes old.
struct Verifier {
    secret: String,
    verified: usize,
}

impl Verifier {
    fn catch_up(&mut self, receiver: &Receiver) {
        let taken = receiver.taken();
        verified(&taken[self.verified..], &self.secret);
        self.verified = taken.len();
    }
}

/// Charges one after another, each until it is accepted. The ids of the requests.
async fn charge(user: User, count: usize) -> Vec<String> {
    let mut accepted = Vec::new();
    while accepted.len() < count {
        let answer = user.charge(1).key(&format!("charge-{}", accepted.len())).try_send().await;
        match answer {
            Ok(answer) if [200, 202].contains(&answer.status) => accepted.push(answer.request_id().to_owned()),
            // The server is away or busy: the same once more.
            _ => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
    accepted
}

/// In as long as it takes, as long as something comes.
async fn until_all(receiver: &Receiver, accepted: &BTreeSet<String>, verifier: &mut Verifier) {
    let mut before = 0;
    loop {
        let come: BTreeSet<String> = receiver.taken().iter().map(request).collect();
        if come.len() >= accepted.len() {
            return;
        }
        let enough = (come.len() + 100).min(accepted.len()).max(before + 1);
        until(&format!("{enough} of {} events", accepted.len()), async || receiver.has(enough)).await;
        verifier.catch_up(receiver);
        before = come.len();
    }
}

fn request(received: &Received) -> String {
    received.json["data"]["request_id"].as_str().unwrap().to_owned()
}

/// Of each user in the order of their wallet; each request once, but for repeats under the same id.
fn in_order_and_whole(taken: &[Received], accepted: &BTreeSet<String>) {
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for received in taken {
        let (id, request) = (received.headers["webhook-id"].clone(), request(received));
        if let Some(before) = ids.insert(id, request.clone()) {
            assert_eq!(before, request, "one id, two events");
            continue;
        }
        let data = &received.json["data"];
        let user = data["user_id"].as_str().unwrap().to_owned();
        let offset: u64 = data["position"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap();
        let before = last.insert(user.clone(), offset);
        assert!(before.is_none_or(|before| before < offset), "{user}: {before:?} before {offset}");
    }
    let come: BTreeSet<String> = ids.values().cloned().collect();
    assert_eq!(ids.len(), come.len(), "one event, two ids");
    assert_eq!(&come, accepted, "each charge comes, and nothing else");
}

/// The libraries of the specification verify each of them, in Python and in JavaScript.
fn verified(taken: &[Received], secret: &str) {
    let mut lines = String::new();
    for received in taken {
        let line = json!({"headers": received.headers, "body": received.body});
        lines += &format!("{line}\n");
    }
    for (variable, script) in
        [("TURNSTILE_TEST_WEBHOOKS_PYTHON", "verify.py"), ("TURNSTILE_TEST_WEBHOOKS_NODE", "verify.mjs")]
    {
        let Some(program) = tool(variable) else { continue };
        let mut child = Command::new(program)
            .args([here(script).display().to_string(), secret.to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the verifier starts");
        let input = lines.clone();
        let mut stdin = child.stdin.take().expect("it is piped");
        let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("it ends");
        writing.join().expect("no panic").expect("it reads everything");
        assert!(output.status.success(), "{script}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("{} verified", taken.len()), "{script}");
    }
}

pub fn here(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/webhooks").join(file)
}

/// What a variable of `scripts/receivers env` says, or `None`: then the check is left out, where tools are not required.
pub fn tool(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        let required = std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!required, "{variable} must name the verifier: scripts/receivers up, then scripts/receivers env");
        println!("not verified: {variable} is not set (scripts/receivers)");
    }
    found
}

/// A field that must be text.
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}
