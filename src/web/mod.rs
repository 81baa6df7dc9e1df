//! The pages for people: what the directory `web/` holds, inside the binary. A directory may override single files.

mod overlay;
mod table;

#[cfg(test)]
mod tests;

pub use overlay::Web;
pub use table::{EMBEDDED, Embedded};

use bytes::Bytes;

/// A file to be served.
#[derive(Debug, Clone)]
pub struct File {
    pub media_type: &'static str,
    pub bytes: Bytes,
    /// A strong validator in quotes: the same bytes, the same tag.
    pub etag: String,
}

/// What a browser may do on the pages: nothing leaves the origin, no script or style but the files.
///
/// `frame_ancestors`: who may embed them, in the words of the directive.
pub fn content_security_policy(frame_ancestors: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    )
}

/// By the ending of a name; `None` for what is no part of a page.
fn media_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}
