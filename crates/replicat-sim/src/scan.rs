//! Looking through a replica's storage, as the scanner of production does: what is new is observed in path order,
//! then what changed, then what is gone, children first.

use std::collections::{BTreeMap, BTreeSet};

use replicat_core::entry::Timestamp;
use replicat_core::observe::{Found, Observed, Present};
use replicat_core::path::RelPath;
use replicat_core::store::Store;
use replicat_core::version::Hlc;

use crate::disk::Node as File;
use crate::world::{Failure, World};

/// Which of the paths that hold something are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presences {
    /// Those at which nothing was known to be. They and the next come first, so that what was put in the place of a
    /// file that only moved away is not taken for an edit of it.
    New,
    /// Those that hold a file known at another path.
    Moved,
    /// The others.
    Changed,
}

/// Where an inode was found that was not known to be there.
type Appeared = BTreeMap<(u64, u64), RelPath>;

impl World {
    /// Looks through the whole storage of a replica; returns how many events that made.
    ///
    /// # Errors
    /// [`Failure`] if power fails meanwhile.
    pub(crate) fn scan(&mut self, replica: usize) -> Result<usize, Failure> {
        self.nodes[replica].touched_since_scan = false;
        self.release_found(replica)?;
        let mut appeared = Appeared::new();
        self.include_paths(replica)?;
        let mut events = 0;
        for wanted in [Presences::New, Presences::Moved, Presences::Changed] {
            events += self.observe_presences(replica, wanted, &mut appeared)?;
        }
        events += self.observe_absences(replica, &appeared)?;
        self.commit(replica)?;
        Ok(events)
    }

    /// Brings back into scope what the filters do not leave out any more.
    fn include_paths(&mut self, replica: usize) -> Result<(), Failure> {
        let node = &mut self.nodes[replica];
        for path in node.store().excluded(None, usize::MAX)? {
            if !node.leaves_out(&path) {
                node.replica_mut().include(&path)?;
            }
        }
        Ok(())
    }

    fn observe_presences(
        &mut self,
        replica: usize,
        wanted: Presences,
        appeared: &mut Appeared,
    ) -> Result<usize, Failure> {
        let mut events = 0;
        let locals = self.nodes[replica].store().records();
        let recorded: BTreeSet<u64> = locals
            .filter_map(|(_, record)| record.local.as_ref())
            .map(|local| local.fingerprint.inode)
            .collect();
        let mut cursor = RelPath::root();
        loop {
            let node = &self.nodes[replica];
            let after = (
                std::ops::Bound::Excluded(&cursor),
                std::ops::Bound::Unbounded,
            );
            let next = node.disk.tree().nodes.range::<RelPath, _>(after).next();
            let Some((path, file)) = next.map(|(path, file)| (path.clone(), *file)) else {
                return Ok(events);
            };
            cursor.clone_from(&path);
            if node.leaves_out(&path) {
                continue;
            }
            let record = node.replica().record(&path)?;
            let kind = match &record.local {
                None => Presences::New,
                Some(local) if local.fingerprint.inode == file.inode => Presences::Changed,
                Some(_) if recorded.contains(&file.inode) => Presences::Moved,
                Some(_) => Presences::Changed,
            };
            if kind != wanted {
                continue;
            }
            let racy = record.local.as_ref().is_some_and(|local| local.racy);
            let known = record.local.map(|local| local.fingerprint);
            if known == Some(file.fingerprint()) && !racy {
                continue;
            }
            let same_inode = known.is_some_and(|known| known.inode == file.inode);
            if !same_inode {
                appeared.insert((file.inode, file.birth), path.clone());
            }
            self.tick(replica)?;
            events += self.observe_file(replica, &path, &file)?;
        }
    }

    /// Observes what is at a path.
    fn observe_file(
        &mut self,
        replica: usize,
        path: &RelPath,
        file: &File,
    ) -> Result<usize, Failure> {
        let now = self.nodes[replica].now(self.seconds);
        let present = Present {
            payload: file.payload(),
            metadata: file.metadata(),
            fingerprint: file.fingerprint(),
            racy: false,
            changed: milliseconds(file.mtime),
            touched: milliseconds(file.ctime),
        };
        let seen = self.nodes[replica]
            .replica_mut()
            .observe(now, path, Found::Present(present))?;
        Ok(usize::from(seen != Observed::Nothing))
    }

    fn observe_absences(&mut self, replica: usize, appeared: &Appeared) -> Result<usize, Failure> {
        let node = &self.nodes[replica];
        let held = node
            .store()
            .records()
            .filter(|(_, record)| record.local.is_some());
        let mut gone: Vec<(RelPath, (u64, Timestamp))> = Vec::new();
        for (path, record) in held {
            let excluded = node.leaves_out(path);
            if let Some(local) = &record.local
                && (excluded || node.disk.node(path).is_none())
            {
                gone.push((
                    path.clone(),
                    (local.fingerprint.inode, local.fingerprint.birth),
                ));
            }
        }
        let mut events = 0;
        for (path, (inode, birth)) in gone.into_iter().rev() {
            self.tick(replica)?;
            let moved_to = appeared.get(&(inode, birth.seconds as u64)).cloned();
            let is_excluded = self.nodes[replica].leaves_out(&path);
            if moved_to.is_none() && !is_excluded && self.holds_missing(replica, &path)? {
                continue;
            }
            events += self.observe_absence(replica, &path, moved_to)?;
        }
        Ok(events)
    }

    fn observe_absence(
        &mut self,
        replica: usize,
        path: &RelPath,
        moved_to: Option<RelPath>,
    ) -> Result<usize, Failure> {
        let node = &mut self.nodes[replica];
        let now = node.now(self.seconds);
        let excluded = node.leaves_out(path);
        if !excluded && node.disk.node(path).is_some() {
            return Ok(0);
        }
        let found = if excluded {
            Found::OutOfScope
        } else {
            Found::Absent { moved_to }
        };
        let seen = node.replica_mut().observe(now, path, found)?;
        Ok(usize::from(seen != Observed::Nothing))
    }

    /// Observes one path again, where a plan found something else than it expected.
    pub(crate) fn observe_again(
        &mut self,
        replica: usize,
        path: &RelPath,
    ) -> Result<usize, Failure> {
        let node = &self.nodes[replica];
        if node.leaves_out(path) {
            return Ok(0);
        }
        if let Some(file) = node.disk.node(path).copied() {
            return self.observe_file(replica, path, &file);
        }
        if node
            .replica()
            .store()
            .record(path)?
            .is_some_and(|record| record.local.is_some())
            && !self.holds_missing(replica, path)?
        {
            return self.observe_absence(replica, path, None);
        }
        Ok(0)
    }
}

fn milliseconds(time: Timestamp) -> Hlc {
    let milliseconds = time.seconds.saturating_mul(1000) + i64::from(time.nanoseconds / 1_000_000);
    Hlc(u64::try_from(milliseconds).unwrap_or(0))
}
