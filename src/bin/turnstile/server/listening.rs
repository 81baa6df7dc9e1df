//! The addresses a process listens on, and how many connections its file descriptors allow.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tracing::{info, warn};
use turnstile::api::{self, Listeners};
use turnstile::assembly::backends;
use turnstile::config::{Config, Http};
use turnstile::runtime::descriptors;

/// Connections waiting to be accepted; the default is 128. A crowd arrives at once, and a client that finds the queue
/// full is not refused but repeats its handshake after a second.
const LISTEN_BACKLOG: u32 = 4096;
/// What the kernel keeps of an unsent response, in bytes; it counts twice as much with its own overhead. The default
/// grows up to 4 MiB a connection, which slow readers of a large seat map fill. Bounds one connection to 1.3 MB/s at a
/// round trip of 200 ms.
const SEND_BUFFER: u32 = 256 * 1024;
/// Descriptors for all but connections and PostgreSQL: files and readers of the embedded log and store (34 in use), or
/// Kafka's clients (10 each and one a broker), and the runtime's own.
const DESCRIPTORS: u64 = 64;

/// Binds the addresses; `api`: not those of a worker alone.
///
/// # Errors
/// One of them cannot be bound.
pub fn bind(api: bool, config: &Config) -> anyhow::Result<Listeners> {
    let Http { listen, ops_listen, .. } = config.http;
    let main = match ops_listen {
        // A worker has nothing but operations.
        Some(address) if !api => {
            return Ok(Listeners { main: bound("http.ops_listen", address)?, operations: None });
        }
        _ => bound("http.listen", listen)?,
    };
    let operations = ops_listen.map(|address| bound("http.ops_listen", address)).transpose()?;
    Ok(Listeners { main, operations })
}

/// The first log line: where the process listens.
///
/// # Errors
/// The system does not know what it bound.
pub fn say(listeners: &Listeners, roles: &str, config: &Config) -> anyhow::Result<()> {
    let (log, store) = backends::kinds(config);
    let version = env!("CARGO_PKG_VERSION");
    let address = address(&listeners.main)?;
    match &listeners.operations {
        None => info!(%address, roles, log, store, version, "listening on http://{address}"),
        Some(operations) => {
            let operations = self::address(operations)?;
            info!(%address, %operations, roles, log, store, version, "listening on http://{address}, operations http://{operations}");
        }
    }
    if address.ip().is_loopback() {
        // In a container, whose loopback no published port leads to, this is what a newcomer needs to know.
        info!("only this machine reaches {address}: http.listen changes that, with auth.mode = \"jwt\"");
    }
    Ok(())
}

/// The address of a bound listener.
///
/// # Errors
/// The system does not know it.
pub fn address(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener.local_addr().context("the bound address is unknown")
}

fn bound(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("{key} {address} cannot be bound"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted server can bind its port at once.
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// Raises the limit of open files; `http.connections_max`, or what fits.
pub fn fitting_descriptors(config: &Config) -> usize {
    let limit = descriptors::raise_limit();
    let database = config.database.url.as_ref().map_or(0, |_| u64::from(config.database.connections_max));
    let operators = api::KEPT_BACK + config.http.ops_listen.map_or(0, |_| api::OPERATORS_MAX);
    let others = DESCRIPTORS + database + operators as u64;
    let wanted = config.http.connections_max;
    let fitting = descriptors::fitting(limit, others, wanted);
    if let Some(limit) = limit.filter(|_| fitting < wanted) {
        warn!(
            limit,
            kept = others,
            connections_max = fitting,
            configured = wanted,
            "the limit of open files is {limit}, of which {others} are kept for other uses: http.connections_max is \
             {fitting}, not {wanted}; raise the limit (LimitNOFILE, ulimit -n)"
        );
    }
    fitting
}
