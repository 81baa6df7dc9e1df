//! The clients' own tests, against a running server: `clients/python`, and `clients/typescript` on the Node that
//! `scripts/receivers` prepares.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Pair, System, run_unchecked};

fn client(language: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients").join(language)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client() {
    let program = ["python3", "-B", "-m", "unittest"].map(str::to_owned);
    run_unchecked(Pair::Embedded, "the_python_client", &[], async |system| passes(system, "python", &program).await)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client() {
    let Some(node) = crate::strangers::tool("TURNSTILE_TEST_NODE_22") else { return };
    let program = [node, "--test".to_owned()];
    run_unchecked(Pair::Embedded, "the_typescript_client", &[], async |system| {
        passes(system, "typescript", &program).await
    })
    .await;
}

async fn passes(system: &System, language: &str, program: &[String]) {
    let base = system.client.base();
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).current_dir(client(language)).env("TURNSTILE_URL", base);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    let skipped = text.contains("skipped=") || text.contains("# skipped 1") || text.contains("# pass 0");
    assert!(!skipped, "all of them ran: {text}");
}
