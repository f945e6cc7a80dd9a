//! `replicat-bench first-sync`: one directory is full, and the others are empty.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::contender::{Contender, Places, directory};
use super::{Bench, Common, report};
use crate::ground::{Geometry, Ground};
use crate::tree::{Planter, Tree};

/// How often a contender is asked whether it is done, and looked at for its memory.
const ASK: Duration = Duration::from_millis(50);
const GIB: u64 = 1 << 30;

/// First sync over the network.
#[derive(Clone, Debug, Args)]
pub(crate) struct FirstSyncArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// What is synced; both if none is named.
    #[arg(long = "tree", value_enum)]
    trees: Vec<Load>,
    /// Among how many nodes; two, and four, if none is named.
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=9))]
    nodes: Vec<u8>,
    /// How many times each contender does each work.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Shrinks the trees: 0.01 makes one file of a hundred, and files of a hundredth.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// What is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum Load {
    /// 50,000 small files.
    #[value(name = "50k")]
    #[serde(rename = "50k")]
    Small,
    /// Two files of 1 GiB.
    #[value(name = "2x1g")]
    #[serde(rename = "2x1g")]
    Large,
}

impl Load {
    /// Its name in tables and on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn tree(self) -> Tree {
        match self {
            Self::Small => Tree::Small,
            Self::Large => Tree::TwoLarge,
        }
    }

    fn geometry(self, nodes: u64) -> Geometry {
        let (of_node, inodes) = match self {
            Self::Small => (2 * GIB, 80_000),
            Self::Large => (3 * GIB, 1000),
        };
        Geometry {
            size: GIB + of_node * nodes,
            block_size: 4096,
            inodes: 100_000 + inodes * nodes,
        }
    }
}

/// What one run came to.
#[derive(Debug, Serialize)]
pub(crate) struct FirstSync {
    pub(crate) tree: Load,
    pub(crate) nodes: u8,
    pub(crate) contender: Contender,
    /// From the start of the processes until all said that they are in sync, and all was flushed; that all were equal was
    /// checked afterwards.
    pub(crate) wall_seconds: Option<f64>,
    /// Of all processes.
    pub(crate) processor_seconds: f64,
    /// Of the largest process, at its peak.
    pub(crate) memory_bytes_max: u64,
    /// On loopback, in all directions.
    pub(crate) wire_bytes: u64,
    pub(crate) failure: Option<String>,
}

const SUITED: [Contender; 3] = [
    Contender::Replicat,
    Contender::RsyncDaemon,
    Contender::Syncthing,
];

/// Runs it; whether something failed.
pub(super) fn run(bench: &Bench<'_>, arguments: &FirstSyncArguments) -> Result<bool> {
    if !(arguments.scale > 0.0 && arguments.scale <= 1.0) {
        bail!("--scale must be over 0 and at most 1");
    }
    let or_all = |trees: &[Load]| match trees {
        [] => Load::value_variants().to_vec(),
        named => named.to_vec(),
    };
    let nodes = match arguments.nodes.as_slice() {
        [] => vec![2, 4],
        named => named.to_vec(),
    };
    let mut results = Vec::new();
    for tree in or_all(&arguments.trees) {
        for nodes in &nodes {
            results.extend(run_all(bench, arguments, tree, *nodes)?);
        }
    }
    match arguments.common.json {
        true => println!("{}", serde_json::to_string_pretty(&results)?),
        false => report::print_first_sync(&results),
    }
    Ok(results.iter().any(|result| result.failure.is_some()))
}

fn run_all(
    bench: &Bench<'_>,
    arguments: &FirstSyncArguments,
    tree: Load,
    nodes: u8,
) -> Result<Vec<FirstSync>> {
    let planter = Planter {
        interrupt: &bench.interrupt,
        scale: arguments.scale,
    };
    let (images, geometry) = (&bench.common.images, tree.geometry(nodes.into()));
    let ground = Ground::prepare(&bench.interrupt, images, geometry, |root| {
        planter.plant(tree.tree(), &directory(root, 0))
    })?;
    let mut results = Vec::new();
    for _ in 0..arguments.runs {
        for contender in bench.contenders(&SUITED) {
            eprintln!(
                "first-sync of {}, {nodes} nodes: {}",
                tree.name(),
                contender.name()
            );
            let mounted = ground.fresh()?;
            let files = planter.warm(mounted.root())?;
            let mut result = FirstSync::of(tree, nodes, contender);
            if let Err(error) = result.fill(bench, mounted.root(), files) {
                bench.interrupt.check()?;
                eprintln!("FAILED: {error:#}");
                result.failure = Some(format!("{error:#}"));
            }
            results.push(result);
        }
    }
    Ok(results)
}

impl FirstSync {
    fn of(tree: Load, nodes: u8, contender: Contender) -> Self {
        Self {
            tree,
            nodes,
            contender,
            wall_seconds: None,
            processor_seconds: 0.0,
            memory_bytes_max: 0,
            wire_bytes: 0,
            failure: None,
        }
    }

    fn fill(&mut self, bench: &Bench<'_>, root: &Path, files: u64) -> Result<()> {
        let places = Places::on(root, self.nodes.into(), &bench.common.replicat)?;
        let filesystem = std::fs::File::open(root)?;
        rustix::fs::syncfs(&filesystem)?;
        let before = bench.namespace.wire_bytes()?;
        let started = Instant::now();
        let mut running = self.contender.start(&places)?;
        loop {
            let done = running.says_done(files)?;
            let usage = running.processes.usage();
            self.processor_seconds = usage.processor_seconds;
            self.memory_bytes_max = self.memory_bytes_max.max(usage.memory_bytes_max);
            self.wire_bytes = bench.namespace.wire_bytes()? - before;
            if done {
                break;
            }
            bench.interrupt.check()?;
            if started.elapsed() > Duration::from_secs(bench.common.bound) {
                bail!("did not converge in {} s", bench.common.bound);
            }
            std::thread::sleep(ASK);
        }
        rustix::fs::syncfs(&filesystem)?;
        let wall_seconds = started.elapsed().as_secs_f64();
        let differences = bench.differences(self.contender, &places.directories)?;
        if let Some(first) = differences.first() {
            let count = differences.len();
            bail!(
                "said after {wall_seconds:.1} s to be in sync with {count} differences, the first: {first}"
            );
        }
        self.wall_seconds = Some(wall_seconds);
        Ok(())
    }
}
