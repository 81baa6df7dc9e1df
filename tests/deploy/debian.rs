//! The Debian package of `scripts/deb`, built of this build's program and installed with dpkg into a root of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{path, run};

fn said(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The package, or nothing where a tool for it is missing and this run does not require all of them.
fn build(directory: &Path) -> Option<PathBuf> {
    let tools = ["dpkg-deb", "dpkg-shlibdeps", "systemd-sysusers", "man"];
    if !tools.iter().all(|tool| run(tool, &["--version"], directory)) {
        return None;
    }
    // Packed as it is: compressing 57 MB of a debug build takes 40 s.
    let output = Command::new(path("scripts/deb"))
        .args([env!("CARGO_BIN_EXE_turnstile"), directory.to_str().unwrap()])
        .env("TURNSTILE_DEB_LEVEL", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().into())
}

/// A root directory with nothing but dpkg's lists.
fn empty_root(directory: &Path) -> PathBuf {
    let root = directory.join("root");
    for name in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    root
}

/// dpkg in that root: scripts run outside and find it in DPKG_ROOT; libraries are those of this machine.
fn dpkg(root: &Path, args: &[&str]) {
    let root = format!("--root={}", root.display());
    let forced =
        ["--force-script-chrootless", "--force-depends", "--force-not-root", "--force-confdef", "--log=/dev/null"];
    said("dpkg", &[&[root.as_str()], &forced[..], args].concat());
}

#[test]
fn the_debian_package_installs_upgrades_and_leaves_what_operators_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let Some(package) = build(directory.path()) else { return };
    let package = package.to_str().unwrap();
    assert_eq!(said("dpkg-deb", &["--field", package, "Version"]).trim(), env!("CARGO_PKG_VERSION"));
    assert!(said("dpkg-deb", &["--field", package, "Depends"]).contains("libc6 (>= "));

    let root = empty_root(directory.path());
    dpkg(&root, &["--install", package]);
    let accounts = fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(accounts.lines().any(|line| line.starts_with("turnstile:x:") && line.ends_with("/nologin")), "{accounts}");
    let program = root.join("usr/bin/turnstile");
    let program = program.to_str().unwrap();
    let settings = root.join("etc/turnstile/turnstile.toml");
    let shown = said(program, &["config", "--config", settings.to_str().unwrap()]);
    assert!(shown.contains("\"/var/lib/turnstile\""), "{shown}");

    // The unit as it was installed; this machine has the targets it wants.
    let unit = fs::read_to_string(root.join("usr/lib/systemd/system/turnstile.service")).unwrap();
    let copy = directory.path().join("turnstile.service");
    fs::write(&copy, unit.replace("/usr/bin/turnstile", program)).unwrap();
    run("systemd-analyze", &["verify", "--man=no", copy.to_str().unwrap()], directory.path());

    fs::write(&settings, "# mine\n").unwrap();
    dpkg(&root, &["--install", package]);
    assert_eq!(fs::read_to_string(&settings).unwrap(), "# mine\n", "an upgrade keeps it");
    fs::create_dir_all(root.join("var/lib/turnstile")).unwrap();
    dpkg(&root, &["--purge", "turnstile"]);
    assert!(!settings.exists() && !Path::new(program).exists());
    assert!(root.join("var/lib/turnstile").exists(), "what people paid for is kept");
}

#[test]
fn manual_pages_and_completions_of_the_package_work() {
    let directory = tempfile::tempdir().unwrap();
    let Some(package) = build(directory.path()) else { return };
    let tree = directory.path().join("tree");
    said("dpkg-deb", &["--extract", package.to_str().unwrap(), tree.to_str().unwrap()]);
    let pages: Vec<_> =
        fs::read_dir(tree.join("usr/share/man/man1")).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 40, "{}", pages.len());
    for page in pages {
        let page = page.to_str().unwrap();
        // groff warns about what it cannot set.
        let output = Command::new("man").args(["--warnings", "-l", page]).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let script = tree.join("usr/share/bash-completion/completions/turnstile");
    let completed = |words: &str, last: &str| {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _turnstile turnstile {last} turnstile; echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        said("bash", &["-c", &ask])
    };
    assert_eq!(completed("turnstile part", "part").trim(), "partitions");
    assert_eq!(completed("turnstile webhooks ro", "ro").trim(), "rotate");
    for (shell, file) in
        [("zsh", "zsh/vendor-completions/_turnstile"), ("fish", "fish/vendor_completions.d/turnstile.fish")]
    {
        assert!(fs::read_to_string(tree.join("usr/share").join(file)).unwrap().contains("dead-letters"), "{shell}");
    }
}

/// Debian's own judge of packages.
#[test]
fn the_debian_package_passes_lintian() {
    let directory = tempfile::tempdir().unwrap();
    let Some(package) = build(directory.path()) else { return };
    run("lintian", &["--allow-root", "--fail-on=error,warning", package.to_str().unwrap()], directory.path());
}
