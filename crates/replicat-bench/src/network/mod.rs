//! Nodes that keep directories in sync over TCP, beside the tools that people would use instead.
//!
//! Goals: real processes in a network namespace of their own, so that its loopback counts every byte on the wire; each contender
//! on a fresh filesystem; an outcome counts only if an independent walker finds all directories equal; who does not come to
//! an end in time is reported as such.
//! Non-goals: slow or lossy networks; several machines.

mod contender;
mod first_sync;
mod latency;
mod live;
mod namespace;
mod processes;
mod replicat;
mod report;
mod rsync;
mod syncthing;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::interrupt::Interrupt;
pub(crate) use first_sync::FirstSyncArguments;
pub(crate) use live::LiveArguments;
pub(crate) use processes::usage_of;

use contender::Contender;
use namespace::Namespace;

/// What both benchmarks of nodes need to know.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Contenders to run; all if none is named.
    #[arg(long = "contender", value_enum)]
    contenders: Vec<Contender>,
    /// The release binary of replicat.
    #[arg(long, default_value = "target/release/replicat")]
    replicat: PathBuf,
    /// Where the filesystem images are kept: in memory, with room for all trees twice.
    #[arg(long, default_value = "/dev/shm")]
    images: PathBuf,
    /// How long one contender may take for one work, in seconds.
    #[arg(long, default_value_t = 150)]
    bound: u64,
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// A benchmark of nodes about to run.
struct Bench<'a> {
    common: &'a Common,
    interrupt: Interrupt,
    namespace: Namespace,
}

impl<'a> Bench<'a> {
    /// Enters a network of its own. Nothing else may run in this process yet: threads stay where they are.
    fn prepare(common: &'a Common) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("fresh filesystems and networks can be made by root only; run this as root");
        }
        let namespace = Namespace::enter()?;
        Ok(Self {
            common,
            interrupt: Interrupt::install()?,
            namespace,
        })
    }

    /// Those of `suited` that were asked for and are there. Says who is missing.
    fn contenders(&self, suited: &[Contender]) -> Vec<Contender> {
        let wanted = |one: &&Contender| {
            self.common.contenders.is_empty() || self.common.contenders.contains(one)
        };
        let mut found = Vec::new();
        for contender in suited.iter().filter(wanted) {
            match contender.missing(&self.common.replicat) {
                None => found.push(*contender),
                Some(program) => {
                    eprintln!("MISSING: {program}; {} is left out", contender.name());
                }
            }
        }
        found
    }

    /// Has rsync, as an independent walker, look for any difference between directories.
    fn differences(&self, contender: Contender, directories: &[PathBuf]) -> Result<Vec<String>> {
        let mut differences = Vec::new();
        for other in &directories[1..] {
            let mut command = Command::new("rsync");
            command
                .args(contender.promise())
                .args(["--delete", "--itemize-changes"])
                .args(["--exclude=/.replicat/", "--exclude=/.stfolder/"])
                .arg(directories[0].join(""))
                .arg(other.join(""));
            let printed = self.interrupt.run_successfully(&mut command)?;
            // State that is kept within a root touches the root's time.
            let counts = |line: &&str| *line != ".d..t...... ./";
            differences.extend(printed.lines().filter(counts).map(ToOwned::to_owned));
        }
        Ok(differences)
    }
}

/// How the process is to end: badly if something failed.
fn exit_code(failed: bool) -> ExitCode {
    ExitCode::from(u8::from(failed))
}

/// Runs `replicat-bench live`.
///
/// # Errors
/// If the benchmark itself fails; what a contender fails at is reported.
pub(crate) fn live(arguments: &LiveArguments) -> Result<ExitCode> {
    let bench = Bench::prepare(&arguments.common)?;
    live::run(&bench, arguments).map(exit_code)
}

/// Runs `replicat-bench first-sync`.
///
/// # Errors
/// If the benchmark itself fails; what a contender fails at is reported.
pub(crate) fn first_sync(arguments: &FirstSyncArguments) -> Result<ExitCode> {
    let bench = Bench::prepare(&arguments.common)?;
    first_sync::run(&bench, arguments).map(exit_code)
}
