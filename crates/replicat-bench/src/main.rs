//! `replicat-bench`: replicat beside the tools its users know, on the same ground.
//!
//! Goals: figures that anyone can repeat with one command; every run on a fresh filesystem, flushed
//! before the clock stops, and counted only if an independent walker finds both sides equal.
//! Non-goals: slow networks, several machines.
//!
//! Between directories of one host, `just bench --work first-sync-50k` and so on. Between nodes, as root, for as long as the figures
//! are to mean something with nothing else running:
//!
//! ```text
//! just bench live                          a change until it is visible elsewhere: p50, p95, p99; nodes at rest; a large renaming
//! just bench live --contender replicat --files 10000 --samples 50
//! just bench first-sync                    50,000 files and 2 x 1 GiB, among two and four nodes
//! just bench first-sync --tree 50k --nodes 2 --bound 100 --json
//! just bench manager                       a manager of 200 simulated nodes: processor, memory, answers
//! ```

mod compare;
mod contender;
mod ground;
mod interrupt;
mod manager;
mod measure;
mod network;
mod report;
mod tree;
mod work;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};

use crate::compare::Comparison;
use crate::contender::{Contender, Tools};
use crate::interrupt::Interrupt;
use crate::work::Work;

/// Compares replicat with rsync, cp, tar, Unison and find. Needs root, to mount fresh filesystems.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Works to do; all but `million` if none is named.
    #[arg(long = "work", value_enum)]
    works: Vec<Work>,
    /// Contenders to run; all that suit the work if none is named.
    #[arg(long = "contender", value_enum)]
    contenders: Vec<Contender>,
    /// How many times each contender does each work, taking turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The release binary of replicat.
    #[arg(long, default_value = "target/release/replicat")]
    replicat: PathBuf,
    /// Where the filesystem images are kept: in memory, with room for twice the largest tree and its copy.
    #[arg(long, default_value = "/dev/shm")]
    images: PathBuf,
    /// Shrinks the trees: 0.01 makes one file of a hundred, and files of a hundredth.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Drops the page cache of the whole machine before each run.
    #[arg(long)]
    cold: bool,
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Measures how fast changes travel between two nodes, and what nodes take at rest.
    Live(network::LiveArguments),
    /// Measures the first sync between nodes.
    FirstSync(network::FirstSyncArguments),
    /// Measures a manager with many simulated nodes.
    Manager(manager::ManagerArguments),
    /// Runs one command and prints what it took; used by the benchmark itself.
    #[command(hide = true)]
    Measure {
        /// The filesystem to flush before the clock stops.
        filesystem: PathBuf,
        /// The command and its arguments.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.command {
        None => compare_all(&arguments),
        Some(Command::Live(live)) => network::live(live),
        Some(Command::FirstSync(first_sync)) => network::first_sync(first_sync),
        Some(Command::Manager(arguments)) => manager::run(arguments),
        Some(Command::Measure {
            filesystem,
            command,
        }) => {
            measure::measure_here(filesystem, command)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compare_all(arguments: &Arguments) -> Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("fresh filesystems can be mounted by root only; run this as root");
    }
    if !(arguments.scale > 0.0 && arguments.scale <= 1.0) {
        bail!("--scale must be over 0 and at most 1");
    }
    let interrupt = Interrupt::install()?;
    let tools = Tools::find(&arguments.replicat);
    for missing in tools.missing() {
        eprintln!("MISSING: {missing}; it is left out");
    }
    let comparison = Comparison {
        interrupt: &interrupt,
        tools: &tools,
        contenders: contenders_of(arguments),
        runs: arguments.runs,
        images: &arguments.images,
        scale: arguments.scale,
        cache: if arguments.cold {
            compare::Cache::Cold
        } else {
            compare::Cache::Warm
        },
    };
    let mut all = Vec::new();
    for work in works_of(arguments) {
        let series = comparison.run(work)?;
        if !arguments.json {
            report::print_table(work, &series);
        }
        all.extend(series);
    }
    if arguments.json {
        report::print_json(&all)?;
    }
    let failed = all.iter().any(|series| !series.failures.is_empty());
    Ok(ExitCode::from(u8::from(failed)))
}

fn works_of(arguments: &Arguments) -> Vec<Work> {
    if !arguments.works.is_empty() {
        return arguments.works.clone();
    }
    let all = Work::value_variants().iter().copied();
    all.filter(|work| *work != Work::Million).collect()
}

fn contenders_of(arguments: &Arguments) -> Vec<Contender> {
    if arguments.contenders.is_empty() {
        Contender::value_variants().to_vec()
    } else {
        arguments.contenders.clone()
    }
}
