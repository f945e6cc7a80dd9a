//! Where a field stands in the text of a file.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A step from an object or a list to what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Element(usize),
}

/// The way from the whole to a field, shown as `folders[0].mode`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldPath(pub(super) Vec<Step>);

impl FieldPath {
    pub(super) fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(name.to_owned()));
        Self(steps)
    }

    pub(super) fn element(&self, at: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Element(at));
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => formatter.write_str(name)?,
                Step::Key(name) => write!(formatter, ".{name}")?,
                Step::Element(at) => write!(formatter, "[{at}]")?,
            }
        }
        Ok(())
    }
}

/// Line and column, from 1, of a byte of a text. Columns are counted in characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The offset in a TOML text of the key at the end of the path, or of the element; or of what is nearest above it.
pub(super) fn in_toml(text: &str, path: &FieldPath) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut current: Option<&DeValue<'_>> = None;
    for step in &path.0 {
        let (start, value) = match (step, current) {
            (Step::Key(name), None) => key_of(table.get_ref(), name)?,
            (Step::Key(name), Some(DeValue::Table(table))) => match key_of(table, name) {
                Some(next) => next,
                None => break,
            },
            (Step::Element(at), Some(DeValue::Array(list))) => {
                let Some(element) = list.get(*at) else { break };
                (element.span().start, element)
            }
            _ => break,
        };
        found = Some(start);
        current = Some(value.get_ref());
    }
    found
}

fn key_of<'a, 'text>(
    table: &'a DeTable<'text>,
    name: &str,
) -> Option<(usize, &'a Spanned<DeValue<'text>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value))
}

/// The same in a JSON text, which must be valid.
pub(super) fn in_json(text: &str, path: &FieldPath) -> Option<usize> {
    let mut reader = JsonReader {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut found = None;
    for step in &path.0 {
        match reader.step_into(step) {
            Some(start) => found = Some(start),
            None => break,
        }
    }
    found
}

/// A place in a JSON text.
struct JsonReader<'text> {
    bytes: &'text [u8],
    at: usize,
}

impl JsonReader<'_> {
    /// Goes from the start of an object or list to the start of a value in it; where its key, or it, begins.
    fn step_into(&mut self, step: &Step) -> Option<usize> {
        let is_object = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        self.at += 1;
        for number in 0.. {
            if matches!(self.peek()?, b'}' | b']') {
                return None;
            }
            let start = self.at;
            let key = match is_object {
                true => Some(self.key()?),
                false => None,
            };
            let is_meant = match (step, key) {
                (Step::Key(name), Some(key)) => key == *name,
                (Step::Element(at), None) => *at == number,
                _ => false,
            };
            self.peek()?;
            if is_meant {
                return Some(start);
            }
            self.skip_value();
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        None
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_string();
        let key = serde_json::from_slice(self.bytes.get(start..self.at)?).ok()?;
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        Some(key)
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                _ => 1,
            };
            if *byte == b'"' {
                return;
            }
        }
    }

    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.skip_string();
                    if depth == 0 {
                        return;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth <= 1 => {
                    // The end of this value, or of what it stands in.
                    self.at += depth;
                    return;
                }
                b'}' | b']' => depth -= 1,
                b',' if depth == 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[Step]) -> FieldPath {
        FieldPath(steps.to_vec())
    }

    fn key(name: &str) -> Step {
        Step::Key(name.to_owned())
    }

    #[test]
    fn a_field_of_toml_is_found_by_its_line() {
        let text = "name = \"é\"\n\n[[folders]]\ndirectory = \"a\"\n[[folders]]\n  mode = 7\n";
        let place = |steps: &[Step]| line_and_column(text, in_toml(text, &path(steps)).unwrap());
        assert_eq!(place(&[key("name")]), (1, 1));
        let mode = [key("folders"), Step::Element(1), key("mode")];
        assert_eq!(place(&mode), (6, 3));
        // What is missing is looked for where it should be.
        let missing = [key("folders"), Step::Element(1), key("directory")];
        assert_eq!(place(&missing).0, 5);
    }

    #[test]
    fn a_field_of_json_is_found_by_its_line() {
        let text = "{\"a\": {\"x\": [1, \"]\", {\"y\\\"\": 2}]},\n \"b\" : [[], {\n\"c\": \"d\", \"e\": null}]}";
        let place = |steps: &[Step]| {
            in_json(text, &path(steps)).map(|offset| line_and_column(text, offset))
        };
        assert_eq!(place(&[key("b")]), Some((2, 2)));
        assert_eq!(place(&[key("b"), Step::Element(1)]), Some((2, 13)));
        assert_eq!(
            place(&[key("b"), Step::Element(1), key("e")]),
            Some((3, 11))
        );
        let deep = [key("a"), key("x"), Step::Element(2), key("y\"")];
        assert_eq!(place(&deep), Some((1, 23)));
        assert_eq!(place(&[key("c")]), None);
    }
}
