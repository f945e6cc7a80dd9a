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
    pub(crate) fn shown(json: &str) -> String {
        let object: Object = serde_json::from_str(json).unwrap();
        lines(&object, &TimeZone::UTC).join("\n")
    }
}
