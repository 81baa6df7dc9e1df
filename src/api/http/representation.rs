//! Large answers: compressed for clients that can read it, and with a tag by which they ask again for news only.

use std::io::{Result, Write};
use std::sync::Arc;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_128;

/// Smaller answers fit into one packet.
const BYTES_MIN: usize = 1400;
/// Larger ones are compressed on a thread that may block.
const BLOCKING_MIN: usize = 64 * 1024;
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

impl Encoding {
    /// The best one that the client takes: by its weights, and of equal ones zstd, which is faster.
    fn preferred(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Encoding::Plain);
        for value in headers.get_all(ACCEPT_ENCODING) {
            for part in value.to_str().unwrap_or_default().split(',') {
                let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
                let encoding = match name.trim().to_ascii_lowercase().as_str() {
                    "zstd" => Encoding::Zstd,
                    "gzip" | "x-gzip" | "*" => Encoding::Gzip,
                    _ => continue,
                };
                let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
                if weight > best.0 || weight == best.0 && weight > 0.0 && encoding == Encoding::Zstd {
                    best = (weight, encoding);
                }
            }
        }
        best.1
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Plain => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Zstd => Some("zstd"),
        }
    }
}

fn gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 8), Compression::new(GZIP_LEVEL));
    encoder.write_all(plain)?;
    encoder.finish()
}

/// An answer in every encoding, each made once however many ask for it.
pub struct Representation {
    plain: Bytes,
    /// A hash of `plain`, in hexadecimal digits.
    tag: String,
    gzip: OnceCell<Bytes>,
    zstd: OnceCell<Bytes>,
}

impl Representation {
    pub fn new(plain: Bytes) -> Self {
        let tag = format!("{:032x}", xxh3_128(&plain));
        Self::tagged(plain, tag)
    }

    /// With a tag that says as much as a hash.
    pub fn tagged(plain: Bytes, tag: String) -> Self {
        Representation { plain, tag, gzip: OnceCell::new(), zstd: OnceCell::new() }
    }

    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    async fn encoded(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Plain => self.plain.clone(),
            Encoding::Gzip => self.once(&self.gzip, gzip).await,
            Encoding::Zstd => self.once(&self.zstd, |plain| zstd::bulk::compress(plain, ZSTD_LEVEL)).await,
        }
    }

    async fn once(&self, cell: &OnceCell<Bytes>, encode: fn(&[u8]) -> Result<Vec<u8>>) -> Bytes {
        let encoded = cell.get_or_init(|| async {
            let plain = self.plain.clone();
            let encoded = if plain.len() < BLOCKING_MIN {
                encode(&plain)
            } else {
                let made = tokio::task::spawn_blocking(move || encode(&plain)).await;
                made.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)))
            };
            // Writing to memory does not fail; if it did, an empty text would stand for it below.
            encoded.map(Bytes::from).unwrap_or_default()
        });
        encoded.await.clone()
    }

    /// Strong: other bytes have another tag.
    fn etag(&self, encoding: Encoding) -> String {
        match encoding.name() {
            None => format!("\"{}\"", self.tag),
            Some(name) => format!("\"{}-{name}\"", self.tag),
        }
    }

    /// Whether the client has these contents, in whatever encoding.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let tags = [Encoding::Plain, Encoding::Gzip, Encoding::Zstd].map(|encoding| self.etag(encoding));
        let mut given = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
        // A tag is quoted and may have a comma inside.
        given.any(|given| given.trim() == "*" || tags.iter().any(|tag| given.contains(tag.as_str())))
    }
}

/// An answer that is shared by all who ask for it at the same moment.
pub struct Shared(pub Arc<Representation>);

impl IntoResponse for Shared {
    fn into_response(self) -> Response {
        let mut response = Body::from(self.0.plain().clone()).into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Open to everybody and the same for all, so caches may keep it; they ask each time whether it is still right.
pub fn open(response: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-cache")], response).into_response()
}

/// Chooses what is sent of a large answer to a GET: compressed, plain, or that nothing has changed. Streams pass.
pub async fn choose(request: Request, next: Next) -> Response {
    let asked = (request.method() == Method::GET).then(|| request.headers().clone());
    let response = next.run(request).await;
    let Some(asked) = asked else { return response };
    if response.status() != StatusCode::OK || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    // A stream has no size.
    let size = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let Some(size) = size.filter(|size| *size >= BYTES_MIN) else { return response };
    let (mut head, body) = response.into_parts();
    let representation = match head.extensions.remove::<Arc<Representation>>() {
        Some(shared) => shared,
        None => match to_bytes(body, size).await {
            Ok(plain) => match head.headers.get(ETAG).and_then(|tag| tag.to_str().ok()) {
                Some(own) => Arc::new(Representation::tagged(plain, own.trim_matches('"').to_owned())),
                None => Arc::new(Representation::new(plain)),
            },
            // Its size was known, so it was there.
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
    };
    let mut encoding = Encoding::preferred(&asked);
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    let known = representation.is_known(&asked);
    let mut body = Body::empty();
    if known {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(CONTENT_TYPE);
    } else {
        let mut bytes = representation.encoded(encoding).await;
        if bytes.is_empty() {
            (encoding, bytes) = (Encoding::Plain, representation.plain().clone());
        }
        body = Body::from(bytes);
        if let Some(name) = encoding.name() {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
    }
    head.headers.remove(CONTENT_LENGTH);
    if let Ok(tag) = HeaderValue::from_str(&representation.etag(encoding)) {
        head.headers.insert(ETAG, tag);
    }
    Response::from_parts(head, body)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn headers(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_client_says_which_encoding_it_takes() {
        for (accepted, expected) in [
            ("", Encoding::Plain),
            ("identity", Encoding::Plain),
            ("gzip", Encoding::Gzip),
            ("gzip, deflate, br, zstd", Encoding::Zstd),
            ("zstd;q=0.5, gzip", Encoding::Gzip),
            ("gzip;q=0, zstd;q=0", Encoding::Plain),
            ("GZIP ; q=0.1", Encoding::Gzip),
            ("*", Encoding::Gzip),
            ("br", Encoding::Plain),
            ("gzip;q=much", Encoding::Plain),
        ] {
            assert_eq!(Encoding::preferred(&headers(ACCEPT_ENCODING, accepted)), expected, "{accepted}");
        }
    }

    #[tokio::test]
    async fn every_encoding_has_the_same_contents() {
        let plain = Bytes::from("a seat ".repeat(50_000));
        let representation = Representation::new(plain.clone());
        let gzip = representation.encoded(Encoding::Gzip).await;
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        let zstd = representation.encoded(Encoding::Zstd).await;
        assert_eq!(zstd::bulk::decompress(&zstd, plain.len()).unwrap(), plain);
        assert_eq!(representation.encoded(Encoding::Gzip).await.as_ptr(), gzip.as_ptr(), "made once");
    }

    #[test]
    fn a_tag_is_known_in_every_encoding_and_spelling() {
        let representation = Representation::new(Bytes::from_static(b"contents"));
        let tag = representation.etag(Encoding::Plain);
        let zipped = representation.etag(Encoding::Gzip);
        assert_ne!(tag, zipped);
        for known in [tag.as_str(), &zipped, &format!("W/{tag}"), &format!("\"other\", {zipped}"), "*"] {
            assert!(representation.is_known(&headers(IF_NONE_MATCH, known)), "{known}");
        }
        for unknown in ["\"\"", "\"other\"", "\"other-gzip\""] {
            assert!(!representation.is_known(&headers(IF_NONE_MATCH, unknown)), "{unknown}");
        }
    }
}
