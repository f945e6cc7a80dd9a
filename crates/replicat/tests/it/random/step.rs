//! What users do, chosen by a seed.

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// Names of which one is left out by the filter [`IGNORED`].
const NAMES_AND_IGNORED: [&str; 5] = ["a", "b", "c", "d", "d.ign"];
/// What names end in that a filter leaves out.
pub(super) const IGNORED: &str = ".ign";
const DEPTH_MAX: u64 = 3;

/// Numbers that a seed determines. Source: Sebastiano Vigna, SplitMix64.
pub(super) struct Random {
    state: u64,
    names: &'static [&'static str],
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            names: &NAMES,
        }
    }

    /// From now on paths may have names that a filter leaves out.
    pub(super) fn name_ignored(&mut self) {
        self.names = &NAMES_AND_IGNORED;
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// An index of something of which there are `count`.
    pub(super) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    fn path(&mut self) -> String {
        let depth = 1 + self.below(DEPTH_MAX);
        let names: Vec<&str> = (0..depth)
            .map(|_| self.names[self.index(self.names.len())])
            .collect();
        names.join("/")
    }

    /// Some of the roots, two or more, in any order.
    fn roots(&mut self, count: usize) -> Vec<usize> {
        let mut roots: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            let other = self.index(last + 1);
            roots.swap(last, other);
        }
        roots.truncate(2 + self.index(count - 1));
        roots
    }
}

/// A step of a history: what a user does in a root, or a sync. What cannot be done, because the path is not there, is
/// left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Creates a file or writes it in place.
    Write(usize, String, u64),
    /// Replaces a file by renaming another onto it.
    Replace(usize, String, u64),
    /// Writes at the end.
    Append(usize, String, u64),
    /// Removes a file, a link or a whole directory.
    Remove(usize, String),
    /// Renames whatever it is.
    Rename(usize, String, String),
    /// Makes a directory.
    MakeDirectory(usize, String),
    /// Makes a symbolic link.
    Symlink(usize, String, u64),
    /// Makes a hard link.
    HardLink(usize, String, String),
    /// Sets the permissions.
    Chmod(usize, String, u32),
    /// Sets the modification time.
    Touch(usize, String, i64),
    /// Writes to the conflict copy of this number, if there are so many.
    WriteCopy(usize, usize, u64),
    /// Removes it.
    RemoveCopy(usize, usize),
    /// Renames it.
    RenameCopy(usize, usize, String),
    /// Lets two paths change places.
    Swap(usize, String, String),
    /// Puts something of another kind in the place of whatever is there.
    Retype(usize, String, u64),
    /// Creates a file that takes a while to be sent, or writes it in place.
    WriteLarge(usize, String, u64),
    /// Syncs these roots.
    Sync(Vec<usize>),
}

impl Step {
    pub(super) fn random(random: &mut Random, roots: usize, number: u64) -> Self {
        let root = random.index(roots);
        match random.below(100) {
            0..20 => Self::Write(root, random.path(), number),
            // Content that is written more than once.
            20..25 => Self::Write(root, random.path(), random.below(3)),
            25..32 => Self::Replace(root, random.path(), number),
            32..37 => Self::Append(root, random.path(), number),
            37..48 => Self::Remove(root, random.path()),
            48..64 => Self::Rename(root, random.path(), random.path()),
            64..68 => Self::MakeDirectory(root, random.path()),
            68..71 => Self::Symlink(root, random.path(), random.below(3)),
            71..74 => Self::HardLink(root, random.path(), random.path()),
            74..77 => Self::Chmod(root, random.path(), [0o600, 0o640, 0o755][random.index(3)]),
            77..80 => Self::Touch(root, random.path(), i64::from(random.index(1000) as u32)),
            80..82 => Self::WriteCopy(root, random.index(3), number),
            82..84 => Self::RemoveCopy(root, random.index(3)),
            84..86 => Self::RenameCopy(root, random.index(3), random.path()),
            _ => Self::Sync(random.roots(roots)),
        }
    }

    /// The root in which it happens; `None` of a sync.
    pub(super) fn root(&self) -> Option<usize> {
        match self {
            Self::Write(root, ..)
            | Self::Replace(root, ..)
            | Self::Append(root, ..)
            | Self::Remove(root, ..)
            | Self::Rename(root, ..)
            | Self::MakeDirectory(root, ..)
            | Self::Symlink(root, ..)
            | Self::HardLink(root, ..)
            | Self::Chmod(root, ..)
            | Self::Touch(root, ..)
            | Self::WriteCopy(root, ..)
            | Self::RemoveCopy(root, ..)
            | Self::RenameCopy(root, ..)
            | Self::Swap(root, ..)
            | Self::Retype(root, ..)
            | Self::WriteLarge(root, ..) => Some(*root),
            Self::Sync(_) => None,
        }
    }

    /// What a user does while nodes run.
    pub(super) fn random_live(random: &mut Random, roots: usize, number: u64) -> Self {
        let root = random.index(roots);
        match random.below(100) {
            0..6 => Self::Swap(root, random.path(), random.path()),
            6..12 => Self::Retype(root, random.path(), number),
            12..17 => Self::WriteLarge(root, random.path(), number),
            _ => loop {
                let step = Self::random(random, roots, number);
                if !matches!(step, Self::Sync(_)) {
                    return step;
                }
            },
        }
    }
}
