//! Standard output, line by line.

use std::io::{self, Write};

use super::json::Object;

/// For whom output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// People.
    Text,
    /// Programs: one JSON object a line.
    Json,
}

impl Format {
    /// By the flag `--json`.
    pub(crate) fn by_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Standard output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Output;

impl Output {
    /// Writes a line.
    pub(crate) fn line(self, line: &str) -> io::Result<()> {
        let mut standard = io::stdout().lock();
        standard.write_all(line.as_bytes())?;
        standard.write_all(b"\n")
    }

    /// Writes an object as a line.
    pub(crate) fn object(self, object: &Object) -> io::Result<()> {
        self.line(&serde_json::to_string(object)?)
    }
}
