//! Running the contenders in turn, each run on fresh ground, each outcome checked.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::contender::{Contender, Sides, Tools};
use crate::ground::{Ground, Mounted};
use crate::interrupt::Interrupt;
use crate::measure::Sample;
use crate::tree::Planter;
use crate::work::{Change, Work};

/// Where replicat keeps its state in a root.
const STATE_DIRECTORY: &str = ".replicat";

/// What the page cache holds when a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// All of the trees.
    Warm,
    /// Nothing.
    Cold,
}

/// How the works are to be done.
pub(crate) struct Comparison<'a> {
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) tools: &'a Tools,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) runs: u32,
    pub(crate) images: &'a Path,
    pub(crate) scale: f64,
    pub(crate) cache: Cache,
}

/// What one contender took for one work.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) work: Work,
    pub(crate) contender: Contender,
    /// The runs that converged, in order.
    pub(crate) samples: Vec<Sample>,
    /// Why the others do not count.
    pub(crate) failures: Vec<String>,
    /// What replicat keeps in the target after the last run.
    pub(crate) state: Option<StateSize>,
}

/// How much replicat keeps beside the files of one root.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct StateSize {
    /// Allocated for it, in bytes; staged and trashed files excluded.
    pub(crate) bytes: u64,
    /// Regular files in the root.
    pub(crate) files: u64,
    /// The lengths of their relative paths, in bytes, summed up.
    pub(crate) path_bytes: u64,
}

impl Comparison<'_> {
    /// Has `work` done by all who can, taking turns.
    pub(crate) fn run(&self, work: Work) -> Result<Vec<Series>> {
        let mut series: Vec<_> = work
            .contenders()
            .iter()
            .filter(|one| self.contenders.contains(one) && self.tools.has(**one))
            .map(|contender| Series {
                work,
                contender: *contender,
                samples: Vec::new(),
                failures: Vec::new(),
                state: None,
            })
            .collect();
        let planter = self.planter();
        let ground = Ground::prepare(self.interrupt, self.images, work.geometry(), |root| {
            planter.plant(work.tree(), &Sides::on(root).source)
        })?;
        for run in 1..=self.runs {
            for one in &mut series {
                eprintln!("{}: {}, run {run}", work.name(), one.contender.name());
                self.run_once(&ground, one)?;
            }
        }
        Ok(series)
    }

    /// One run. A contender's failure is noted; only what the benchmark itself fails at is an error.
    fn run_once(&self, ground: &Ground<'_>, series: &mut Series) -> Result<()> {
        let mounted = ground.fresh()?;
        match self.measure(&mounted, series.work, series.contender) {
            Ok(sample) => series.samples.push(sample),
            Err(error) => {
                self.interrupt.check()?;
                eprintln!("FAILED: {error:#}");
                series.failures.push(format!("{error:#}"));
            }
        }
        if series.contender == Contender::Replicat {
            series.state = state_size(&Sides::on(mounted.root()).target).ok();
        }
        Ok(())
    }

    fn measure(&self, mounted: &Mounted, work: Work, contender: Contender) -> Result<Sample> {
        let sides = Sides::on(mounted.root());
        let change = work.change();
        if change != Change::FirstSync {
            self.sync_first(contender, &sides)?;
            change.make(&sides.source)?;
        }
        self.set_cache(mounted.root())?;
        let invocation = self.tools.invocation(contender, &sides);
        let sample = invocation.measure(mounted.root(), self.interrupt)?;
        self.check_equal(contender, &sides)?;
        if contender == Contender::Replicat {
            self.check_confirmed(&sides)?;
        }
        Ok(sample)
    }

    /// What precedes the clock. A contender that cannot sync is given what rsync made.
    fn sync_first(&self, contender: Contender, sides: &Sides) -> Result<()> {
        let by = match contender {
            Contender::Find => Contender::Rsync,
            other => other,
        };
        let invocation = self.tools.invocation(by, sides);
        invocation.run(self.interrupt).map(drop)
    }

    fn set_cache(&self, root: &Path) -> Result<()> {
        match self.cache {
            Cache::Warm => self.planter().warm(root).map(drop),
            Cache::Cold => {
                self.interrupt.run_successfully(&mut Command::new("sync"))?;
                fs::write("/proc/sys/vm/drop_caches", "3").context("could not drop caches")
            }
        }
    }

    fn planter(&self) -> Planter<'_> {
        Planter {
            interrupt: self.interrupt,
            scale: self.scale,
        }
    }

    /// Has rsync, as an independent walker, look for any difference in what was promised.
    fn check_equal(&self, contender: Contender, sides: &Sides) -> Result<()> {
        let Some(promise) = contender.promise() else {
            return Ok(());
        };
        let mut command = Command::new("rsync");
        command
            .args(promise)
            .args(["--delete", "--itemize-changes"])
            .arg(format!("--exclude=/{STATE_DIRECTORY}/"))
            .arg(sides.source.join(""))
            .arg(sides.target.join(""));
        let printed = self.interrupt.run_successfully(&mut command)?;
        let tolerated = contender.tolerated();
        let mut differences = printed.lines().filter(|line| Some(*line) != tolerated);
        if let Some(first) = differences.next() {
            let others = differences.count();
            bail!("did not converge: {first} and {others} more differences");
        }
        Ok(())
    }

    /// A second pass of replicat must find nothing to do and say so.
    fn check_confirmed(&self, sides: &Sides) -> Result<()> {
        let printed = self.tools.confirmation(sides).run(self.interrupt)?;
        let last = printed.lines().next_back().unwrap_or_default();
        let report: Value = serde_json::from_str(last)
            .with_context(|| format!("the last line of the report is not JSON: {last}"))?;
        if report.get("in_sync") != Some(&Value::Bool(true)) {
            bail!("the second pass does not say that all is in sync: {last}");
        }
        Ok(())
    }
}

/// Sums up what replicat keeps under `root`, and the files it keeps it for.
fn state_size(root: &Path) -> Result<StateSize> {
    let mut size = StateSize {
        bytes: 0,
        files: 0,
        path_bytes: 0,
    };
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, metadata) = (entry.path(), entry.metadata()?);
            let relative = path.strip_prefix(root)?;
            let transient = ["staging", "trash"].map(|name| Path::new(STATE_DIRECTORY).join(name));
            if metadata.is_dir() {
                if !transient.iter().any(|directory| relative == directory) {
                    directories.push(path);
                }
            } else if relative.starts_with(STATE_DIRECTORY) {
                size.bytes += metadata.blocks() * 512;
            } else if metadata.is_file() {
                size.files += 1;
                size.path_bytes += relative.as_os_str().len() as u64;
            }
        }
    }
    Ok(size)
}
