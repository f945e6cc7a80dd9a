//! Tells of a running sync: text for people, JSON for programs.

use std::path::PathBuf;

use replicat::event::{PlanItem, Reporter, RootIndex, SyncEvent};
use replicat::report::RootFailure;

use super::output::Output;
use super::progress::{Meter, print_error_line};
use super::terminal::{path_text, root_text, sentence};
use super::{itemize, json, text};

/// What is printed of each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing.
    None,
    /// Its path.
    Names,
    /// Its path and a code for what differs.
    Itemized,
}

/// Which warnings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warnings {
    Shown,
    Hidden,
}

/// Prints lines for people.
pub(crate) struct TextReporter {
    pub(crate) roots: Vec<String>,
    pub(crate) detail: Detail,
    pub(crate) warnings: Warnings,
    pub(crate) meter: Meter,
    pub(crate) output: Output,
    /// Those that the sync before this one told.
    pub(crate) known_failures: Vec<RootFailure>,
}

impl TextReporter {
    fn root(&self, RootIndex(index): RootIndex) -> &str {
        self.roots.get(index).map_or("?", String::as_str)
    }

    fn item(&self, item: &PlanItem) {
        let root = self.root(item.root);
        let line = match self.detail {
            Detail::None => return,
            Detail::Names => itemize::named(item, root),
            Detail::Itemized => itemize::itemized(item, root),
        };
        // A reader that has gone does not stop a sync halfway; the last line will notice.
        let _ = self.meter.suspended(|| self.output.line(&line));
    }

    fn warning(&self, place: Option<String>, message: &str) {
        if self.warnings == Warnings::Shown {
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            let line = format!("warning: {place}{}", sentence(message));
            self.meter.suspended(|| print_error_line(&line));
        }
    }
}

impl TextReporter {
    fn root_failed(&self, failure: &RootFailure) {
        if self.known_failures.contains(failure) {
            return;
        }
        let lines = text::root_failure(failure);
        self.meter
            .suspended(|| lines.iter().for_each(|line| print_error_line(line)));
    }
}

impl Reporter for TextReporter {
    fn event(&self, event: &SyncEvent) {
        match event {
            SyncEvent::PhaseStarted { root, phase } => {
                self.meter.phase(*phase, root.map(|root| self.root(root)));
            }
            SyncEvent::Scanned { root, counts } => self.meter.scanned(self.root(*root), counts),
            SyncEvent::Planned(_) | SyncEvent::Observed(_) => {}
            SyncEvent::Item(item) => self.item(item),
            SyncEvent::Progress(progress) => self.meter.progress(progress),
            SyncEvent::RootFailed { failure, .. } => self.root_failed(failure),
            SyncEvent::Warning {
                root,
                path,
                message,
            } => {
                let root = root.map(|root| self.root(root).trim_end_matches('/').to_owned());
                let path = path.as_ref().map(|path| path_text(path.as_bytes()));
                let place: Vec<_> = root.into_iter().chain(path).collect();
                let place = (!place.is_empty()).then(|| place.join("/"));
                self.warning(place, message);
            }
        }
    }
}

/// Whether JSON tells of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressEvents {
    Written,
    Left,
}

/// Prints an object for each event.
pub(crate) struct JsonReporter {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) progress: ProgressEvents,
    pub(crate) output: Output,
}

impl Reporter for JsonReporter {
    fn event(&self, event: &SyncEvent) {
        let is_progress = matches!(event, SyncEvent::Progress(_));
        if is_progress && self.progress == ProgressEvents::Left {
            return;
        }
        // A reader that has gone does not stop a sync halfway; the last line will notice.
        let _ = self.output.object(&json::event(event, &self.roots));
    }
}

/// The roots as they are printed.
pub(crate) fn root_names(roots: &[PathBuf]) -> Vec<String> {
    roots.iter().map(|root| root_text(root)).collect()
}
