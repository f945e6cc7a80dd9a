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
        .or_else(|| manager_text::lines(kind, object, zone));
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

    #[test]
    fn nothing_that_is_answered_reaches_a_terminal_as_it_is() {
        let row = |members: &[&str]| {
            let hostile = members
                .iter()
                .map(|key| format!(r#""{key}":"x\u001b[2Jy""#));
            hostile.collect::<Vec<_>>().join(",")
        };
        let folder = row(&["name", "root", "mode", "status", "reason", "brake"]);
        let side = row(&["kind", "node", "when", "target"]);
        for (kind, members, more) in [
            (
                "node",
                vec!["name", "address", "cluster", "status"],
                format!(
                    r#","folders":[{{{folder}}}],"nodes":[{{{folder}}}],"workers":[{{"state":"working","name":"\u001b"}}]"#
                ),
            ),
            (
                "folder",
                vec!["name", "root", "mode", "status", "reason", "brake"],
                String::new(),
            ),
            (
                "event",
                vec![
                    "time",
                    "name",
                    "folder",
                    "source",
                    "path",
                    "source_path",
                    "network_source",
                ],
                String::new(),
            ),
            (
                "session",
                vec!["server", "name", "version"],
                format!(r#","token":{{{}}}"#, row(&["name", "scope", "expires"])),
            ),
            ("configuration", vec!["name", "x\\u001b"], String::new()),
            ("paused", vec![], r#","folders":["\u001b"]"#.to_owned()),
            (
                "conflict",
                vec!["path", "copy"],
                format!(r#","winner":{{{side}}},"loser":{{{side}}}"#),
            ),
            ("resolution", vec!["path", "copy", "kept"], String::new()),
            (
                "version",
                vec!["node", "when", "change", "keeping", "other"],
                String::new(),
            ),
            (
                "explanation",
                vec!["path"],
                r#","facts":["\u001b"]"#.to_owned(),
            ),
            (
                "path",
                vec!["path", "kind", "mode", "mtime", "target", "state"],
                String::new(),
            ),
            (
                "manager",
                vec!["address", "cluster"],
                format!(
                    r#","members":[{{"connected":true,{},"folders":[{{{folder}}}]}}]"#,
                    row(&["name", "role", "address", "status"])
                ),
            ),
            (
                "token",
                vec!["id", "role", "node", "used_by", "expires"],
                String::new(),
            ),
            ("token", vec!["token"], String::new()),
            ("placement", vec!["folder", "node", "mode"], String::new()),
        ] {
            let members = row(&members);
            let comma = if members.is_empty() { "" } else { "," };
            let json = format!(r#"{{"type":"{kind}"{comma}{members}{more}}}"#);
            let shown = told(&json);
            assert!(
                !shown.is_empty() && !shown.contains('\u{1b}'),
                "{kind}: {shown:?}"
            );
        }
    }
}
