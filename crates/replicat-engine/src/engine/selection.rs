//! What a replica selects, as its index remembers it (`docs/selection.md`).

use std::sync::atomic::{AtomicU64, Ordering};

use replicat_core::path::RelPath;

use super::local::LocalReplica;
use crate::error::SyncError;
use crate::selection::{Selected, Selection, SelectionChange};

/// The setting under which the selection is kept.
const SETTING_SELECTION: &str = "selection";
/// What the setting begins with if a command said so, or the settings of the node.
const BY_COMMAND: u8 = b'c';
const BY_SETTINGS: u8 = b's';

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Numbers what a replica selects, from when it was opened or the selection changed until it changes again or the replica is closed.
/// A number is never given twice in the life of a process. While it is the same, what is not selected stays out of scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct SelectionNumber(u64);

impl SelectionNumber {
    pub(super) fn next() -> Self {
        Self(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed))
    }
}

impl LocalReplica {
    /// What the index says is selected.
    pub(super) fn kept_selection(&self) -> Result<Selected, SyncError> {
        let text = self.setting(SETTING_SELECTION)?.unwrap_or_default();
        // A selection that cannot be read selects everything: then more is brought, and nothing is removed.
        Ok(decode(&text).unwrap_or_default())
    }

    /// Changes what is selected, for who opens the root next.
    pub(super) fn change_selection(
        &mut self,
        change: SelectionChange,
    ) -> Result<Selected, SyncError> {
        let kept = self.kept_selection()?;
        if kept.is_by_settings {
            return Err(SyncError::SelectedBySettings {
                root: self.given.clone(),
            });
        }
        let selected = Selected {
            selection: change.of(kept.selection),
            is_by_settings: false,
        };
        self.keep_selection(&selected)?;
        Ok(selected)
    }

    /// Goes by what the settings of the node select. If they select nothing, by what a command said.
    pub(super) fn follow_settings(&mut self, wanted: Option<&Selection>) -> Result<(), SyncError> {
        let kept = self.kept_selection()?;
        let selected = match wanted {
            Some(selection) => Selected {
                selection: selection.clone(),
                is_by_settings: true,
            },
            None if kept.is_by_settings => Selected::default(),
            None => return Ok(()),
        };
        // The filter is as it was kept, since the root was opened.
        match selected == kept {
            true => Ok(()),
            false => self.keep_selection(&selected),
        }
    }

    fn keep_selection(&mut self, selected: &Selected) -> Result<(), SyncError> {
        let text = encode(selected);
        let is_kept = selected.is_by_settings || !selected.selection.is_everything();
        self.set_setting(SETTING_SELECTION, is_kept.then_some(text.as_slice()))?;
        self.filter = self.filter.clone().within(selected.selection.clone());
        self.selection_number = SelectionNumber::next();
        self.commit()
    }
}

/// Who said so; then each mark: a sign, the path, and a zero byte.
fn encode(selected: &Selected) -> Vec<u8> {
    let mut text = vec![match selected.is_by_settings {
        true => BY_SETTINGS,
        false => BY_COMMAND,
    }];
    for (path, is_selected) in selected.selection.marks() {
        text.push(if is_selected { b'+' } else { b'-' });
        text.extend_from_slice(path.as_bytes());
        text.push(0);
    }
    text
}

fn decode(text: &[u8]) -> Option<Selected> {
    let (by, marks) = text.split_first()?;
    let is_by_settings = match *by {
        BY_SETTINGS => true,
        BY_COMMAND => false,
        _ => return None,
    };
    let mut selection = Selection::default();
    for mark in marks.split_inclusive(|&byte| byte == 0) {
        let (sign, path) = mark.strip_suffix(b"\0")?.split_first()?;
        let is_selected = match sign {
            b'+' => true,
            b'-' => false,
            _ => return None,
        };
        selection.mark(RelPath::new(path).ok()?, is_selected);
    }
    Some(Selected {
        selection,
        is_by_settings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_survives_the_index() {
        let path = |text: &[u8]| RelPath::new(text).unwrap();
        let mut selection = Selection::only([path(b"a/b"), path(b"c\xff\n")]);
        selection.mark(path(b"a/b/c"), false);
        for is_by_settings in [true, false] {
            let selected = Selected {
                selection: selection.clone(),
                is_by_settings,
            };
            let text = encode(&selected);
            assert_eq!(decode(&text), Some(selected));
            assert_eq!(decode(&text[..text.len() - 1]), None);
        }
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"x"), None);
    }
}
