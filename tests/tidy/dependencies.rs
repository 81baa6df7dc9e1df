//! What the program is made of.

use std::collections::BTreeSet;
use std::process::Command;

/// Names of the crates of a build with these features, as Cargo resolves them without a network.
fn crates(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let listed = String::from_utf8(output.stdout).expect("text");
    listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// A machine with Rust and a C compiler builds it: OpenSSL's headers are for those who ask for Kafka over TLS.
#[test]
fn b7_the_program_builds_without_openssl() {
    let plain = crates(&[]);
    assert!(plain.contains("turnstile") && plain.contains("rustls") && plain.len() > 100, "{plain:?}");
    let of_openssl = |crates: &BTreeSet<String>| crates.iter().any(|name| name == "openssl-sys" || name == "openssl");
    assert!(!of_openssl(&plain), "{plain:?}");
    assert!(!of_openssl(&crates(&["--features", "otel"])));
    assert!(of_openssl(&crates(&["--features", "kafka-tls"])), "nobody would be found");
}
