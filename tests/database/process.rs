//! Servers of a test: found, started as a user they accept, ended with the test.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program, if it is installed: on the path, with Debian's daemons, or with the newest PostgreSQL. Where tests
/// require their services a missing one is a failure.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).chain(["/usr/sbin".into()]).collect();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort();
    places.extend(versions.into_iter().rev());
    let found = places.into_iter().map(|place| place.join(name)).find(|program| program.is_file());
    let required = std::env::var("TURNSTILE_TEST_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(found.is_some() || !required, "{name} is not installed");
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

/// As root the servers run as `postgres`: they refuse root.
fn account() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let output = Command::new("id").args(arguments).output().expect("id runs");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("an id")
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

/// A command of that account, in a directory it owns.
pub fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    if let Some((user, group)) = account() {
        command.uid(user).gid(group);
    }
    command
}

/// Gives a file or directory to that account.
pub fn give(path: &Path) {
    if let Some((user, group)) = account() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root may give it away");
    }
}

/// Runs to its end; it must succeed.
pub fn run(command: &mut Command) {
    let output = command.output().expect("the program starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{out}\n{err}", output.status);
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A running server.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it, with its output in `log`, and waits until its port answers.
    pub fn start(command: &mut Command, log: PathBuf, port: u16) -> Server {
        let output = std::fs::File::create(&log).expect("a log file");
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        let mut server = Server { child: command.spawn().expect("the server starts"), log };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("it is ours");
            assert!(ended.is_none() && began.elapsed() < Duration::from_secs(60), "{ended:?}:\n{}", server.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
    }

    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    /// SIGINT ends both kinds of server at once, whoever is connected.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
