//! The Helm chart and the Compose file as their own programs read them (`scripts/deploy-tools`).

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use turnstile::config::{self, Config, Needs};

use super::{path, yaml};

const NEEDED: &str = "settings.log.brokers=kafka:9092";
const EVERYTHING: &str = "ingress.hosts={tickets.example},ingress.tlsSecretName=tls,ingress.className=nginx,\
                          image.pullSecrets[0].name=pull,nodeSelector.disk=fast,podAnnotations.a=b,notifier.replicas=1";

/// The program that this variable names; nothing where it is missing and this run does not require all of them.
fn stranger(variable: &str) -> Option<Command> {
    let program = std::env::var_os(variable);
    let required = std::env::var_os("TURNSTILE_TEST_REQUIRE_SERVICES").is_some();
    assert!(program.is_some() || !required, "{variable} is not set: scripts/deploy-tools");
    if program.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    program.map(Command::new)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn helm(args: &[&str]) -> Option<Output> {
    let mut helm = stranger("TURNSTILE_TEST_HELM")?;
    Some(helm.args(args).current_dir(path("deploy")).output().unwrap())
}

/// What the chart makes of these values.
fn rendered(values: &[&str]) -> Option<String> {
    let sets = values.iter().flat_map(|value| ["--set", value]);
    let args: Vec<_> = ["template", "shop", "helm", "--kube-version", "1.33.0"].into_iter().chain(sets).collect();
    let output = helm(&args)?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(text(&output.stdout))
}

fn objects(rendered: &str) -> Vec<Value> {
    let documents = rendered.split("\n---\n").filter(|document| document.contains("kind:"));
    documents.map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    let pod = &object["spec"]["template"]["spec"];
    ["initContainers", "containers"].into_iter().filter_map(|kind| pod[kind].as_array()).flatten()
}

#[test]
fn the_chart_renders_objects_of_which_kubernetes_knows_every_field() {
    let Some(linted) = helm(&["lint", "--strict", "helm", "--set", NEEDED, "--kube-version", "1.33.0"]) else { return };
    assert!(linted.status.success(), "{}{}", text(&linted.stdout), text(&linted.stderr));
    for values in [&[NEEDED][..], &[NEEDED, EVERYTHING]] {
        let Some(rendered) = rendered(values) else { return };
        let Some(mut check) = stranger("TURNSTILE_TEST_DEPLOY_CHECK") else { return };
        let check = check.arg("kubernetes").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut check = check.spawn().unwrap();
        check.stdin.take().unwrap().write_all(rendered.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout).lines().count(), objects(&rendered).len());
        assert_eq!(text(&output.stdout).matches("Deployment").count(), 3);
    }
}

/// An entry of a Kubernetes secret cannot be checked here, so its names are those that the documents say.
#[test]
fn every_process_of_the_chart_reads_its_settings_and_is_the_program_of_this_version() {
    let Some(rendered) = rendered(&[NEEDED, "settings.http.connections_max=1234", "settings.worker.instance_id=a"])
    else {
        return;
    };
    let objects = objects(&rendered);
    let settings = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), settings["data"]["turnstile.toml"].as_str().unwrap()).unwrap();
    let secret = [
        ("TURNSTILE__DATABASE__URL", "postgres://turnstile:x@postgres/turnstile"),
        ("TURNSTILE__AUTH__QUEUE_TOKEN_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TURNSTILE__TICKETS__SIGNING_SECRETS", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ];
    let values = fs::read_to_string(path("deploy/helm/values.yaml")).unwrap();
    assert!(secret.iter().all(|(name, _)| values.contains(name)), "values.yaml names what the secret must have");
    let environment = secret.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let layers = config::layers(Some(file.path()), environment).unwrap();
    let config = Config::read(&layers).unwrap();
    assert_eq!(config.log.brokers.as_deref(), Some("kafka:9092"));

    let mut roles = Vec::new();
    for object in objects.iter().filter(|object| object["spec"]["template"].is_object()) {
        for container in containers(object) {
            let role = container["args"][0].as_str().unwrap();
            config.check(&layers, Needs { http: role == "api", shared: true }).unwrap();
            assert_eq!(container["image"], format!("turnstile:{}", env!("CARGO_PKG_VERSION")));
            let help = Command::new(env!("CARGO_BIN_EXE_turnstile")).args([role, "--help"]).output().unwrap();
            assert!(help.status.success(), "{role}");
            if object["kind"] == "Deployment" {
                assert_eq!(container["readinessProbe"]["httpGet"]["port"], config.http.ops_listen.unwrap().port());
                let grace = object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
                assert!(grace > config.shutdown_deadline.as_secs(), "{role} is killed before it can drain");
            }
            roles.push(role);
        }
    }
    roles.sort_unstable();
    assert_eq!(roles, ["api", "migrate", "notifier", "topics", "worker"]);
}

#[test]
fn the_chart_brings_the_alerts_and_says_what_it_lacks() {
    let Some(rendered) = rendered(&[NEEDED, "monitoring.rules=true,monitoring.podMonitor=true"]) else { return };
    let rule = objects(&rendered).into_iter().find(|object| object["kind"] == "PrometheusRule").unwrap();
    assert_eq!(rule["spec"], yaml("deploy/prometheus/rules.yml"));
    let Some(refused) = helm(&["template", "shop", "helm", "--kube-version", "1.33.0"]) else { return };
    assert!(!refused.status.success() && text(&refused.stderr).contains("settings.log.brokers must name"));
}

/// With the library that Docker Compose itself is made of, and so the schema of the Compose specification.
#[test]
fn docker_compose_reads_the_compose_file() {
    let Some(mut check) = stranger("TURNSTILE_TEST_DEPLOY_CHECK") else { return };
    let output = check.arg("compose").arg(path("docker-compose.yml")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("service worker\n"));

    // It is not content with anything.
    let bad = tempfile::tempdir().unwrap();
    let file = bad.path().join("compose.yml");
    let compose = fs::read_to_string(path("docker-compose.yml")).unwrap();
    fs::write(&file, compose.replace("stop_grace_period: 15s", "stop_grace: 15s")).unwrap();
    let Some(mut check) = stranger("TURNSTILE_TEST_DEPLOY_CHECK") else { return };
    let output = check.arg("compose").arg(&file).output().unwrap();
    assert!(!output.status.success() && text(&output.stderr).contains("stop_grace"), "{}", text(&output.stderr));
}
