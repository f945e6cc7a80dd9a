//! How the nodes stood when they were seen last.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use replicat_net::NodeName;

use crate::report::NodeReport;
use crate::service::SIGHTINGS_INTERVAL;

/// How many times a manager may fail to write before it is taken for gone.
const MISSED_MAX: u32 = 3;

/// How the nodes stood, as a manager that runs writes down again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sightings {
    /// When it was written.
    pub written: SystemTime,
    /// The nodes that were ever seen and still take part.
    pub nodes: BTreeMap<NodeName, Sighting>,
}

/// A node, as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Whether it was connected to the manager.
    pub is_connected: bool,
    /// When it was seen last.
    pub last_seen: SystemTime,
    /// Where it dialled from.
    pub address: String,
    /// The program that it says it is.
    pub software: String,
    /// What it said of itself.
    pub report: NodeReport,
}

impl Sightings {
    /// Whether a manager runs, as far as can be told: one that runs writes again and again.
    #[must_use]
    pub fn are_fresh(&self, now: SystemTime) -> bool {
        let age = now.duration_since(self.written);
        // A little ahead is a clock that differs.
        age.unwrap_or(Duration::ZERO) <= SIGHTINGS_INTERVAL * MISSED_MAX
    }
}
