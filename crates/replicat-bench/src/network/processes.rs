//! The processes of a contender: what they take while they run, and their end.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// What the kernel counts processor time in, a second. Fixed for all that programs are shown.
const TICKS: f64 = 100.0;

/// Processes that run beside each other. All, and whatever they started, are killed when this is dropped.
#[derive(Default)]
pub(crate) struct Processes {
    started: Vec<Started>,
}

struct Started {
    child: Child,
    name: String,
    /// What it had taken when it ended.
    ended: Option<Usage>,
}

/// What processes take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all, in seconds; of processes that have ended if their parents waited for them.
    pub(crate) processor_seconds: f64,
    /// Resident memory of the largest process, now, in bytes.
    pub(crate) memory_bytes: u64,
    /// The same at its peak.
    pub(crate) memory_bytes_max: u64,
}

impl Usage {
    fn add(&mut self, other: Self) {
        self.processor_seconds += other.processor_seconds;
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.memory_bytes_max = self.memory_bytes_max.max(other.memory_bytes_max);
    }
}

impl Processes {
    /// Starts a command, whose words go to `log`.
    pub(crate) fn start(&mut self, name: &str, mut command: Command, log: &Path) -> Result<()> {
        let log = fs::File::options().create(true).append(true).open(log)?;
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        self.started.push(Started {
            child,
            name: name.to_owned(),
            ended: None,
        });
        Ok(())
    }

    /// The names of those that have ended by themselves, and whether they succeeded. What they took is kept.
    pub(crate) fn ended(&mut self) -> Result<Vec<(String, bool)>> {
        let mut ended = Vec::new();
        for started in &mut self.started {
            // What a process took must be read before it is waited for.
            if started.ended.is_none() && is_dead(started.child.id()) {
                started.ended = Some(usage_of(started.child.id()).unwrap_or_default());
            }
            if let Some(status) = started.child.try_wait()? {
                ended.push((started.name.clone(), status.success()));
            }
        }
        Ok(ended)
    }

    /// What each took so far, by name.
    pub(crate) fn usage_of_each(&self) -> Vec<(String, Usage)> {
        let usage = |started: &Started| {
            let of_family = || usage_of_family(started.child.id());
            (
                started.name.clone(),
                started.ended.unwrap_or_else(of_family),
            )
        };
        self.started.iter().map(usage).collect()
    }

    /// What all took so far.
    pub(crate) fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        for (_, usage) in self.usage_of_each() {
            sum.add(usage);
        }
        sum
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for started in &mut self.started {
            for member in family(started.child.id()) {
                if let Some(member) = i32::try_from(member).ok().and_then(Pid::from_raw) {
                    // It may have ended by itself.
                    let _ = kill_process(member, Signal::KILL);
                }
            }
            let _ = started.child.wait();
        }
    }
}

/// Whether a child has ended and waits to be asked how.
fn is_dead(id: u32) -> bool {
    fields(id).is_none_or(|fields| fields.first().is_some_and(|state| state == "Z"))
}

/// The fields of `/proc/ID/stat` behind the name: the state is the first.
fn fields(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    Some(behind.split_whitespace().map(ToOwned::to_owned).collect())
}

/// What a process, and its children that it waited for, took.
pub(crate) fn usage_of(id: u32) -> Option<Usage> {
    let fields = fields(id)?;
    // utime, stime, cutime and cstime.
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|field| field.parse::<f64>().ok());
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let size = |name: &str| {
        let row = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = row.and_then(|row| row.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Some(Usage {
        processor_seconds: ticks.sum::<f64>() / TICKS,
        memory_bytes: size("VmRSS:"),
        memory_bytes_max: size("VmHWM:"),
    })
}

/// A process and all living ones that it, or one of them, started. Not by process group: some leave theirs.
fn family(id: u32) -> Vec<u32> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: u32| fields(id)?.get(1)?.parse::<u32>().ok();
    let pairs: Vec<(u32, u32)> = ids.filter_map(|id| Some((id, parent(id)?))).collect();
    let mut family = vec![id];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        let children = pairs.iter().filter(|(_, above)| *above == parent);
        family.extend(children.map(|(child, _)| *child));
        at += 1;
    }
    family
}

/// What the living processes of a family, and those that they waited for, took.
fn usage_of_family(id: u32) -> Usage {
    let mut sum = Usage::default();
    for member in family(id) {
        sum.add(usage_of(member).unwrap_or_default());
    }
    sum
}
