//! A second implementation of the protocol, written after `docs/protocol.md`, that can misbehave.

use std::sync::Arc;
use std::time::SystemTime;

use prost::Message as _;
use replicat_net::Authority;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::MONTH;
use crate::identity::enrolled;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Handshake {
    #[prost(message, optional, tag = "1")]
    pub(crate) greeting: Option<Greeting>,
    #[prost(message, optional, tag = "2")]
    pub(crate) refusal: Option<Refusal>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Greeting {
    #[prost(uint32, tag = "1")]
    pub(crate) version_min: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) version_max: u32,
    #[prost(string, tag = "4")]
    pub(crate) name: String,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) instance: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub(crate) sequence: u64,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) link: Vec<u8>,
    #[prost(uint32, tag = "8")]
    pub(crate) lane: u32,
    #[prost(uint32, tag = "9")]
    pub(crate) bulk_lanes: u32,
    #[prost(uint32, tag = "10")]
    pub(crate) frame_bytes_max: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Refusal {
    #[prost(uint32, tag = "1")]
    pub(crate) code: u32,
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
}

/// A connection of node `raw`.
pub(crate) struct RawNode {
    pub(crate) stream: TlsStream<TcpStream>,
}

/// The greeting that node `raw` sends when it behaves.
pub(crate) fn greeting() -> Greeting {
    Greeting {
        version_min: 1,
        version_max: 1,
        name: "raw".to_owned(),
        instance: vec![1; 16],
        sequence: 1,
        link: vec![2; 16],
        lane: 0,
        bulk_lanes: 2,
        frame_bytes_max: 1 << 20,
    }
}

impl RawNode {
    pub(crate) async fn connect(authority: &Authority, address: &str) -> Self {
        let (chain, key) = enrolled(authority, "raw", SystemTime::now(), MONTH);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"replicat/1".to_vec()];
        let server_name = format!("{}.replicat.invalid", authority.cluster_id());
        let tcp = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(server_name).unwrap(), tcp)
            .await
            .unwrap();
        Self { stream }
    }

    /// Greets, and returns the answer.
    pub(crate) async fn greet(&mut self, greeting: Greeting) -> Handshake {
        let message = Handshake {
            greeting: Some(greeting),
            refusal: None,
        }
        .encode_to_vec();
        let length = u32::try_from(message.len()).unwrap();
        self.write(&length.to_le_bytes()).await;
        self.write(&message).await;
        let length = self.stream.read_u32_le().await.unwrap();
        let mut answer = vec![0; length as usize];
        self.stream.read_exact(&mut answer).await.unwrap();
        Handshake::decode(&answer[..]).unwrap()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends a frame of some kind, with the length that its header says.
    pub(crate) async fn frame(&mut self, kind: u8, length: u32, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(payload);
        self.write(&frame).await;
    }

    /// The next frame: its kind and payload.
    pub(crate) async fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let kind = self.stream.read_u8().await.unwrap();
        let length = self.stream.read_u32_le().await.unwrap();
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        (kind, payload)
    }
}
