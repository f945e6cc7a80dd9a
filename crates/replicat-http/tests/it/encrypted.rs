//! The API over TLS.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use replicat_http::CertificateFiles;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::client::{Ask, connect, read_rest};
use crate::place::Place;

const STATUS: &str = "/api/v1/status";

/// Makes a certificate of this host, which vouches for itself.
pub(crate) fn certificate(directory: &Path) -> CertificateFiles {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let files = CertificateFiles {
        certificate: directory.join("certificate.pem"),
        key: directory.join("key.pem"),
    };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

/// A client that trusts that certificate and no other.
pub(crate) fn trusting(files: &CertificateFiles) -> Arc<ClientConfig> {
    let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// A node that is served over TLS.
fn encrypted(directory: &Path) -> Place {
    let files = certificate(directory);
    Place::node_with(|config| config.certificate = Some(files), |_| {})
}

#[test]
fn a_request_over_tls_is_answered_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let place = encrypted(directory.path());
    let status = place.get(STATUS);
    assert_eq!(
        (status.status, &status.json()["type"]),
        (200, &"node".into())
    );
    let nobody = place.bare("GET", STATUS).send();
    assert_eq!(
        (nobody.status, nobody.kind().as_str()),
        (401, "unauthorized")
    );
    let unknown = format!("rpt_{}", "0".repeat(64));
    assert_eq!(place.bare("GET", STATUS).token(&unknown).send().status, 401);
    // More than goes into one record of TLS, there and back.
    let content: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    assert_eq!(place.upload("list", content.clone()).send().status, 201);
    let read = place.get("/api/v1/folders/site/file?path=list");
    assert!(read.status == 200 && read.body == content);
    // Pages of this server, and of its other scheme.
    let pause = |origin: String| {
        let asked = place.change("POST", "/api/v1/pause");
        asked.header("Origin", &origin).send()
    };
    let plain = pause(format!("http://{}", place.address));
    assert_eq!(plain.kind(), "foreign-request");
    assert_eq!(pause(format!("https://{}", place.address)).status, 200);
}

#[test]
fn a_server_that_is_encrypted_tells_nothing_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = encrypted(directory.path());
    let plain = Ask::new(place.address, "GET", STATUS).token(&place.read);
    let heard = read_rest(plain.begin());
    // An alert of TLS at most, which is a record of type 21 with two bytes.
    assert!(
        heard.is_empty() || (heard[0] == 21 && heard.len() == 7),
        "{heard:?}"
    );
    let mut stream = connect(place.address);
    stream.write_all(&[0; 600]).unwrap();
    let heard = read_rest(stream);
    assert!(heard.len() <= 7, "{heard:?}");
    // A client that knows another certificate does not even ask.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = trusting(&certificate(elsewhere.path()));
    let asked = Ask::new(place.address, "GET", STATUS).trusting(Some(other));
    let refused = asked.token(&place.read).encrypted().unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert_eq!(place.get(STATUS).status, 200);
}

#[test]
fn an_encryption_that_does_not_begin_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate(directory.path());
    // Long enough for the requests of the test itself, which have to be in time.
    let patience = std::time::Duration::from_secs(5);
    let place = Place::node_with(
        |config| {
            config.certificate = Some(files);
            config.head_patience = patience;
        },
        |_| {},
    );
    let silent = connect(place.address);
    assert_eq!(read_rest(silent), b"");
    assert_eq!(place.get(STATUS).status, 200);
}
