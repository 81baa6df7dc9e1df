//! B7: an endpoint behind a private CA. Python's TLS is the stranger.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::tempdir;

use super::{here, settings};
use crate::harness::server::command;

fn openssl(directory: &Path, args: &str) -> bool {
    let args = args.split(' ');
    let run = Command::new("openssl").args(args).current_dir(directory).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// A CA and a certificate of it for `localhost`; false: there is no openssl.
pub fn certificates(directory: &Path) -> bool {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ours -days 2"))
        && openssl(
            directory,
            &format!(
                "req -x509 {key} -keyout leaf.key -out leaf.pem -subj /CN=localhost -days 2 -CA ca.pem -CAkey ca.key \
                 -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:false"
            ),
        )
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn b7_https_with_a_private_ca() {
    let directory = tempdir().unwrap();
    if !certificates(directory.path()) {
        let required = std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!required, "openssl and python3 must be installed");
        println!("skipped: openssl is not installed");
        return;
    }
    let at = |name: &str| directory.path().join(name).display().to_string();
    let mut child = Command::new("python3")
        .args([here("tls_receiver.py").display().to_string(), at("leaf.pem"), at("leaf.key")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _ended = Ended(child);
    let port = lines.next().unwrap().unwrap();
    let mut env = settings();
    env.push(("TURNSTILE__DATA_DIR".to_owned(), at("data")));
    let run = |further: &[(&str, &str)], args: &[&str]| {
        let further = further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env: Vec<(String, String)> = env.iter().cloned().chain(further).collect();
        let output = command(args, &env).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let url = format!("https://localhost:{port}/hook");
    let (added, text) = run(&[], &["webhooks", "add", "ours", &url]);
    assert!(added && text.contains("whsec_"), "{text}");
    let (taken, text) = run(&[], &["webhooks", "test", "ours"]);
    assert!(!taken && text.contains("no TLS: "), "it is not trusted by itself: {text}");
    let ca = ("TURNSTILE__NOTIFIER__CA_FILE", &*at("ca.pem"));
    let (taken, text) = run(&[ca], &["webhooks", "test", "ours"]);
    assert!(taken && text.contains("answered 200"), "{text}");
    assert!(lines.next().unwrap().unwrap().contains("turnstile.test"));
    let closed = ("TURNSTILE__NOTIFIER__ALLOW_PRIVATE", "");
    let (taken, text) = run(&[ca, closed], &["webhooks", "test", "ours"]);
    assert!(!taken && text.contains("is not public"), "{text}");
}
