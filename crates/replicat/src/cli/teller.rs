//! What commands tell: objects, to programs as they are, to people as lines.

use std::io;

use jiff::tz::TimeZone;

use super::json::Object;
use super::output::{Format, Output};
use super::{fields, inspection_text, manager_text, node_text};

/// Tells it to whoever reads standard output.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    format: Format,
    zone: TimeZone,
    output: Output,
}

impl Teller {
    /// To programs if `json` is set, else to people.
    pub(crate) fn new(json: bool, output: Output) -> Self {
        Self {
            format: Format::by_flag(json),
            zone: TimeZone::system(),
            output,
        }
    }

    /// Tells an object.
    pub(crate) fn tell(&self, object: &Object) -> io::Result<()> {
        self.tell_as(object, || lines(object, &self.zone))
    }

    /// Tells an object that has lines of its own.
    pub(crate) fn tell_as(
        &self,
        object: &Object,
        lines: impl FnOnce() -> Vec<String>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => self.output.object(object),
            Format::Text => lines().iter().try_for_each(|line| self.output.line(line)),
        }
    }

    /// Tells people, and no program, a line.
    pub(crate) fn tell_people(&self, line: &str) -> io::Result<()> {
        match self.format {
            Format::Json => Ok(()),
            Format::Text => self.output.line(line),
        }
    }

    /// By which clock people are told.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

/// An object, as lines for people.
fn lines(object: &Object, zone: &TimeZone) -> Vec<String> {
    let kind = fields::text(object, "type");
    let shown = node_text::lines(kind, object, zone)
        .or_else(|| inspection_text::lines(kind, object, zone))
        .or_else(|| manager_text::lines(kind, object));
    shown.unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What people are shown of an object, at Greenwich.
    pub(crate) fn told(json: &str) -> String {
        let object: Object = serde_json::from_str(json).unwrap();
        lines(&object, &TimeZone::UTC).join("\n")
    }

    /// One of each kind that a node or a manager answers. Every text in them is to be replaced.
    const ANSWERS: [&str; 19] = [
        r#"{"type":"forgotten","replicas":[{"name":"@","replica":"@"}]}"#,
        r#"{"type":"node","name":"@","address":"@","cluster":"@","status":"@","folders":[{"name":"@","root":"@","mode":"@","status":"@","reason":"@","brake":"@"}],
            "nodes":[{"name":"@","address":"@","status":"@","reason":"@"}],"workers":[{"state":"working","name":"@"}]}"#,
        r#"{"type":"folder","name":"@","root":"@","mode":"@","status":"@","reason":"@","brake":"@","skipped":[{"path":"@","reason":"@"}]}"#,
        r#"{"type":"event","time":"@","name":"@","folder":"@","source":"@","path":"@","source_path":"@","network_source":"@"}"#,
        r#"{"type":"session","server":"@","name":"@","version":"@","token":{"name":"@","scope":"@","expires":"@"}}"#,
        r#"{"type":"configuration","@":"@","folders":[{"name":"@"}]}"#,
        r#"{"type":"paused","folders":["@"]}"#,
        r#"{"type":"conflict","path":"@","copy":"@","winner":{"kind":"@","node":"@","when":"@"},"loser":{"kind":"symlink","node":"@","when":"@","target":"@"}}"#,
        r#"{"type":"resolution","path":"@","copy":"@","kept":"@"}"#,
        r#"{"type":"version","node":"@","when":"@","change":"@","keeping":"@","other":"@"}"#,
        r#"{"type":"restoration","path":"@","node":"@","when":"@","from":"node","from_node":"@"}"#,
        r#"{"type":"not-restored","path":"@","reason":"@"}"#,
        r#"{"type":"trash-item","path":"@","name":"@","node":"@","when":"@","reason":"@"}"#,
        r#"{"type":"explanation","path":"@","facts":["@"]}"#,
        r#"{"type":"path","path":"@","kind":"@","mode":"@","mtime":"@","target":"@","state":"@"}"#,
        r#"{"type":"manager","address":"@","cluster":"@","members":[{"name":"@","role":"@","address":"@","status":"@","connected":true,
            "folders":[{"name":"@","status":"@","reason":"@","mode":"@"}]}]}"#,
        r#"{"type":"token","id":"@","role":"@","node":"@","used_by":"@","expires":"@"}"#,
        r#"{"type":"token","token":"@"}"#,
        r#"{"type":"placement","folder":"@","node":"@","mode":"@"}"#,
    ];

    #[test]
    fn nothing_that_is_answered_reaches_a_terminal_as_it_is() {
        for answer in ANSWERS {
            let shown = told(&answer.replace('@', r"x\u001b[2J\ny"));
            let lines = shown.replace('\n', "");
            assert!(
                !lines.is_empty() && !lines.contains(char::is_control),
                "{shown:?}"
            );
            assert!(
                !shown.lines().any(|line| line.starts_with('y')),
                "{shown:?}"
            );
        }
    }
}
