//! A way to the database that can be closed: connections through it break, and none is made until it opens again.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Gate {
    /// The database's url by way of the gate.
    pub url: String,
    is_open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// `url` names host and port.
    pub async fn before(url: &str) -> Gate {
        let options = PgConnectOptions::from_str(url).expect("a database's url");
        let address = format!("{}:{}", options.get_host(), options.get_port());
        assert!(url.contains(&address), "{url} does not name {address}");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("bound").to_string();
        let is_open = Arc::new(watch::Sender::new(true));
        tokio::spawn(keep(listener, address.clone(), is_open.clone()));
        Gate { url: url.replace(&address, &own), is_open }
    }

    pub fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

async fn keep(listener: TcpListener, to: String, is_open: Arc<watch::Sender<bool>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (to, mut open) = (to.clone(), is_open.subscribe());
        tokio::spawn(async move {
            if !*open.borrow_and_update() {
                return;
            }
            let Ok(mut server) = TcpStream::connect(to).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                _ = open.wait_for(|open| !open) => {}
            }
        });
    }
}
