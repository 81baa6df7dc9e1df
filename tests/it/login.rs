//! jwt mode, with tokens that OpenSSL signs: who may charge whom (W10), and keys that change under a running server.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Pair, System, run_set, services, until};

const SECRET: &str = "of-this-test-0123456789abcdef0123456789";
const FAR: i64 = 4_000_000_000;

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (format!("TURNSTILE__{name}"), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w10_a_cashier_charges_embedded() {
    w10(Pair::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w10_a_cashier_charges_real() {
    w10(Pair::Real).await;
}

async fn w10(pair: Pair) {
    if openssl_is_missing() {
        return;
    }
    let further = settings(&[("AUTH__MODE", "jwt"), ("AUTH__HS256_SECRET", SECRET)]);
    let start = async |system: &System| {
        system.client.log_in(token_of_script());
        system.start().await;
    };
    run_set(pair, "w10_a_cashier_charges", further, start, async |system| a_cashier_charges(system).await).await;
}

/// OpenSSL signs the tokens: without it there is nothing to test. Where services are required, it is too.
fn openssl_is_missing() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    assert!(found || !services::required(), "openssl is not installed");
    if !found {
        println!("skipped: openssl is not installed");
    }
    !found
}

/// Tokens of `scripts/token`; names that begin with a role have it.
fn token_of_script() -> impl Fn(&str) -> String {
    let made: Mutex<HashMap<String, String>> = Mutex::default();
    move |name| {
        let mut made = made.lock().unwrap();
        let make = || {
            let role = ["admin", "cashier"].into_iter().find(|role| name.starts_with(role));
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/token");
            let mut command = Command::new(script);
            command.env("TURNSTILE_HS256_SECRET", SECRET).arg(name).args(role);
            text(&run(&mut command, b"")).trim().to_owned()
        };
        made.entry(name.to_owned()).or_insert_with(make).clone()
    }
}

async fn a_cashier_charges(system: &System) {
    let client = &system.client;
    let (alice, mallory, till) = (client.user("auth0|alice"), client.user("mallory"), client.user("cashier 1"));
    let charge = |amount: i64, user: &str| json!({"amount": amount, "user_id": user});
    for refused in [
        alice.charge(500),
        alice.post("/v1/wallet/charges", charge(500, "auth0|alice")),
        mallory.post("/v1/wallet/charges", charge(500, "auth0|alice")),
        mallory.post("/v1/wallet/debits", charge(500, "auth0|alice")),
    ] {
        let answer = refused.wait(30).send().await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{answer:?}");
    }
    assert_eq!((alice.balance().await, alice.entries().await.len()), (0, 0));

    let unnamed = till.charge(500).wait(30).send().await;
    assert_eq!((unnamed.status, unnamed.code()), (422, "invalid_fields"), "a charge names the user");
    let charged = till.post("/v1/wallet/charges", charge(500, "auth0|alice")).key("bill 7").decide().await;
    assert_eq!((charged.http_status, &charged.result["balance"]), (200, &json!(500)), "{charged:?}");
    let again = till.post("/v1/wallet/charges", charge(500, "auth0|alice")).key("bill 7").decide().await;
    assert_eq!(again, charged, "once in effect");
    alice.debit(100).decide().await.result();
    client.admin().post("/v1/wallet/debits", charge(50, "auth0|alice")).decide().await.result();

    let by: Vec<Value> = alice.entries().await.iter().map(|entry| json!([entry["kind"], entry["by"]])).collect();
    assert_eq!(by, [json!(["DEBIT", "admin"]), json!(["DEBIT", null]), json!(["CHARGE", "cashier 1"])]);
    assert_eq!((alice.balance().await, till.balance().await), (350, 0));
    let path = format!("/v1/requests/{}", charged.request_id);
    for (user, status) in [(&alice, 200), (&till, 200), (&mallory, 404)] {
        assert_eq!(user.get(&path).await.status, status, "{}", user.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_under_a_running_server_embedded() {
    keys_change(Pair::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_under_a_running_server_real() {
    keys_change(Pair::Real).await;
}

async fn keys_change(pair: Pair) {
    if openssl_is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let [first, second, third] = ["first", "second", "third"].map(|id| RsaKey::new(folder.path(), id));
    replace(&path, &[&first]);
    let further = settings(&[
        ("AUTH__MODE", "jwt"),
        ("AUTH__JWKS_FILE", path.to_str().unwrap()),
        ("AUTH__ISSUER", "https://login.example.com"),
        ("AUTH__AUDIENCE", "tickets"),
        ("AUTH__QUEUE_TOKEN_SECRET", SECRET),
        ("TICKETS__SIGNING_SECRETS", "Zm9yLXRyeWluZy1vdXQtb25seS0wMTIzNDU2Nzg5YWI="),
    ]);
    let start = async |system: &System| match system.pair {
        Pair::Embedded => system.start().await,
        Pair::Real => {
            system.start_role("worker").await;
            let api = system.start_role("api").await;
            system.client.point_at(vec![api]);
        }
    };
    let scenario = async |system: &System| {
        let status = async |token: String| {
            let url = format!("{}/v1/wallet", system.client.base());
            let answer = system.client.http().get(url).bearer_auth(token).send().await.expect("an answer");
            answer.status().as_u16()
        };
        assert_eq!(status(first.token("tickets")).await, 200);
        assert_eq!(status(first.token("newsletter")).await, 401, "made for another application");
        assert_eq!(status(second.token("tickets")).await, 401);

        replace(&path, &[&first, &second]);
        until("the second key to be read", async || match status(second.token("tickets")).await {
            200 => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
        assert_eq!(status(first.token("tickets")).await, 200);

        replace(&path, &[&third]);
        for server in &*system.servers() {
            server.signal("HUP");
        }
        until("SIGHUP to have the file read", async || match status(first.token("tickets")).await {
            401 => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
        assert_eq!(status(third.token("tickets")).await, 200);
        // All processes took the signal, and end cleanly when the harness stops them.
        for server in &*system.servers() {
            assert!(server.tail(80).contains("SIGHUP"), "{}", server.tail(80));
        }
    };
    run_set(pair, "keys_change", further, start, scenario).await;
}

/// Writes the key set beside the file and renames it, as Kubernetes does.
fn replace(path: &Path, keys: &[&RsaKey]) {
    let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
    let beside = path.with_extension("new");
    std::fs::write(&beside, json!({"keys": keys}).to_string()).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// A key that OpenSSL made and signs with.
struct RsaKey {
    private: PathBuf,
    jwk: Value,
}

impl RsaKey {
    fn new(folder: &Path, id: &str) -> RsaKey {
        let private = folder.join(format!("{id}.pem"));
        let mut command = Command::new("openssl");
        command.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]);
        run(command.arg(&private), b"");
        let mut command = Command::new("openssl");
        let modulus = text(&run(command.args(["rsa", "-noout", "-modulus", "-in"]).arg(&private), b""));
        let digits = modulus.trim().strip_prefix("Modulus=").expect("a modulus").as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let modulus: Vec<u8> = digits.chunks(2).map(byte).collect();
        let jwk = json!({
            "kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
        });
        RsaKey { private, jwk }
    }

    fn token(&self, audience: &str) -> String {
        let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": self.jwk["kid"]});
        let claims = json!({"iss": "https://login.example.com", "aud": [audience], "sub": "auth0|7", "exp": FAR});
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut command = Command::new("openssl");
        let signature = run(command.args(["dgst", "-sha256", "-sign"]).arg(&self.private), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Standard output of a command that must succeed.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // The input fits a pipe, whether or not it is read.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    let output = child.wait_with_output().expect("the command was started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}
