//! Finds a file: in the organizer's directory first, else in the binary.

use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::table::EMBEDDED;
use super::{File, media_type};

/// Largest file of the directory that is served, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// All files of the pages.
#[derive(Debug, Default)]
pub struct Web {
    /// Its files come before the embedded ones of the same name.
    dir: Option<PathBuf>,
}

impl Web {
    pub fn new(dir: Option<PathBuf>) -> Self {
        Web { dir }
    }

    /// `path`: like `js/app.js`. `None`: there is no such file, or it is none that a page may use.
    pub async fn file(&self, path: &str) -> Option<File> {
        let media_type = media_type(path)?;
        if let Some(bytes) = self.overlaid(path).await {
            let etag = etag_of(&bytes);
            return Some(File { media_type, bytes, etag });
        }
        let embedded = EMBEDDED.iter().find(|file| file.path == path)?;
        Some(File { media_type, bytes: Bytes::from_static(embedded.bytes), etag: etag_of(embedded.bytes) })
    }

    /// Read again for each request, so that an organizer sees a change at the next reload.
    async fn overlaid(&self, path: &str) -> Option<Bytes> {
        let dir = self.dir.as_ref().filter(|_| path.split('/').all(is_plain))?;
        let file = dir.join(path);
        let about = tokio::fs::metadata(&file).await.ok()?;
        if !about.is_file() || about.len() > FILE_BYTES_MAX {
            return None;
        }
        tokio::fs::read(&file).await.ok().map(Bytes::from)
    }
}

/// A part of a path that leads nowhere else.
fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn etag_of(bytes: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..12] {
        // Writing to a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}
