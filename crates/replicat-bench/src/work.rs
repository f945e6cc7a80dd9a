//! What is to be done: on which tree, after which first sync and change, and by whom.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::contender::Contender;
use crate::ground::Geometry;
use crate::tree::Tree;

const GIB: u64 = 1 << 30;

/// A work that contenders are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// First sync of 50,000 small files.
    #[value(name = "first-sync-50k")]
    #[serde(rename = "first-sync-50k")]
    FirstSyncSmall,
    /// First sync of a copy of /usr/share.
    FirstSyncUsrShare,
    /// First sync of two random files of 1 GiB.
    #[value(name = "first-sync-2x1g")]
    #[serde(rename = "first-sync-2x1g")]
    FirstSyncLarge,
    /// Nothing changed among 50,000 small files.
    #[value(name = "unchanged-50k")]
    #[serde(rename = "unchanged-50k")]
    UnchangedSmall,
    /// Nothing changed in a copy of /usr/share.
    UnchangedUsrShare,
    /// A directory of 10,000 files renamed.
    #[value(name = "rename-10k")]
    #[serde(rename = "rename-10k")]
    Rename,
    /// 8 bytes overwritten in a file of 1 GiB.
    #[value(name = "overwrite-8-bytes-1g")]
    #[serde(rename = "overwrite-8-bytes-1g")]
    Overwrite,
    /// First sync of a million tiny files; takes 8 GiB of memory.
    Million,
}

/// What happens between the first sync and the measured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// There is no first sync before: it is the measured one.
    FirstSync,
    /// Nothing.
    Nothing,
    /// The large directory gets another name.
    Rename,
    /// 8 bytes in the middle of the file are overwritten.
    Overwrite,
}

impl Work {
    /// Its name in tables and on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is synced.
    pub(crate) fn tree(self) -> Tree {
        match self {
            Self::FirstSyncSmall | Self::UnchangedSmall => Tree::Small,
            Self::FirstSyncUsrShare | Self::UnchangedUsrShare => Tree::UsrShare,
            Self::FirstSyncLarge => Tree::TwoLarge,
            Self::Rename => Tree::Directory,
            Self::Overwrite => Tree::OneLarge,
            Self::Million => Tree::Million,
        }
    }

    /// What happens before the measured sync.
    pub(crate) fn change(self) -> Change {
        match self {
            Self::FirstSyncSmall | Self::FirstSyncUsrShare => Change::FirstSync,
            Self::FirstSyncLarge | Self::Million => Change::FirstSync,
            Self::UnchangedSmall | Self::UnchangedUsrShare => Change::Nothing,
            Self::Rename => Change::Rename,
            Self::Overwrite => Change::Overwrite,
        }
    }

    /// Who does it.
    pub(crate) fn contenders(self) -> &'static [Contender] {
        use Contender::{Copy, Find, Replicat, Rsync, RsyncDelta, Tar, Unison};
        match (self, self.change()) {
            (Self::Million, _) => &[Replicat, Rsync, Tar],
            (_, Change::FirstSync) => &[Replicat, Rsync, Copy, Tar, Unison],
            (_, Change::Nothing) => &[Replicat, Rsync, Unison, Find],
            (_, Change::Rename) => &[Replicat, Rsync, Unison],
            (_, Change::Overwrite) => &[Replicat, Rsync, RsyncDelta, Unison],
        }
    }

    /// The filesystem that holds the tree twice and whatever a contender keeps beside it.
    pub(crate) fn geometry(self) -> Geometry {
        let (size, block_size, inodes) = match self.tree() {
            Tree::Small | Tree::UsrShare | Tree::Directory | Tree::Live => (6 * GIB, 4096, 500_000),
            Tree::OneLarge | Tree::TwoLarge => (12 * GIB, 4096, 10_000),
            // Small blocks, so that a million files take 1 GiB and not 4.
            Tree::Million => (12 * GIB, 1024, 4_000_000),
        };
        Geometry {
            size,
            block_size,
            inodes,
        }
    }
}

impl Change {
    /// Makes the change in `source`.
    pub(crate) fn make(self, source: &Path) -> Result<()> {
        match self {
            Self::FirstSync | Self::Nothing => Ok(()),
            Self::Rename => Ok(fs::rename(source.join("many"), source.join("renamed"))?),
            Self::Overwrite => {
                let file = File::options().write(true).open(source.join("one"))?;
                let middle = file.metadata()?.len() / 2;
                Ok(file.write_all_at(b"replaced", middle)?)
            }
        }
    }
}
