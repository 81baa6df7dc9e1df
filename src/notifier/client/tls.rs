//! TLS by rustls with ring: nothing but a C compiler is needed to build it.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Trusts the roots of the system and those of the file.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    // A system without roots, or with one that cannot be read, still has those of the file.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let name = path.display();
        let read = CertificateDer::pem_file_iter(path).and_then(|found| found.collect::<Result<Vec<_>, _>>());
        let found = read.map_err(|error| format!("{name} cannot be read: {error}"))?;
        let (added, _) = roots.add_parsable_certificates(found);
        if added == 0 {
            return Err(format!("{name} has no certificate"));
        }
    }
    Ok(trusting(roots))
}

pub(super) fn without_roots() -> TlsConnector {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("ring has the ciphers of both versions");
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
