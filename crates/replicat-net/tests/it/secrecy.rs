//! What someone on the way sees.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{TestNode, authority, config, identity, patiently};

const PAYLOAD: &[u8] = b"a payload that nobody on the way may read";
const FEATURES: &[u8] = b"features that nobody on the way may read";

type Record = Arc<Mutex<Vec<u8>>>;

/// A proxy that records all that passes, in both directions.
async fn recording_proxy(target: String) -> (SocketAddr, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let record = Record::default();
    let recorded = record.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.unwrap();
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = server.into_split();
            tokio::spawn(pass(client_in, server_out, recorded.clone()));
            tokio::spawn(pass(server_in, client_out, recorded.clone()));
        }
    });
    (address, record)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, record: Record) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        record.lock().unwrap().extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn no_plaintext_is_on_the_wire() {
    let authority = authority();
    let with_features = || replicat_net::EndpointConfig {
        features: FEATURES.into(),
        ..config()
    };
    let mut a = TestNode::with(identity(&authority, "node-name-a"), with_features()).await;
    let mut b = TestNode::with(identity(&authority, "node-name-b"), with_features()).await;
    let (proxy, record) = recording_proxy(a.address()).await;
    b.dial(None, &proxy.to_string());
    let (to_b, to_a) = (a.link_up().await, b.link_up().await);
    for (sender, receiver) in [
        (to_a.control(), to_b.control()),
        (to_b.control(), to_a.control()),
        (to_a.bulk(0), to_b.bulk(0)),
        (to_b.bulk(1), to_a.bulk(1)),
    ] {
        sender.send(PAYLOAD.into()).await.unwrap();
        assert_eq!(patiently(receiver.recv()).await.as_deref(), Some(PAYLOAD));
    }
    let record = record.lock().unwrap();
    assert!(record.len() > 2000, "the proxy recorded the connections");
    let cluster = authority.cluster_id().to_string();
    for secret in [PAYLOAD, FEATURES, b"node-name", cluster.as_bytes()] {
        let seen = record.windows(secret.len()).any(|window| window == secret);
        assert!(
            !seen,
            "{:?} is on the wire",
            String::from_utf8_lossy(secret)
        );
    }
}

/// Whoever can reach the port and has no certificate is not told a byte of what follows TLS.
#[tokio::test]
async fn whoever_has_no_certificate_gets_nothing() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"replicat/1".to_vec()];
    let name = format!("{}.replicat.invalid", authority.cluster_id());
    let tcp = TcpStream::connect(a.address()).await.unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name.try_into().unwrap(), tcp)
        .await
        .unwrap();
    let mut told = Vec::new();
    assert!(patiently(stream.read_to_end(&mut told)).await.is_err());
    assert_eq!(told, b"");
    a.refused().await;
}
