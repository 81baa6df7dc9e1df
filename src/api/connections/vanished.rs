//! Other ends that vanished: a phone without network and a machine without power send neither FIN nor RST.
//!
//! Without this a stream to one of them takes events for a quarter of an hour, and its user counts as present.

use std::io::Result;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
use tokio::net::TcpListener;

/// Longest time that what was sent, or a probe, stays unanswered. As long as a slow client has, whose end answers.
pub const UNANSWERED_MAX: Duration = Duration::from_secs(30);
/// A silent connection is probed after this time, and again each time the second has passed.
const PROBED_AFTER: Duration = Duration::from_secs(20);
const PROBED_EVERY: Duration = Duration::from_secs(5);

/// Ends connections whose other end does not answer. Accepted connections inherit this of their listener.
///
/// # Errors
/// The system does not know one of the settings.
pub fn notice(listener: &TcpListener) -> Result<()> {
    set_socket_keepalive(listener, true)?;
    set_tcp_keepidle(listener, PROBED_AFTER)?;
    set_tcp_keepintvl(listener, PROBED_EVERY)?;
    // Also how many probes may go unanswered.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(listener, UNANSWERED_MAX.as_millis() as u32)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::sockopt::{socket_keepalive, tcp_keepidle, tcp_user_timeout};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_ends_when_nobody_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        notice(&listener).unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (accepted, _) = accepted.unwrap();
        assert!(socket_keepalive(&accepted).unwrap());
        assert_eq!(tcp_keepidle(&accepted).unwrap(), PROBED_AFTER);
        assert_eq!(tcp_user_timeout(&accepted).unwrap(), 30_000);
        assert_eq!(tcp_user_timeout(client.unwrap()).unwrap(), 0, "it is the listener's doing");
    }
}
