//! TLS up to `verify-full`, with certificates that fit and certificates that do not.

use turnstile::store::postgres::PostgresStore;
use turnstile::store::{Reads, StoreError};

use super::certificates::Authority;
use super::postgres::Postgres;
use super::settings;

/// Migrates, opens and reads.
async fn used(url: String) -> Result<(), StoreError> {
    let settings = settings(url);
    PostgresStore::migrate(&settings).await?;
    PostgresStore::open(&settings).await?.ping().await
}

async fn refused(url: String) -> String {
    match used(url).await {
        Err(StoreError::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_insists_on_tls_is_used_and_a_wrong_certificate_is_refused() {
    let authorities = tempfile::tempdir().unwrap();
    let Some(other) = Authority::new(authorities.path(), "other") else { return };
    let server = Postgres::with(|directory| {
        Authority::new(directory, "own")?.certify("localhost");
        let hba = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(directory.join("data/pg_hba.conf"), hba).unwrap();
        Some(vec!["ssl=on", "ssl_cert_file=../server.pem", "ssl_key_file=../server.key"])
    });
    let Some(server) = server else { return };
    let own = server.directory().join("own.pem").display().to_string();
    let other = other.file().display().to_string();

    for (host, parameters) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={own}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={own}")),
        ("127.0.0.1", "sslmode=require".into()),
        ("127.0.0.1", "sslmode=prefer".into()),
    ] {
        assert_eq!(used(server.url_of(host, &parameters)).await, Ok(()), "{host} {parameters}");
    }
    for (host, parameters, reason) in [
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={own}"), "not valid for name"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), "invalid peer certificate"),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={other}"), "invalid peer certificate"),
        ("localhost", "sslmode=verify-full".into(), "invalid peer certificate"),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem".into(), "No such file"),
        ("127.0.0.1", "sslmode=disable".into(), "no encryption"),
    ] {
        let refusal = refused(server.url_of(host, &parameters)).await;
        assert!(refusal.contains(reason), "{host} {parameters}: {refusal}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let Some(server) = Postgres::start() else { return };
    for mode in ["require", "verify-full"] {
        let refusal = refused(server.url_of("127.0.0.1", &format!("sslmode={mode}"))).await;
        assert!(refusal.contains("does not support TLS"), "{refusal}");
    }
    assert_eq!(used(server.url_of("127.0.0.1", "sslmode=prefer")).await, Ok(()));
}
