//! The events that are kept, each with an id.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{RawQuery, State};
use replicat_server::control::json::{self, Object};
use replicat_server::{FolderEventRecord, ReplicatServer};
use serde_json::Value;

use super::{page, wrong_after};
use crate::app::{App, blocking};
use crate::problem::Problem;
use crate::request::Query;

/// Which event is meant: its number, and when the node was started that counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventId {
    pub(super) started: u64,
    pub(super) number: u64,
}

impl EventId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (started, number) = text.split_once('-')?;
        Some(Self {
            started: u64::from_str_radix(started, 16).ok()?,
            number: number.parse().ok()?,
        })
    }

    fn text(self) -> String {
        format!("{:x}-{}", self.started, self.number)
    }
}

/// When the node was started, in milliseconds.
pub(super) fn started(server: &ReplicatServer) -> u64 {
    let since = server
        .report()
        .started
        .duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or_default()
}

/// The events of a batch as objects, with their ids; `next` is the number of the one behind it.
pub(super) fn identified(
    records: &[FolderEventRecord],
    next: u64,
    started: u64,
) -> impl Iterator<Item = (EventId, Object)> {
    let first = next - records.len() as u64;
    records.iter().zip(first..).map(move |(record, number)| {
        let id = EventId { started, number };
        let mut object = json::event(record);
        object.shift_insert(1, "id".to_owned(), id.text().into());
        (id, object)
    })
}

/// The text of the id that an event has.
pub(super) fn id_text(id: EventId) -> String {
    id.text()
}

pub(super) async fn kept(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::of(query.as_deref(), &["after", "limit"])?;
    let limit = query.limit()?;
    let after = query
        .text("after")?
        .map(|text| EventId::parse(text).ok_or_else(wrong_after));
    let after = after.transpose()?;
    let server = app.node()?.clone();
    let (rows, next) = blocking(move || {
        let started = started(&server);
        // What another life of the node counted says nothing of this one.
        let after = after.filter(|after| after.started == started);
        let from = after.map_or(0, |after| after.number.saturating_add(1));
        let found = server.events_since(from, Duration::ZERO);
        let (records, behind) = found.unwrap_or_default();
        let mut rows: Vec<_> = identified(&records, behind, started).collect();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|(id, _)| id.text());
        (rows, next)
    })
    .await?;
    Ok(page(rows.into_iter().map(|(_, row)| row).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = EventId {
            started: 0x18f_3a2c,
            number: 41,
        };
        assert_eq!(EventId::parse(&id.text()), Some(id));
        for text in ["", "-", "1", "x-1", "1-x", "1--1"] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
