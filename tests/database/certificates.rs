//! Certificates made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{find, give, run};

/// A certificate authority in a directory.
pub struct Authority<'a> {
    directory: &'a Path,
    name: &'static str,
    openssl: PathBuf,
}

impl<'a> Authority<'a> {
    pub fn new(directory: &'a Path, name: &'static str) -> Option<Authority<'a>> {
        let authority = Authority { directory, name, openssl: find("openssl")? };
        let (key, subject) = (format!("{name}.key"), format!("/CN={name}"));
        let mut made = authority.openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        run(made.args(["-nodes", "-days", "2", "-subj", &subject, "-keyout", &key, "-out"]).arg(authority.file()));
        Some(authority)
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.openssl);
        command.current_dir(self.directory).args(arguments);
        command
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.pem", self.name))
    }

    /// A server's certificate for one DNS name, as `server.pem` and `server.key`.
    pub fn certify(&self, host: &str) {
        let (extension, subject) = (format!("subjectAltName=DNS:{host}\n"), format!("/CN={host}"));
        std::fs::write(self.directory.join("server.ext"), extension).expect("written");
        let mut request = self.openssl(&["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        run(request.args(["-subj", &subject, "-keyout", "server.key", "-out", "server.csr"]));
        let (ca, key) = (format!("{}.pem", self.name), format!("{}.key", self.name));
        let mut signed = self.openssl(&["x509", "-req", "-in", "server.csr", "-CA", &ca, "-CAkey", &key]);
        run(signed.args(["-CAcreateserial", "-days", "2", "-extfile", "server.ext", "-out", "server.pem"]));
        // PostgreSQL reads its key only if nobody else can; openssl made it so.
        give(&self.directory.join("server.key"));
        give(&self.directory.join("server.pem"));
    }
}
