//! From the text of a file to settings, with all that is wrong and where.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::SettingsError;
use super::place::{self, FieldPath, Step};
use super::{Settings, fields};

/// The languages that settings are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Json,
}

/// A text of settings.
pub(super) struct Text<'text> {
    pub(super) text: &'text str,
    pub(super) format: Format,
    /// The file that it is from, if it is from one.
    pub(super) file: Option<&'text str>,
}

/// What is wrong with a field.
pub(super) struct Fault {
    pub(super) path: FieldPath,
    pub(super) error: SettingsError,
}

impl Text<'_> {
    /// The settings without those fields that cannot be, and what is wrong with these.
    pub(super) fn read(&self) -> (Settings, Vec<SettingsError>) {
        let mut value = match self.value() {
            Ok(value) => value,
            Err(error) => return (Settings::default(), vec![error]),
        };
        let mut faults = fields::unknown(&mut value);
        let settings = deserialize(value, &mut faults);
        let known = faults.len();
        faults.extend(settings.faults());
        // Of what was left out, nothing more is said.
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let faults = faults.into_iter().enumerate().filter_map(|(at, fault)| {
            let is_new = seen.insert(fault.path.to_string());
            (at < known || is_new).then_some(fault)
        });
        let mut errors: Vec<_> = faults.map(|fault| self.located(fault)).collect();
        errors.sort_by_key(|(offset, _)| *offset);
        let errors = errors.into_iter().map(|(_, error)| error);
        (settings, errors.collect())
    }

    fn value(&self) -> Result<Value, SettingsError> {
        // Neither message repeats the text, which may hold a secret.
        match self.format {
            Format::Toml => toml::from_str(self.text).map_err(|error| {
                let place = error
                    .span()
                    .map(|span| place::line_and_column(self.text, span.start));
                self.syntax("TOML", place, error.message().trim())
            }),
            Format::Json => serde_json::from_str(self.text).map_err(|error| {
                let message = error.to_string();
                let (problem, _) = message.rsplit_once(" at line ").unwrap_or((&message, ""));
                let place = Some((error.line(), error.column()));
                self.syntax("JSON", place, problem)
            }),
        }
    }

    fn syntax(
        &self,
        format: &'static str,
        place: Option<(usize, usize)>,
        problem: &str,
    ) -> SettingsError {
        let error = SettingsError::Syntax {
            format,
            problem: problem.to_owned(),
        };
        self.at(place, error)
    }

    fn located(&self, fault: Fault) -> (Option<usize>, SettingsError) {
        let offset = match self.format {
            Format::Toml => place::in_toml(self.text, &fault.path),
            Format::Json => place::in_json(self.text, &fault.path),
        };
        let place = offset.map(|offset| place::line_and_column(self.text, offset));
        (offset, self.at(place, fault.error))
    }

    fn at(&self, place: Option<(usize, usize)>, error: SettingsError) -> SettingsError {
        let place = match (self.file, place) {
            (Some(file), Some((line, column))) => format!("{file}:{line}:{column}"),
            (Some(file), None) => file.to_owned(),
            (None, Some((line, column))) => format!("line {line}, column {column}"),
            (None, None) => return error,
        };
        SettingsError::At {
            place,
            error: Box::new(error),
        }
    }
}

/// Leaves out one field after another, until the rest can be taken.
fn deserialize(mut value: Value, faults: &mut Vec<Fault>) -> Settings {
    let mut removed = Removed::default();
    loop {
        let error = match serde_path_to_error::deserialize::<_, Settings>(&value) {
            Ok(settings) => return settings,
            Err(error) => error,
        };
        let path = steps(error.path());
        let original = removed.original(&path);
        let problem = error.into_inner().to_string();
        // What is missing because it was left out was told already.
        if !removed.is_told(&original) {
            faults.push(Fault {
                error: SettingsError::Type {
                    field: original.to_string(),
                    problem,
                },
                path: original,
            });
        }
        if !remove(&mut value, &path) {
            return Settings::default();
        }
        removed.note(&path);
    }
}

fn steps(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    let steps = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(Step::Element(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    FieldPath(steps.collect())
}

fn remove(value: &mut Value, path: &FieldPath) -> bool {
    let Some((last, above)) = path.0.split_last() else {
        return false;
    };
    let mut current = value;
    for step in above {
        let next = match step {
            Step::Key(name) => current.get_mut(name),
            Step::Element(at) => current.get_mut(*at),
        };
        let Some(next) = next else { return false };
        current = next;
    }
    match (last, current) {
        (Step::Key(name), Value::Object(fields)) => fields.remove(name).is_some(),
        (Step::Element(at), Value::Array(list)) if *at < list.len() => {
            list.remove(*at);
            true
        }
        _ => false,
    }
}

/// What was left out, by the paths of the text.
#[derive(Default)]
struct Removed(Vec<FieldPath>);

impl Removed {
    /// The path in the text of what is at `path` now.
    fn original(&self, path: &FieldPath) -> FieldPath {
        let mut original = FieldPath::default();
        for step in &path.0 {
            original = match step {
                Step::Key(name) => original.key(name),
                Step::Element(now) => {
                    let is_left = |at: &usize| !self.0.contains(&original.element(*at));
                    let at = (0..).filter(is_left).nth(*now).unwrap_or(*now);
                    original.element(at)
                }
            };
        }
        original
    }

    fn note(&mut self, path: &FieldPath) {
        self.0.push(self.original(path));
    }

    /// Whether something within it was left out.
    fn is_told(&self, path: &FieldPath) -> bool {
        let within = |removed: &&FieldPath| removed.0.starts_with(&path.0);
        self.0.iter().any(|removed| within(&removed))
    }
}
