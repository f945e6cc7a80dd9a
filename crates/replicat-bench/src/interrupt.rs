//! Stopping early without leaving mounts behind.
//!
//! Children run in process groups of their own. A signal kills the group of the moment and makes
//! every further step fail, so that the stack unwinds and each owner cleans up.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How much of a command's output is kept, in bytes.
const OUTPUT_LENGTH_MAX: u64 = 1 << 20;

/// Whether the user wants to stop.
#[derive(Clone)]
pub(crate) struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    raised: AtomicBool,
    /// The process group to kill on a signal.
    group: Mutex<Option<Pid>>,
}

/// What a command left.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Interrupt {
    /// Catches the signals that ask to stop.
    pub(crate) fn install() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).context("could not catch signals")?;
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    of_thread.raised.store(true, Ordering::SeqCst);
                    kill_group(*of_thread.group());
                }
            })
            .context("could not start a thread")?;
        Ok(Self { shared })
    }

    /// Fails once the user has asked to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.shared.raised.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Runs `command` to its end, or to the user's signal.
    pub(crate) fn run(&self, command: &mut Command) -> Result<Output> {
        self.check()?;
        let program = command.get_program().to_string_lossy().into_owned();
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?);
        let mut child = command
            .spawn()
            .with_context(|| format!("could not start {program}"))?;
        *self.shared.group() = Pid::from_raw(i32::try_from(child.id())?);
        if self.check().is_err() {
            // The signal came between the spawn and the note of its group.
            kill_group(*self.shared.group());
        }
        let status = child.wait();
        *self.shared.group() = None;
        self.check()?;
        Ok(Output {
            status: status.with_context(|| format!("could not wait for {program}"))?,
            stdout: read_back(&mut stdout)?,
            stderr: read_back(&mut stderr)?,
        })
    }

    /// Runs `command` and fails unless it succeeds. Returns what it printed.
    pub(crate) fn run_successfully(&self, command: &mut Command) -> Result<String> {
        let output = self.run(command)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let last = |text: &str| text.trim().lines().next_back().unwrap_or("").to_owned();
        bail!(
            "{command:?} failed ({}): {} {}",
            output.status,
            last(&output.stderr),
            last(&output.stdout)
        );
    }
}

impl Shared {
    fn group(&self) -> MutexGuard<'_, Option<Pid>> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill_group(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn read_back(file: &mut File) -> Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_LENGTH_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
