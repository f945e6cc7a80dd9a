//! What users wrote, and what of it somebody knowingly replaced or deleted.

use std::collections::BTreeMap;
use std::path::Path;

use crate::world::contents;

/// The contents that users wrote, and whether they may be gone.
#[derive(Default)]
pub(super) struct Ledger(BTreeMap<Vec<u8>, Fate>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    MustBeThere,
    MayBeGone,
}

impl Ledger {
    /// A user wrote this.
    pub(super) fn wrote(&mut self, content: &[u8]) {
        self.0.entry(content.to_vec()).or_insert(Fate::MustBeThere);
    }

    /// A user replaces or deletes what is at a path, and below it.
    pub(super) fn goes(&mut self, path: &Path) {
        for content in contents(path) {
            self.0.insert(content, Fate::MayBeGone);
        }
    }

    /// What must be among `held` and is not.
    pub(super) fn missing(&self, held: &[Vec<u8>]) -> Vec<String> {
        let missing = self.0.iter().filter(|(content, fate)| {
            **fate == Fate::MustBeThere && !held.iter().any(|held| held == *content)
        });
        missing
            .map(|(content, _)| {
                let content = &content[..content.len().min(100)];
                String::from_utf8_lossy(content).into_owned()
            })
            .collect()
    }
}
