//! Format 1. Times are whole seconds since 1970; ids and hashes are hexadecimal.

mod sightings;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use blake3::Hash;
use replicat_net::ClusterKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::desired::DesiredState;
use crate::roster::{Member, Revocation, Roster};
use crate::state::State;
use crate::token::{TokenRecord, TokenUse};
pub(super) use sightings::{decode_sightings, encode_sightings};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateObject {
    format: u32,
    tokens: Vec<TokenRow>,
    nodes: Vec<NodeRow>,
    revoked: Vec<RevokedRow>,
    folders: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRow {
    id: String,
    secret_hash: String,
    role: String,
    node: Option<String>,
    created: u64,
    expires: u64,
    used: Option<UseRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UseRow {
    node: String,
    enrolment: String,
    public_key_hash: String,
    time: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeRow {
    name: String,
    role: String,
    enrolment: String,
    address: Option<String>,
    enrolled: u64,
    certificate_expires: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedRow {
    enrolment: String,
    node: String,
    time: u64,
    until: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityObject {
    format: u32,
    cluster_key: String,
}

pub(super) fn encode_state(state: &State) -> Vec<u8> {
    let roster = &state.roster;
    let object = StateObject {
        format: 1,
        tokens: state.tokens.values().map(TokenRow::of).collect(),
        nodes: roster.members.iter().map(NodeRow::of).collect(),
        revoked: roster.revoked.iter().map(RevokedRow::of).collect(),
        folders: folders(&state.desired),
    };
    to_json(&object)
}

pub(super) fn decode_state(bytes: &[u8]) -> Result<State, String> {
    let object: StateObject = from_json(bytes)?;
    let mut state = State::default();
    for row in object.tokens {
        let token = row.read()?;
        state.tokens.insert(token.id, token);
    }
    state.roster = Roster {
        members: object
            .nodes
            .iter()
            .map(|row| Ok((parse("name", &row.name)?, row.read()?)))
            .collect::<Result<_, String>>()?,
        revoked: object
            .revoked
            .iter()
            .map(|row| Ok((parse("enrolment", &row.enrolment)?, row.read()?)))
            .collect::<Result<_, String>>()?,
    };
    for (folder, nodes) in &object.folders {
        for (node, mode) in nodes {
            let (folder, node) = (parse("folder", folder)?, parse("node", node)?);
            state.desired.place(folder, node, parse("mode", mode)?);
        }
    }
    Ok(state)
}

pub(super) fn encode_authority(key: &ClusterKey) -> Zeroizing<Vec<u8>> {
    let object = AuthorityObject {
        format: 1,
        cluster_key: key.to_text().to_string(),
    };
    let bytes = Zeroizing::new(to_json(&object));
    drop(Zeroizing::new(object.cluster_key));
    bytes
}

pub(super) fn decode_authority(bytes: &[u8]) -> Result<ClusterKey, String> {
    let object: AuthorityObject = from_json(bytes)?;
    let text = Zeroizing::new(object.cluster_key);
    parse("cluster_key", &text)
}

/// Rows of plain values: they can always be written.
fn to_json(object: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(object).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// The texts of secrets are not repeated by the errors of their types.
fn parse<T: FromStr<Err: ToString>>(field: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: T::Err| format!("{field}: {}", error.to_string()))
}

fn hash(field: &str, text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).map_err(|error| format!("{field}: {error}"))
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn time(field: &str, seconds: u64) -> Result<SystemTime, String> {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.ok_or_else(|| format!("{field}: the time is out of range"))
}

fn folders(desired: &DesiredState) -> BTreeMap<String, BTreeMap<String, String>> {
    let folders = desired.folders.iter();
    folders
        .map(|(folder, nodes)| {
            let nodes = nodes.iter();
            let nodes = nodes.map(|(node, mode)| (node.to_string(), mode.to_string()));
            (folder.to_string(), nodes.collect())
        })
        .collect()
}

impl TokenRow {
    fn of(token: &TokenRecord) -> Self {
        Self {
            id: token.id.to_string(),
            secret_hash: token.secret_hash.to_string(),
            role: token.role.to_string(),
            node: token.node.as_ref().map(ToString::to_string),
            created: seconds(token.created),
            expires: seconds(token.expires),
            used: token.used.as_ref().map(|used| UseRow {
                node: used.node.to_string(),
                enrolment: used.enrolment.to_string(),
                public_key_hash: used.public_key_hash.to_string(),
                time: seconds(used.time),
            }),
        }
    }

    fn read(self) -> Result<TokenRecord, String> {
        let node = self.node.as_deref();
        let used = self.used.as_ref().map(UseRow::read);
        Ok(TokenRecord {
            id: parse("id", &self.id)?,
            secret_hash: hash("secret_hash", &self.secret_hash)?,
            role: parse("role", &self.role)?,
            node: node.map(|node| parse("node", node)).transpose()?,
            created: time("created", self.created)?,
            expires: time("expires", self.expires)?,
            used: used.transpose()?,
        })
    }
}

impl UseRow {
    fn read(&self) -> Result<TokenUse, String> {
        Ok(TokenUse {
            node: parse("node", &self.node)?,
            enrolment: parse("enrolment", &self.enrolment)?,
            public_key_hash: hash("public_key_hash", &self.public_key_hash)?,
            time: time("time", self.time)?,
        })
    }
}

impl NodeRow {
    fn of((name, member): (&replicat_net::NodeName, &Member)) -> Self {
        Self {
            name: name.to_string(),
            role: member.role.to_string(),
            enrolment: member.enrolment.to_string(),
            address: member.address.clone(),
            enrolled: seconds(member.enrolled),
            certificate_expires: seconds(member.certificate_expires),
        }
    }

    fn read(&self) -> Result<Member, String> {
        Ok(Member {
            role: parse("role", &self.role)?,
            enrolment: parse("enrolment", &self.enrolment)?,
            address: self.address.clone(),
            enrolled: time("enrolled", self.enrolled)?,
            certificate_expires: time("certificate_expires", self.certificate_expires)?,
        })
    }
}

impl RevokedRow {
    fn of((enrolment, revocation): (&replicat_net::EnrolmentId, &Revocation)) -> Self {
        Self {
            enrolment: enrolment.to_string(),
            node: revocation.node.to_string(),
            time: seconds(revocation.time),
            until: seconds(revocation.until),
        }
    }

    fn read(&self) -> Result<Revocation, String> {
        Ok(Revocation {
            node: parse("node", &self.node)?,
            time: time("time", self.time)?,
            until: time("until", self.until)?,
        })
    }
}
