//! One `turnstile` process: started on a port of its own, its log kept, stopped softly or hard.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Lines of a process's log that are kept.
const LINES_MAX: usize = 400;
/// Start of a debug build beside compilers, migrations included.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// SIGTERM to exit: the program's own deadline is 10 s, the rest is for a busy machine.
pub const STOPS_WITHIN: Duration = Duration::from_secs(20);

type Lines = Arc<Mutex<VecDeque<String>>>;

pub struct Server {
    child: Child,
    /// `http://127.0.0.1:{port}`; a worker's is where its health and metrics are.
    pub base: String,
    /// The address of operators, if they have one of their own.
    pub operations: Option<String>,
    lines: Lines,
}

/// The program with exactly these settings: nothing of the caller's `TURNSTILE` variables leaks in.
pub fn command(args: &[&str], env: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TURNSTILE")) {
        command.env_remove(name);
    }
    command.envs(env.iter().cloned());
    command
}

/// The same with at most so many open files.
fn command_with_descriptors(descriptors: u32, args: &[&str], env: &[(String, String)]) -> Command {
    let program = command(args, env);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]).arg(program.get_program());
    limited.args(program.get_args()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Runs a subcommand to its end; it must succeed. Its standard output.
pub fn run_to_end(args: &[&str], env: &[(String, String)]) -> String {
    let output = command(args, env).output().expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "turnstile {args:?} ended with {}:\n{stdout}\n{stderr}", output.status);
    stdout
}

impl Server {
    /// Starts a role and waits until it says where it listens.
    pub fn start(args: &[&str], env: &[(String, String)]) -> Server {
        Server::of(command(args, env))
    }

    /// The same with at most so many open files.
    pub fn start_with_descriptors(descriptors: u32, args: &[&str], env: &[(String, String)]) -> Server {
        Server::of(command_with_descriptors(descriptors, args, env))
    }

    fn of(mut command: Command) -> Server {
        let mut child = command.spawn().expect("the program starts");
        let lines = Lines::default();
        let (sender, address) = channel();
        keep_lines(child.stdout.take().expect("stdout is piped"), lines.clone(), sender.clone());
        keep_lines(child.stderr.take().expect("stderr is piped"), lines.clone(), sender);
        let (base, operations) = match address.recv_timeout(STARTS_WITHIN) {
            Ok((address, operations)) => (format!("http://{address}"), operations.map(|at| format!("http://{at}"))),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait();
                panic!("{command:?} never said where it listens ({status:?}):\n{}", tail(&lines, LINES_MAX));
            }
        };
        Server { child, base, operations, lines }
    }

    pub async fn until_ready(&self, http: &reqwest::Client) {
        let url = format!("{}/readyz", self.operations.as_ref().unwrap_or(&self.base));
        super::until(&format!("{url} to say ready"), async || match http.get(&url).send().await {
            Ok(answer) if answer.status() == 200 => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.status(), answer.text().await.unwrap_or_default())),
            Err(error) => Err(format!("{error:?}")),
        })
        .await;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.pid());
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it was ours to kill");
        self.child.wait().expect("it was ours to wait for");
    }

    /// SIGTERM; it must exit with 0 within its deadline. How long it took.
    pub async fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.signal("TERM");
        let status = self.exited(STOPS_WITHIN).await;
        assert!(
            status.is_some_and(|status| status.success()),
            "after SIGTERM: {status:?} within {STOPS_WITHIN:?}\n{}",
            self.tail(60)
        );
        began.elapsed()
    }

    /// Its exit status, if it exits in time.
    pub async fn exited(&mut self, within: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Some(status) = self.child.try_wait().expect("it was ours to wait for") {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    pub fn tail(&self, n: usize) -> String {
        tail(&self.lines, n)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(lines: &Lines, n: usize) -> String {
    let lines = lines.lock().unwrap();
    let kept: Vec<&str> = lines.iter().skip(lines.len().saturating_sub(n)).map(String::as_str).collect();
    kept.join("\n")
}

/// Reads a pipe to its end on a thread of its own, so that the process never blocks on it.
fn keep_lines(pipe: impl Read + Send + 'static, lines: Lines, address: Sender<Addresses>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if let Some(found) = addresses_in(&line) {
                let _ = address.send(found);
            }
            let mut lines = lines.lock().unwrap();
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    });
}

/// Where the front door listens, and the operators' address if it is another.
type Addresses = (String, Option<String>);

/// From the line that says it.
fn addresses_in(line: &str) -> Option<Addresses> {
    let said = &line[line.find("listening")?..];
    Some((address_in(said)?, said.split_once("operations ").and_then(|(_, rest)| address_in(rest))))
}

/// The first `127.0.0.1:{port}` of a text.
fn address_in(line: &str) -> Option<String> {
    let at = line.find("127.0.0.1:")?;
    let port: String = line[at + "127.0.0.1:".len()..].chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty() && port != "0").then(|| format!("127.0.0.1:{port}"))
}
