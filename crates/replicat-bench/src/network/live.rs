//! `replicat-bench live`: two nodes at rest and at work in a large tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use super::contender::{Contender, Places, Running, directory};
use super::latency::{Latencies, Pair};
use super::{Bench, Common, report};
use crate::ground::{Geometry, Ground};
use crate::tree::{LIVE_DIRECTORY, LIVE_FILES, Planter, Tree};

/// How often a contender is asked whether it has started.
const ASK: Duration = Duration::from_millis(100);
/// How long a contender that said it is done is left alone before it is called at rest.
const CALM: Duration = Duration::from_secs(3);
const GIB: u64 = 1 << 30;

/// How long a change takes to be visible at another node, in a large tree; and what nodes take at rest.
#[derive(Clone, Debug, Args)]
pub(crate) struct LiveArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many files the tree has, beside the directory that is renamed, which has a tenth of them.
    #[arg(long, default_value_t = LIVE_FILES)]
    files: u64,
    /// How many samples of each change are taken, if the time suffices.
    #[arg(long, default_value_t = 300)]
    samples: usize,
    /// How long nodes are watched at rest, in seconds.
    #[arg(long, default_value_t = 30)]
    rest: u64,
}

/// What a contender came to.
#[derive(Debug, Serialize)]
pub(crate) struct LiveResult {
    pub(crate) contender: Contender,
    pub(crate) files: u64,
    /// From the start of the processes, over equal trees, until they said that they are in sync.
    pub(crate) started_seconds: Option<f64>,
    pub(crate) latencies: Vec<Latencies>,
    pub(crate) rename: Option<Rename>,
    pub(crate) at_rest: Vec<AtRest>,
    pub(crate) failure: Option<String>,
}

/// The renaming of the large directory.
#[derive(Debug, Serialize)]
pub(crate) struct Rename {
    pub(crate) files: usize,
    pub(crate) seconds: f64,
    pub(crate) wire_bytes: u64,
}

/// What a process takes when nothing happens.
#[derive(Debug, Serialize)]
pub(crate) struct AtRest {
    pub(crate) process: String,
    pub(crate) seconds: f64,
    /// Of one processor.
    pub(crate) processor_percent: f64,
    pub(crate) memory_bytes: u64,
}

const SUITED: [Contender; 5] = [
    Contender::Replicat,
    Contender::LsyncdQuick,
    Contender::Lsyncd,
    Contender::SyncthingQuick,
    Contender::Syncthing,
];

/// Runs it; whether something failed.
pub(super) fn run(bench: &Bench<'_>, arguments: &LiveArguments) -> Result<bool> {
    let planter = Planter {
        interrupt: &bench.interrupt,
        scale: (arguments.files as f64 / LIVE_FILES as f64).min(1.0),
    };
    let geometry = Geometry {
        size: 8 * GIB,
        block_size: 4096,
        inodes: 800_000,
    };
    let images = &bench.common.images;
    // Both directories hold the same from the start: the first sync is another benchmark.
    let ground = Ground::prepare(&bench.interrupt, images, geometry, |root| {
        planter.plant(Tree::Live, &directory(root, 0))?;
        let mut copy = Command::new("cp");
        copy.arg("-a")
            .arg(directory(root, 0))
            .arg(directory(root, 1));
        bench.interrupt.run_successfully(&mut copy).map(drop)
    })?;
    let mut results = Vec::new();
    for contender in bench.contenders(&SUITED) {
        eprintln!("live: {}", contender.name());
        let mounted = ground.fresh()?;
        let mut result = LiveResult::of(contender);
        if let Err(error) = result.fill(bench, arguments, mounted.root()) {
            bench.interrupt.check()?;
            eprintln!("FAILED: {error:#}");
            result.failure = Some(format!("{error:#}"));
        }
        results.push(result);
    }
    match arguments.common.json {
        true => println!("{}", serde_json::to_string_pretty(&results)?),
        false => report::print_live(&results),
    }
    Ok(results.iter().any(|result| result.failure.is_some()))
}

impl LiveResult {
    fn of(contender: Contender) -> Self {
        Self {
            contender,
            files: 0,
            started_seconds: None,
            latencies: Vec::new(),
            rename: None,
            at_rest: Vec::new(),
            failure: None,
        }
    }

    fn fill(&mut self, bench: &Bench<'_>, arguments: &LiveArguments, root: &Path) -> Result<()> {
        let places = Places::on(root, 2, &bench.common.replicat)?;
        let tree = Listed::of(&places.directories[0])?;
        self.files = tree.files;
        let started = Instant::now();
        let deadline = || Instant::now() + Duration::from_secs(arguments.common.bound);
        let mut running = self.contender.start(&places)?;
        wait_until_done(bench, &mut running, self.files, deadline())?;
        self.started_seconds = Some(started.elapsed().as_secs_f64());
        std::thread::sleep(CALM);
        self.at_rest = at_rest(bench, &running, Duration::from_secs(arguments.rest))?;
        let pair = Pair {
            source: &places.directories[0],
            target: &places.directories[1],
            interrupt: &bench.interrupt,
            deadline: deadline(),
        };
        self.latencies = pair.measure(&tree.directories, arguments.samples)?;
        let pair = Pair {
            deadline: deadline(),
            ..pair
        };
        let before = bench.namespace.wire_bytes()?;
        let took = pair.rename(LIVE_DIRECTORY, "renamed", tree.in_large)?;
        self.rename = Some(Rename {
            files: tree.in_large,
            seconds: took.as_secs_f64(),
            wire_bytes: bench.namespace.wire_bytes()? - before,
        });
        wait_until_done(bench, &mut running, self.files, deadline())?;
        let differences = bench.differences(self.contender, &places.directories)?;
        if let Some(first) = differences.first() {
            bail!(
                "in the end {} differences, the first: {first}",
                differences.len()
            );
        }
        Ok(())
    }
}

fn wait_until_done(
    bench: &Bench<'_>,
    running: &mut Running,
    files: u64,
    deadline: Instant,
) -> Result<()> {
    while !running.says_done(files)? {
        bench.interrupt.check()?;
        if Instant::now() >= deadline {
            bail!("not in sync in {} s", bench.common.bound);
        }
        std::thread::sleep(ASK);
    }
    Ok(())
}

/// Watches processes while nothing happens.
fn at_rest(bench: &Bench<'_>, running: &Running, rest: Duration) -> Result<Vec<AtRest>> {
    let before = running.processes.usage_of_each();
    let started = Instant::now();
    while started.elapsed() < rest {
        bench.interrupt.check()?;
        std::thread::sleep(ASK);
    }
    let seconds = started.elapsed().as_secs_f64();
    let after = running.processes.usage_of_each();
    let pairs = before.into_iter().zip(after);
    Ok(pairs
        .map(|((process, before), (_, after))| {
            let took = after.processor_seconds - before.processor_seconds;
            AtRest {
                process,
                seconds,
                processor_percent: 100.0 * took / seconds.max(0.001),
                memory_bytes: after.memory_bytes,
            }
        })
        .collect())
}

/// What there is in a tree.
struct Listed {
    /// All directories but the large one, relative.
    directories: Vec<PathBuf>,
    files: u64,
    /// Files in the large directory.
    in_large: usize,
}

impl Listed {
    fn of(root: &Path) -> Result<Self> {
        let mut listed = Self {
            directories: vec![PathBuf::new()],
            files: 0,
            in_large: fs::read_dir(root.join(LIVE_DIRECTORY))
                .context("the tree has no large directory")?
                .count(),
        };
        let mut waiting = vec![root.to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let path = entry.path();
                if !entry.file_type()?.is_dir() {
                    listed.files += 1;
                    continue;
                }
                if entry.file_name() != LIVE_DIRECTORY {
                    listed.directories.push(path.strip_prefix(root)?.to_owned());
                }
                waiting.push(path);
            }
        }
        listed.directories.sort();
        Ok(listed)
    }
}
