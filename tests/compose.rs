//! docker-compose.yml and the Dockerfile say what the program understands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;
use turnstile::config::{self, Config, Needs};

const SECRET_BYTES_MIN: usize = 32;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).unwrap()
}

/// Services that run the program, by name.
fn ours(compose: &Value) -> BTreeMap<String, Value> {
    let services = compose["services"].as_object().unwrap().iter();
    let ours = services.filter(|(_, service)| service["build"].is_string());
    ours.map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// `${NAME:-default}` as the default, everywhere in the text.
fn without_variables(text: &str) -> String {
    let mut left = text;
    let mut done = String::new();
    while let Some((before, rest)) = left.split_once("${") {
        let (variable, after) = rest.split_once('}').expect("a variable ends");
        let (_, default) = variable.split_once(":-").expect("every variable has a default");
        done = done + before + default;
        left = after;
    }
    done + left
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let pairs = service["environment"].as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), without_variables(value.as_str().expect("quoted")))).collect()
}

fn configured(service: &Value) -> (config::Layers, Config) {
    let layers = config::layers(None, environment(service).into_iter()).unwrap();
    let config = Config::read(&layers).unwrap();
    (layers, config)
}

#[test]
fn every_service_is_configured_as_its_role_needs() {
    let compose = compose();
    let ours = ours(&compose);
    let names: BTreeSet<_> = ours.keys().map(String::as_str).collect();
    assert_eq!(names, ["api", "migrate", "notifier", "topics", "worker"].into());
    for (name, service) in &ours {
        let (layers, config) = configured(service);
        config.check(&layers, Needs { http: name == "api", shared: true }).unwrap();
    }
}

#[test]
fn commands_exist() {
    let help = Command::new(env!("CARGO_BIN_EXE_turnstile")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for (name, service) in ours(&compose()) {
        let command = service["command"][0].as_str().unwrap();
        assert!(help.lines().any(|line| line.split_whitespace().next() == Some(command)), "{name} runs {command}");
    }
}

#[test]
fn brokers_database_and_ports_are_those_of_the_other_services() {
    let compose = compose();
    let api = &ours(&compose)["api"];
    let (_, config) = configured(api);
    let kafka = environment(&compose["services"]["kafka"]);
    let brokers = config.log.brokers.unwrap();
    let advertised = &kafka["KAFKA_ADVERTISED_LISTENERS"];
    assert!(advertised.split(',').any(|listener| listener == format!("INSIDE://{brokers}")), "{advertised}");
    let postgres = environment(&compose["services"]["postgres"]);
    let expected = format!(
        "postgres://{}:{}@postgres:5432/{}",
        postgres["POSTGRES_USER"], postgres["POSTGRES_PASSWORD"], postgres["POSTGRES_DB"]
    );
    assert_eq!(config.database.url.unwrap().reveal(), expected);
    let published = api["ports"][0].as_str().unwrap();
    assert!(published.ends_with(&format!(":{}", config.http.listen.port())), "{published}");
    let probe = api["healthcheck"]["test"].to_string();
    assert!(probe.contains(&format!("/dev/tcp/127.0.0.1/{}", config.http.listen.port())), "{probe}");
}

#[test]
fn what_is_published_is_published_on_loopback() {
    for (name, service) in compose()["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
    }
}

#[test]
fn there_are_two_front_doors_and_two_workers_that_wait_for_tables_and_topics() {
    let compose = compose();
    for name in ["api", "worker"] {
        let service = &compose["services"][name];
        assert_eq!(service["deploy"]["replicas"], 2, "{name}");
        for needed in ["migrate", "topics"] {
            assert_eq!(service["depends_on"][needed]["condition"], "service_completed_successfully", "{name}");
        }
        let (_, config) = configured(service);
        let grace = service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
        assert!(grace > config.shutdown_deadline.as_secs(), "{name} is killed before it can drain");
    }
}

#[test]
fn the_secrets_can_be_replaced_and_are_long_enough_to_start() {
    let compose = compose();
    let raw = &compose["services"]["api"]["environment"];
    for name in ["AUTH__HS256_SECRET", "AUTH__QUEUE_TOKEN_SECRET", "TICKETS__SIGNING_SECRETS"] {
        let value = raw[format!("TURNSTILE__{name}")].as_str().unwrap();
        assert!(value.starts_with("${TURNSTILE_"), "{name} is fixed");
        assert!(without_variables(value).len() >= SECRET_BYTES_MIN, "{name}");
    }
    let secret = without_variables(raw["TURNSTILE__AUTH__HS256_SECRET"].as_str().unwrap());
    assert!(read("scripts/token").contains(&secret), "scripts/token signs with another secret");
}

#[test]
fn image_and_program_have_one_version() {
    let compose = compose();
    let image = compose["services"]["api"]["image"].as_str().unwrap();
    assert_eq!(image, format!("turnstile:{}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_brokers_of_tests_and_of_the_compose_file_have_one_version() {
    let pom = read("scripts/kafka/pom.xml");
    let (_, rest) = pom.split_once("<kafka.version>").unwrap();
    let (version, _) = rest.split_once('<').unwrap();
    assert_eq!(compose()["services"]["kafka"]["image"], format!("apache/kafka:{version}"));
}

#[test]
fn the_image_runs_as_nobody_special_and_is_built_with_tls() {
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.lines().any(|line| line == "USER turnstile"));
    assert!(dockerfile.contains("--locked --release --features kafka-tls"));
    let manifest = read("Cargo.toml");
    let rust = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{rust}-")), "the image is built with another Rust than {rust}");
    let settings = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let settings: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Config::read(&config::layers(None, settings.into_iter()).unwrap()).unwrap();
}
