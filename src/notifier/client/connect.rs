//! From a URL to a connection.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use reqwest::{Body, Url};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::answer::CallError;
use super::tls;
use crate::notifier::address::AddressFilter;

/// Looks up a name; what it says is checked before it is dialed.
pub type Resolver = Arc<dyn Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Who may be called, and how.
pub struct Client {
    filter: AddressFilter,
    allow_http: bool,
    /// Of one attempt, from the look-up to the end of the answer.
    pub(super) timeout: Duration,
    tls: TlsConnector,
    resolver: Resolver,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("filter", &self.filter).field("allow_http", &self.allow_http).finish()
    }
}

/// Calls public addresses over TLS, and trusts no root.
impl Default for Client {
    fn default() -> Self {
        let (filter, timeout) = (AddressFilter::default(), Duration::from_secs(15));
        Client { filter, allow_http: false, timeout, tls: tls::without_roots(), resolver: system_resolver() }
    }
}

impl Client {
    /// Trusts the roots of the system and those in `ca_file` (PEM).
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(
        filter: AddressFilter,
        allow_http: bool,
        timeout: Duration,
        ca_file: Option<&Path>,
    ) -> Result<Self, String> {
        Ok(Client { filter, allow_http, timeout, tls: tls::connector(ca_file)?, resolver: system_resolver() })
    }

    /// Whether plain http is allowed.
    pub fn allows_http(&self) -> bool {
        self.allow_http
    }

    /// The same with another look-up of names.
    pub fn with_resolver(self, resolver: Resolver) -> Self {
        Client { resolver, ..self }
    }
}

fn system_resolver() -> Resolver {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) }))
}

/// The header `Host`: with the port, unless it is the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

pub(super) fn path_and_query(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// The host without the brackets of an IPv6 address.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

impl Client {
    /// A new connection to an address that may be called.
    pub(super) async fn connect(&self, url: &Url) -> Result<SendRequest<Body>, CallError> {
        let secure = url.scheme() == "https";
        if !secure && !self.allow_http {
            return Err(CallError::Plain);
        }
        let stream = self.dial(&self.addresses(url).await?).await?;
        // Small requests, each waited for.
        let _ = stream.set_nodelay(true);
        if !secure {
            return handshake(TokioIo::new(stream)).await;
        }
        let tls = |error: &dyn std::fmt::Display| CallError::Tls(error.to_string());
        let name = ServerName::try_from(host(url).to_owned()).map_err(|error| tls(&error))?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| tls(&error))?;
        handshake(TokioIo::new(stream)).await
    }

    /// The addresses of the host, all of which may be called: one that mixes in a closed address is up to no good.
    pub(super) async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, CallError> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = match host(url).parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let found = (self.resolver)(host(url).to_owned(), port).await;
                found.map_err(|error| CallError::Unresolved(error.to_string()))?
            }
        };
        if let Some(closed) = addresses.iter().map(SocketAddr::ip).find(|address| !self.filter.permits(*address)) {
            return Err(CallError::Closed(closed));
        }
        Ok(addresses)
    }

    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, CallError> {
        let mut failure = CallError::Unresolved("it has no address".to_owned());
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = CallError::Unreachable(error.to_string()),
            }
        }
        Err(failure)
    }
}

async fn handshake(io: impl Read + Write + Unpin + Send + 'static) -> Result<SendRequest<Body>, CallError> {
    let (sender, connection) = http1::handshake(io).await.map_err(|error| CallError::Broken(error.to_string()))?;
    // Ends with the sender.
    tokio::spawn(connection);
    Ok(sender)
}
