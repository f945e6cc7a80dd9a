//! What one command takes: wall time up to the end of the flush, processor time of all its processes,
//! memory of the largest of them.
//!
//! The kernel sums up the children that a process has waited for, once and for all. Hence each
//! measurement is made by a process of its own: this program again, as `replicat-bench measure`.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use crate::interrupt::Interrupt;

/// What one run took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// From the start to the end of the flush.
    pub(crate) wall_seconds: f64,
    /// User and system time of all processes.
    pub(crate) processor_seconds: f64,
    /// Resident memory of the largest process at its peak, in bytes.
    pub(crate) memory_bytes_max: u64,
}

/// A command to measure.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

impl Invocation {
    /// Runs the command without measuring it, and fails unless it succeeds.
    pub(crate) fn run(&self, interrupt: &Interrupt) -> Result<String> {
        let (program, arguments) = split(&self.command)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.clone());
        interrupt.run_successfully(&mut command)
    }

    /// Runs the command and tells what it took, the flush of `filesystem` included.
    pub(crate) fn measure(&self, filesystem: &Path, interrupt: &Interrupt) -> Result<Sample> {
        let itself = env::current_exe().context("could not find this program")?;
        let mut command = Command::new(itself);
        command
            .arg("measure")
            .arg(filesystem)
            .arg("--")
            .args(&self.command)
            .envs(self.environment.clone());
        let printed = interrupt.run_successfully(&mut command)?;
        serde_json::from_str(&printed).context("could not read the measurement")
    }
}

fn split(command: &[OsString]) -> Result<(&OsString, &[OsString])> {
    command.split_first().context("there is no command to run")
}

/// Runs `command`, flushes `filesystem` and prints the [`Sample`] as JSON.
pub(crate) fn measure_here(filesystem: &Path, command: &[OsString]) -> Result<()> {
    let directory = File::open(filesystem)
        .with_context(|| format!("could not open {}", filesystem.display()))?;
    let (program, arguments) = split(command)?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null());
    rustix::fs::syncfs(&directory)?;
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("could not start {}", program.display()))?;
    rustix::fs::syncfs(&directory)?;
    let wall_seconds = start.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{} failed: {status}", program.display());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let sample = Sample {
        wall_seconds,
        processor_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
        memory_bytes_max: u64::try_from(usage.max_rss())? * 1024,
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
