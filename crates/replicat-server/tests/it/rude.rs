//! A peer that holds the key and says what it likes, in bytes that the test writes by hand, after `docs/protocol.md`.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use replicat_net::{Endpoint, EndpointConfig, Event, Identity, Lane, Link, PeerAddress, Role};
use tokio::time::timeout;

use crate::cluster::Cluster;

/// How long an answer may take. Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The epoch of the peer's offer.
const EPOCH: u64 = 7;
/// The replica that the peer says it is.
pub(crate) const REPLICA: u64 = 77;

/// A message of Protocol Buffers, field by field.
#[derive(Clone, Default)]
pub(crate) struct Proto(pub(crate) Vec<u8>);

impl Proto {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    pub(crate) fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    pub(crate) fn fixed(self, field: u64, value: u64) -> Self {
        let mut with_tag = self.varint(field << 3 | 1);
        with_tag.0.extend(value.to_le_bytes());
        with_tag
    }

    pub(crate) fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut with_length = self.varint(field << 3 | 2).varint(value.len() as u64);
        with_length.0.extend(value);
        with_length
    }

    pub(crate) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// A field that was read.
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message, in order.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(take_varint(&mut bytes)),
            1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = take_varint(&mut bytes) as usize;
                Value::Bytes(take(&mut bytes, length).to_vec())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

pub(crate) fn number_of(message: &[u8], field: u64) -> Option<u64> {
    fields(message)
        .into_iter()
        .find_map(|(found, value)| match value {
            Value::Number(number) if found == field => Some(number),
            _ => None,
        })
}

pub(crate) fn all_bytes_of(message: &[u8], field: u64) -> Vec<Vec<u8>> {
    let matching = fields(message)
        .into_iter()
        .filter_map(|(found, value)| match value {
            Value::Bytes(bytes) if found == field => Some(bytes),
            _ => None,
        });
    matching.collect()
}

pub(crate) fn bytes_of(message: &[u8], field: u64) -> Option<Vec<u8>> {
    all_bytes_of(message, field).into_iter().next()
}

/// What becomes of requests for manifests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manifests {
    /// They are not to be had.
    Missing,
    /// They are never answered.
    Unanswered,
}

/// The peer, linked to node `a` of a cluster, with a session of its folder.
pub(crate) struct Rude {
    endpoint: Endpoint,
    pub(crate) link: Link,
    folder: Vec<u8>,
    epoch: u64,
}

impl Rude {
    pub(crate) async fn connect(cluster: &Cluster, name: &str) -> Self {
        let identity = Identity::issue(
            &cluster.key.authority().unwrap(),
            name.parse().unwrap(),
            Role::ReadWrite,
            SystemTime::now(),
            Duration::from_secs(3600),
        );
        let config = EndpointConfig::default();
        let (endpoint, mut events) = Endpoint::bind(identity.unwrap(), config).await.unwrap();
        endpoint.dial(PeerAddress {
            name: None,
            address: cluster.nodes["a"].address().unwrap().to_string(),
        });
        let up = timeout(PATIENCE, events.recv()).await.unwrap();
        let Some(Event::LinkUp(link)) = up else {
            panic!("no link");
        };
        let offered = loop {
            let frame = timeout(PATIENCE, link.control().recv())
                .await
                .unwrap()
                .unwrap();
            let offer = bytes_of(&frame, 1).and_then(|offer| bytes_of(&offer, 2));
            if let Some(folder) = offer {
                break folder;
            }
        };
        let rude = Self {
            endpoint,
            link,
            folder: bytes_of(&offered, 1).unwrap(),
            epoch: number_of(&offered, 4).unwrap(),
        };
        let folder = Proto::new().bytes(1, &rude.folder).bytes(2, b"site");
        let offer = Proto::new()
            .number(1, 1)
            .message(2, &folder.number(3, 1).number(4, EPOCH));
        rude.send(Proto::new().message(1, &offer)).await;
        rude
    }

    /// Sends a control frame.
    pub(crate) async fn send(&self, frame: Proto) {
        // The link may be down by now, which is what the test waits for.
        let _ = self.link.control().send(frame.0.into()).await;
    }

    /// Says something in the session of the folder.
    pub(crate) async fn say(&self, message: &Proto) {
        let session = Proto::new().bytes(1, &self.folder).number(2, self.epoch);
        self.send(Proto::new().message(2, &session.message(3, message)))
            .await;
    }

    /// A greeting that is in order.
    pub(crate) fn hello(&self) -> Proto {
        let hello = Proto::new()
            .number(1, 1)
            .bytes(2, &self.folder)
            .fixed(3, REPLICA);
        Proto::new().message(1, &hello)
    }

    /// The next message of the session; an error if that, or the link, was ended, with the reason.
    pub(crate) async fn hear(&self) -> Result<Vec<u8>, String> {
        loop {
            let frame = timeout(PATIENCE, self.link.control().recv()).await;
            let Some(frame) = frame.expect("neither an answer nor a refusal") else {
                return Err(self.link.closed().await.to_string());
            };
            if let Some(close) = bytes_of(&frame, 3) {
                let reason = bytes_of(&close, 2).unwrap_or_default();
                return Err(String::from_utf8(reason).unwrap());
            }
            if let Some(message) = bytes_of(&frame, 2).and_then(|session| bytes_of(&session, 3)) {
                return Ok(message);
            }
        }
    }

    /// Waits until the session or the link is ended, and tells why.
    pub(crate) async fn refused(&self) -> String {
        loop {
            if let Err(reason) = self.hear().await {
                return reason;
            }
        }
    }

    /// Answers requests for contents from now on: with what is here, whatever its hash.
    pub(crate) fn serve(&self, contents: &[([u8; 32], Vec<u8>)], manifests: Manifests) {
        let contents: HashMap<Vec<u8>, Vec<u8>> = contents
            .iter()
            .map(|(hash, bytes)| (hash.to_vec(), bytes.clone()))
            .collect();
        for lane in 0..self.link.bulk_lanes() {
            tokio::spawn(answer(self.link.bulk(lane), contents.clone(), manifests));
        }
    }

    pub(crate) async fn leave(self) {
        self.endpoint.close("done").await;
    }
}

async fn answer(lane: Lane, contents: HashMap<Vec<u8>, Vec<u8>>, manifests: Manifests) {
    while let Some(frame) = lane.recv().await {
        let Some(request) = bytes_of(&frame, 1) else {
            continue;
        };
        let mut reply = Proto::new().number(1, number_of(&request, 1).unwrap_or_default());
        if bytes_of(&request, 4).is_some() {
            if manifests == Manifests::Unanswered {
                continue;
            }
            reply = reply.message(2, &Proto::new().number(3, 1));
        }
        for want in all_bytes_of(&request, 3) {
            let content = contents.get(&bytes_of(&want, 1).unwrap_or_default());
            let from = number_of(&want, 3).unwrap_or_default() as usize;
            let length = number_of(&want, 4).unwrap_or_default() as usize;
            let piece = content.and_then(|bytes| bytes.get(from..(from + length).min(bytes.len())));
            let part = match piece {
                Some(piece) => Proto::new().bytes(1, piece),
                None => Proto::new().number(3, 1),
            };
            reply = reply.message(2, &part);
        }
        if lane
            .send(Proto::new().message(2, &reply).0.into())
            .await
            .is_err()
        {
            return;
        }
    }
}
