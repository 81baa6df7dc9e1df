//! An address in front of several servers, as a name that is moved from one to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::postgres::Postgres;

/// It leads new connections to one of them and keeps the others as they are.
pub struct Switch {
    port: u16,
    to: Arc<AtomicU16>,
    /// Counted up when the connections of that time fall silent.
    silences: watch::Sender<u64>,
}

impl Switch {
    pub async fn to(server: &Postgres) -> Switch {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(AtomicU16::new(server.port));
        let now = Arc::clone(&to);
        let silences = watch::Sender::new(0);
        let silence = silences.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = now.load(Ordering::SeqCst);
                let mut silence = silence.subscribe();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        // Neither side learns of it.
                        _ = silence.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Switch { port, to, silences }
    }

    pub fn switch(&self, server: &Postgres) {
        self.to.store(server.port, Ordering::SeqCst);
    }

    /// No byte goes through the connections there are any more, as to a host without power. They stay open.
    pub fn fall_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }

    pub fn url(&self) -> String {
        format!("postgres://turnstile:turnstile@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}
