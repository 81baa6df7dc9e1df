//! The program from outside: exit codes, what it prints, how it starts and ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use turnstile::domain::Lane;
use turnstile::log::embedded::EmbeddedLog;
use turnstile::log::{Log, NewRecord, PartitionCounts, Topic};
use turnstile::runtime::clock::Clock;

const SECRET: &str = "hunter2-0123456789abcdef0123456789abcdef";

/// The program with these settings and nothing of the caller's.
fn turnstile(args: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TURNSTILE")) {
        command.env_remove(name);
    }
    command.args(args).envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

fn run(args: &[&str], settings: &[(&str, &str)]) -> Output {
    turnstile(args, settings).output().expect("the program starts")
}

fn code_and_error(args: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run(args, settings);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A running server on a data directory of its own.
struct Server {
    child: Child,
    /// Standard error's first line.
    first_line: String,
    url: String,
}

impl Server {
    fn start(data_dir: &TempDir, settings: &[(&str, &str)]) -> Server {
        let mut command = turnstile(&[], settings);
        command.env("TURNSTILE__HTTP__LISTEN", "127.0.0.1:0").env("TURNSTILE__DATA_DIR", data_dir.path());
        command.env("TURNSTILE__DEMO__ON_FIRST_START", "false");
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let first_line = lines.next().and_then(Result::ok).expect("a first line");
        // The rest must be read, or the program would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let line: serde_json::Value = serde_json::from_str(&first_line).expect("off a terminal, lines are JSON");
        let url = format!("http://{}", line["address"].as_str().expect("the bound address"));
        Server { child, first_line, url }
    }

    /// Waits until log and store are open and the worker is at work.
    fn until_ready(&self) {
        let address = self.url.trim_start_matches("http://");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            let mut answer = String::new();
            if let Ok(mut stream) = TcpStream::connect(address) {
                let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
                let _ = stream.read_to_string(&mut answer);
            }
            if answer.starts_with("HTTP/1.1 200") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} is not ready", self.url);
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// SIGTERM, and it must end with 0.
    fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.exit_code_within(Duration::from_secs(15)), Some(0));
    }

    fn exit_code_within(&mut self, limit: Duration) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn usage_errors_exit_64_and_help_and_version_0() {
    for args in [&["sing"][..], &["--nope"], &["dead-letters", "show", "everything"], &["load", "--rate", "0"]] {
        assert_eq!(run(args, &[]).status.code(), Some(64), "{args:?}");
    }
    assert!(text(&run(&["--version"], &[])).contains(env!("CARGO_PKG_VERSION")));
    let help = run(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    for command in [
        "api",
        "worker",
        "migrate",
        "topics",
        "demo-data",
        "load",
        "dead-letters",
        "plan",
        "backup",
        "openapi",
        "config",
    ] {
        assert!(text(&help).contains(command), "{command}");
    }
}

#[test]
fn a_wrong_configuration_exits_64_with_one_line_before_a_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: &[(&str, &str, &str)] = &[
        ("TURNSTILE__HTTP__LISTENN", "x", "environment TURNSTILE__HTTP__LISTENN: http.listenn is not a known key"),
        ("TURNSTILE__HTTP__USER_BURST", "-1", "http.user_burst is -1, must be 1 to 1000000"),
        ("TURNSTILE__AUTH__MODE", "jwt", "auth.mode is \"jwt\", which needs one of"),
        ("TURNSTILE__WORKER__DRAIN_DEADLINE_MS", "9000", "must be below half of worker.session_timeout_ms"),
    ];
    for (name, value, expected) in cases {
        let (code, error) = code_and_error(&[], &[(name, value), ("TURNSTILE__HTTP__LISTEN", &taken)]);
        assert_eq!(code, Some(64), "{error}");
        assert!(error.starts_with("turnstile: configuration: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn f32_dev_mode_on_an_address_others_can_reach_is_refused() {
    let (code, error) = code_and_error(&[], &[("TURNSTILE__HTTP__LISTEN", "0.0.0.0:0")]);
    assert_eq!(code, Some(64));
    assert!(error.contains("with auth.mode \"dev\" anyone may be anyone"), "{error}");
}

#[test]
fn a_role_alone_needs_kafka_and_postgresql() {
    for role in ["api", "worker"] {
        let (code, error) = code_and_error(&[role], &[]);
        assert_eq!(code, Some(64));
        assert!(error.contains("log.brokers is empty, but a single role needs Kafka and PostgreSQL"), "{error}");
    }
}

#[test]
fn a_file_is_read_and_its_mistakes_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.toml");
    let path = path.to_str().unwrap();
    std::fs::write(path, "[http]\nuser_burst = 7\n").unwrap();
    let shown = text(&run(&["config", "--config", path], &[]));
    assert!(shown.contains(&format!("user_burst = 7  # file {path}")), "{shown}");
    std::fs::write(path, "[http]\nport = 7\n").unwrap();
    let (code, error) = code_and_error(&["config", "--config", path], &[]);
    assert_eq!(code, Some(64));
    assert!(error.contains(&format!("file {path}: http.port is not a known key")), "{error}");
    assert_eq!(code_and_error(&["config", "--config", "/no/such/file"], &[]).0, Some(64));
}

#[test]
fn the_effective_configuration_hides_secrets() {
    let output = run(
        &["config"],
        &[
            ("TURNSTILE__AUTH__QUEUE_TOKEN_SECRET", SECRET),
            ("TURNSTILE__DATABASE__URL", "postgres://me:hunter2@localhost/sale"),
            ("TURNSTILE__LOG__BROKERS", "localhost:9092"),
            ("TURNSTILE__LOG__KAFKA__SASL_PASSWORD", "hunter2"),
        ],
    );
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(shown.contains("postgres://me:***@localhost/sale") && shown.contains("\"sasl.password\" = \"***\""));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_taken_port_exits_70_and_says_which() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let settings =
        [("TURNSTILE__HTTP__LISTEN", address.as_str()), ("TURNSTILE__DATA_DIR", directory.path().to_str().unwrap())];
    let (code, error) = code_and_error(&[], &settings);
    assert_eq!(code, Some(70), "{error}");
    assert!(error.contains(&format!("http.listen {address} cannot be bound")), "{error}");
}

#[test]
fn the_first_line_says_the_address_and_sigterm_ends_it_with_0() {
    let directory = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&directory, &[]);
        assert!(server.first_line.contains("listening on http://127.0.0.1:"), "{}", server.first_line);
        assert!(!server.url.ends_with(":0"), "{}", server.url);
        server.signal(signal);
        assert_eq!(server.exit_code_within(Duration::from_secs(15)), Some(0), "after SIG{signal}");
    }
}

#[test]
fn the_start_says_who_can_reach_the_address() {
    let directory = tempfile::tempdir().unwrap();
    let mut command =
        turnstile(&[], &[("TURNSTILE__HTTP__LISTEN", "127.0.0.1:0"), ("TURNSTILE__DEMO__ON_FIRST_START", "false")]);
    let mut child = command.env("TURNSTILE__DATA_DIR", directory.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.by_ref().take(10).any(|line| line.contains("only this machine reaches 127.0.0.1:"));
    let _ = child.kill();
    let _ = child.wait();
    assert!(said, "a newcomer with a container is told why nothing answers");
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory, &[]);
    server.until_ready();
    let settings =
        [("TURNSTILE__HTTP__LISTEN", "127.0.0.1:0"), ("TURNSTILE__DATA_DIR", directory.path().to_str().unwrap())];
    let (code, error) = code_and_error(&[], &settings);
    assert_eq!(code, Some(64), "{error}");
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn another_partition_count_than_at_first_start_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory, &[("TURNSTILE__LOG__PARTITIONS__SEATS", "2")]);
    server.until_ready();
    server.stop();
    let settings = [
        ("TURNSTILE__HTTP__LISTEN", "127.0.0.1:0"),
        ("TURNSTILE__DATA_DIR", directory.path().to_str().unwrap()),
        ("TURNSTILE__LOG__PARTITIONS__SEATS", "3"),
    ];
    let (code, error) = code_and_error(&[], &settings);
    assert_eq!(code, Some(64), "{error}");
    assert!(error.contains("2 partitions of seats") && error.contains('3'), "{error}");
}

#[test]
fn dead_letters_of_an_empty_store_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("TURNSTILE__DATA_DIR", directory.path().to_str().unwrap())];
    assert_eq!(text(&run(&["migrate"], &settings)), "the tables are up to date\n");
    assert_eq!(text(&run(&["dead-letters", "list"], &settings)), "no dead letters\n");
    let (code, error) = code_and_error(&["dead-letters", "show", "seats.0.7"], &settings);
    assert_eq!(code, Some(70));
    assert_eq!(error, "turnstile: there is no dead letter seats.0.7\n");
}

#[test]
fn load_stays_on_this_machine_unless_told_otherwise() {
    let (code, error) = code_and_error(&["load", "--url", "http://192.0.2.1:8080"], &[]);
    assert_eq!(code, Some(70));
    assert!(error.contains("not on this machine"), "{error}");
}

#[test]
fn the_openapi_document_is_printed() {
    let document: serde_json::Value = serde_json::from_slice(&run(&["openapi"], &[]).stdout).expect("JSON");
    assert!(document["paths"]["/v1/wallet/charges"].is_object());
}

/// Appends to the log that no process has open now.
fn append_to_seats(directory: &TempDir, value: &'static [u8]) {
    let counts = PartitionCounts { seats: 4, wallets: 4, queues: 2, inbox: 1, outcomes: 4, dead_letters: 1 };
    let appended = async {
        let log = EmbeddedLog::open(&directory.path().join("log.db"), counts, Clock::System).await.unwrap();
        let record = NewRecord { key: "k".into(), value: value.into(), headers: vec![] };
        log.append(Topic::Lane(Lane::Seats), 0, record).await.unwrap();
        log.close().await;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(appended);
}

/// Starts the server until the list of dead letters has so many lines, and stops it.
fn run_until_dead_letters(directory: &TempDir, settings: &[(&str, &str)], lines: usize) -> String {
    let mut server = Server::start(directory, &[]);
    let began = Instant::now();
    loop {
        assert_eq!(server.child.try_wait().expect("it is ours"), None, "the server has ended");
        let listed = text(&run(&["dead-letters", "list"], settings));
        if listed.lines().filter(|line| line.contains("seats.0.")).count() == lines {
            server.stop();
            return listed;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{listed}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn f44_dead_letters_are_listed_shown_and_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("TURNSTILE__DATA_DIR", directory.path().to_str().unwrap())];
    append_to_seats(&directory, b"{\"type\":\"sing\",\"version\":1}");
    let listed = run_until_dead_letters(&directory, &settings, 1);
    assert!(listed.contains("seats.0.0") && listed.contains("sing"), "{listed}");

    let shown = text(&run(&["dead-letters", "show", "seats.0.0"], &settings));
    assert!(
        shown.contains("key       k\n") && shown.contains("value     {\"type\":\"sing\",\"version\":1}\n"),
        "{shown}"
    );

    let replayed = text(&run(&["dead-letters", "replay", "seats.0.0"], &settings));
    assert_eq!(replayed, "seats.0.0 is on the log again as seats.0.1\n");
    let listed = run_until_dead_letters(&directory, &settings, 2);
    assert!(listed.lines().any(|line| line.contains("seats.0.0") && line.ends_with("(replayed)")), "{listed}");
    assert!(listed.contains("seats.0.1"), "nobody understands it the second time either: {listed}");
}

#[test]
fn f50_load_reports_latencies_and_writes_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory, &[]);
    server.until_ready();
    let (csv, html) = (directory.path().join("load.csv"), directory.path().join("load.html"));
    let files = ["--csv", csv.to_str().unwrap(), "--html", html.to_str().unwrap()];
    let arguments = ["load", "--url", &server.url, "--rate", "50", "--duration", "2", "--users", "10"];
    let output = run(&[&arguments[..], &files].concat(), &[]);
    let report = text(&output);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.contains("succeeded") && report.contains("p99.9") && report.contains('█'), "{report}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("100/100"), "progress reaches the end");
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 3, "a heading and two seconds");
    assert!(std::fs::read_to_string(html).unwrap().contains("<svg"));
    server.stop();
}

#[test]
fn f48_the_first_start_on_one_machine_offers_a_concert_to_play_with() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = turnstile(&[], &[("TURNSTILE__HTTP__LISTEN", "127.0.0.1:0")]);
    command.env("TURNSTILE__DATA_DIR", directory.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let first = lines.next().and_then(Result::ok);
    let _ = child.kill();
    let _ = child.wait();
    let first = first.expect("an invitation");
    assert!(first.starts_with("A concert to play with is at http://127.0.0.1:"), "{first}");
}
