//! How the nodes stood, in format 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{from_json, parse, seconds, time, to_json};
use crate::report::{FolderFigures, NodeReport};
use crate::sighting::{Sighting, Sightings};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SightingsObject {
    format: u32,
    written: u64,
    nodes: BTreeMap<String, SightingRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SightingRow {
    connected: bool,
    last_seen: u64,
    address: String,
    software: String,
    status: String,
    folders: Vec<FolderRow>,
    connected_to: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderRow {
    name: String,
    status: String,
    reason: String,
    mode: String,
    in_sync: bool,
    paths: u64,
    pending: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

pub(in crate::format) fn encode_sightings(sightings: &Sightings) -> Vec<u8> {
    let nodes = sightings.nodes.iter();
    to_json(&SightingsObject {
        format: 1,
        written: seconds(sightings.written),
        nodes: nodes
            .map(|(name, sighting)| (name.to_string(), SightingRow::of(sighting)))
            .collect(),
    })
}

pub(in crate::format) fn decode_sightings(bytes: &[u8]) -> Result<Sightings, String> {
    let object: SightingsObject = from_json(bytes)?;
    let nodes = object.nodes.into_iter();
    let nodes = nodes.map(|(name, row)| Ok((parse("name", &name)?, row.read()?)));
    Ok(Sightings {
        written: time("written", object.written)?,
        nodes: nodes.collect::<Result<_, String>>()?,
    })
}

impl SightingRow {
    fn of(sighting: &Sighting) -> Self {
        let report = &sighting.report;
        Self {
            connected: sighting.is_connected,
            last_seen: seconds(sighting.last_seen),
            address: sighting.address.clone(),
            software: sighting.software.clone(),
            status: report.status.clone(),
            folders: report.folders.iter().map(FolderRow::of).collect(),
            connected_to: report.connected.clone(),
        }
    }

    fn read(self) -> Result<Sighting, String> {
        let folders = self.folders.into_iter().map(FolderRow::read);
        Ok(Sighting {
            is_connected: self.connected,
            last_seen: time("last_seen", self.last_seen)?,
            address: self.address,
            software: self.software,
            report: NodeReport {
                status: self.status,
                folders: folders.collect::<Result<_, String>>()?,
                connected: self.connected_to,
            },
        })
    }
}

impl FolderRow {
    fn of(figures: &FolderFigures) -> Self {
        Self {
            name: figures.name.to_string(),
            status: figures.status.clone(),
            reason: figures.reason.clone(),
            mode: figures.mode.to_string(),
            in_sync: figures.in_sync,
            paths: figures.paths,
            pending: figures.pending,
            bytes_sent: figures.bytes_sent,
            bytes_received: figures.bytes_received,
        }
    }

    fn read(self) -> Result<FolderFigures, String> {
        Ok(FolderFigures {
            name: parse("name", &self.name)?,
            mode: parse("mode", &self.mode)?,
            status: self.status,
            reason: self.reason,
            in_sync: self.in_sync,
            paths: self.paths,
            pending: self.pending,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::desired::PlacementMode;

    #[test]
    fn sightings_survive_their_object() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let figures = FolderFigures {
            name: "site".parse().unwrap(),
            status: "Online".to_owned(),
            reason: String::new(),
            mode: PlacementMode::SendOnly,
            in_sync: true,
            paths: 1,
            pending: 2,
            bytes_sent: 3,
            bytes_received: 4,
        };
        let sighting = Sighting {
            is_connected: true,
            last_seen: time,
            address: "10.0.0.2:1".to_owned(),
            software: "replicat".to_owned(),
            report: NodeReport {
                status: "Online".to_owned(),
                folders: vec![figures],
                connected: vec!["b".to_owned()],
            },
        };
        let sightings = Sightings {
            written: time,
            nodes: [("a".parse().unwrap(), sighting)].into(),
        };
        assert_eq!(
            decode_sightings(&encode_sightings(&sightings)),
            Ok(sightings)
        );
    }
}
