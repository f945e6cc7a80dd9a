//! The root directory itself as an entry: it cannot be replaced or renamed, only described.

use std::os::fd::AsFd;

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use rustix::io::Errno;

use crate::apply::calls::Calls;
use crate::error::FsError;
use crate::metadata::{self, Access, Target, Unapplied};
use crate::observe::{self, Observation, Tracking};
use crate::root::{Root, stat_descriptor};
use crate::xattrs;

impl Root {
    /// Observes the root directory.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn observe_itself(&self, tracking: Tracking) -> Result<Observation, FsError> {
        let failed = |source: Errno| self.error("look at", &RelPath::root(), source);
        let from = observe::now();
        let stat = stat_descriptor(self.descriptor()).map_err(failed)?;
        let attributes = match tracking.xattrs {
            true => xattrs::read(self.descriptor().as_fd(), tracking).map_err(failed)?,
            false => None,
        };
        let fingerprint = observe::fingerprint(&stat);
        Ok(Observation {
            kind: observe::kind(&stat),
            fingerprint,
            racy: observe::is_racy(&fingerprint, from, observe::now()),
            metadata: observe::metadata(&stat, tracking, attributes),
            target: None,
            link: None,
        })
    }

    /// Describes the root directory anew. Returns what could not be set.
    ///
    /// # Errors
    /// If the system fails.
    pub fn describe_itself(
        &self,
        calls: &Calls,
        metadata: &Metadata,
    ) -> Result<Vec<Unapplied>, FsError> {
        let failed = |source: Errno| self.error("set the metadata of", &RelPath::root(), source);
        let stat = stat_descriptor(self.descriptor()).map_err(failed)?;
        let target = Target::new(self.descriptor(), stat, Access::Open);
        metadata::apply(calls, &target, metadata).map_err(failed)
    }
}
