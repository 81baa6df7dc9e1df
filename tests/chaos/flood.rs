//! Many commands a second from a process of its own, at a fixed rate whatever the answers do.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Seconds that it flows.
const SECONDS: u32 = 40;
const USERS: u32 = 5_000;
const SECTIONS: u32 = 16;

pub struct Flood {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Flood {
    /// Returns when its wallets are charged and it has begun to flow.
    pub async fn start(url: &str, rate: u64) -> Flood {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
        command.args(["load", "--url", url, "--mix", "hold=50,charge=50", "--in-flight", "20000"]);
        for (name, value) in [("--rate", rate), ("--duration", SECONDS.into()), ("--users", USERS.into())] {
            command.args([name, &value.to_string()]);
        }
        command.args(["--sections", &SECTIONS.to_string(), "--seats", "2000"]).kill_on_drop(true);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let first = lines.next_line().await.expect("stderr is text").expect("a line of progress");
        assert!(first.starts_with('['), "{first}");
        Flood { child, lines }
    }

    /// Its report; panics unless every request was sent and decided.
    pub async fn ended(mut self) -> String {
        while let Ok(Some(_)) = self.lines.next_line().await {}
        let output = self.child.wait_with_output().await.expect("it is ours");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}");
        let endings = report.lines().nth(1).expect("a line of endings");
        for ending in endings.split(", ") {
            assert!(ending.starts_with("succeeded ") || ending.starts_with("refused "), "requests failed: {report}");
        }
        report
    }
}
