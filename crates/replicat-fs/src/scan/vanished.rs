//! What is known and is not there any more, or not in scope: told for all that lies below as well.

use replicat_core::path::RelPath;

use super::directory::{Here, Worker};
use super::{ScanError, ScanItem};
use crate::filter::DirectoryFilter;

/// Why a known path is not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// It is gone.
    Missing,
    /// The filter leaves it out.
    OutOfScope,
}

/// A step of the walk over the records: children are told before their parents.
enum Step {
    /// Look at the children, then tell.
    Enter(RelPath, DirectoryFilter, Departure),
    /// Tell.
    Tell(RelPath, Departure),
}

impl Worker<'_, '_> {
    /// Tells that `path` in the directory `here` departed, and all that is known below it.
    pub(super) fn depart(
        &mut self,
        here: &Here<'_>,
        path: &RelPath,
        departure: Departure,
    ) -> Result<(), ScanError> {
        self.depart_below(here, path, departure)?;
        self.tell_departure(path.clone(), departure)
    }

    /// Tells that all that is known below `path`, in the directory `here`, departed.
    pub(super) fn depart_below(
        &mut self,
        here: &Here<'_>,
        path: &RelPath,
        departure: Departure,
    ) -> Result<(), ScanError> {
        let filter = here.filter.below(path.clone());
        let mut steps = Vec::new();
        self.enter(path, &filter, departure, &mut steps)?;
        while let Some(step) = steps.pop() {
            match step {
                Step::Tell(path, departure) => self.tell_departure(path, departure)?,
                Step::Enter(path, filter, departure) => {
                    steps.push(Step::Tell(path.clone(), departure));
                    self.enter(&path, &filter, departure, &mut steps)?;
                }
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        directory: &RelPath,
        filter: &DirectoryFilter,
        departure: Departure,
        steps: &mut Vec<Step>,
    ) -> Result<(), ScanError> {
        for (name, record) in self.progress.scan.baseline.children(directory)? {
            if record.local.is_none() {
                continue;
            }
            self.report.known += 1;
            // What is gone and would be out of scope was not deleted by anyone that this replica speaks for.
            let is_excluded = filter.excludes(&name, super::directory::was_directory(&record));
            let departure = if is_excluded {
                Departure::OutOfScope
            } else {
                departure
            };
            if let Ok(path) = directory.join(&name) {
                steps.push(Step::Enter(path.clone(), filter.below(path), departure));
            }
        }
        Ok(())
    }

    fn tell_departure(&mut self, path: RelPath, departure: Departure) -> Result<(), ScanError> {
        match departure {
            Departure::Missing => {
                self.report.missing += 1;
                self.tell(ScanItem::Missing { path })
            }
            Departure::OutOfScope => {
                self.report.out_of_scope += 1;
                self.tell(ScanItem::OutOfScope { path })
            }
        }
    }
}
