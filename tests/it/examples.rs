//! The examples of producers, as another service would run them; `scripts/producers` prepares Java and Python. Each charges
//! twice under one id.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::producer::new_id;
use crate::harness::{Pair, System, run};

fn example(file: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/producers").join(file).display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e4_example_in_java() {
    let Some(classpath) = crate::strangers::tool("TURNSTILE_TEST_JAVA_CLASSPATH") else { return };
    let program = vec!["java".into(), "-Xmx128m".into(), "-cp".into(), classpath, example("java/Charge.java")];
    run(Pair::Real, "e4_example_in_java", async |system| charged_once(system, &program).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e4_example_in_python() {
    let Some(python) = crate::strangers::tool("TURNSTILE_TEST_PYTHON") else { return };
    let program = vec![python, example("python/charge.py")];
    run(Pair::Real, "e4_example_in_python", async |system| charged_once(system, &program).await).await;
}

async fn charged_once(system: &System, program: &[String]) {
    let services = system.services.as_ref().expect("the real pair");
    // To be escaped in JSON.
    let user = system.client.user("o'brien \"bob\"");
    let id = new_id();
    for _ in 0..2 {
        let output = Command::new(&program[0])
            .args(&program[1..])
            .args([&services.brokers, &services.prefix, &user.name, "5000", &id])
            .output()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program[0]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let place = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(place.starts_with(&format!("{}.wallets ", services.prefix)), "{place}");
    }
    assert_eq!(user.decided_later(&id).await.result()["balance"], 5000);
    assert_eq!(user.balance().await, 5000);
}
