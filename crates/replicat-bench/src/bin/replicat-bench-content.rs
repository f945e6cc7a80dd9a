//! How fast contents are cut, named and compared, in memory and from a file.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use replicat_content::chunker::Workers;
use replicat_content::delta::{SourceId, plan};
use replicat_content::source::ReaderSource;
use replicat_content::{Chunker, Content, Source, Span};

/// Prints how fast contents are cut and named, in GB/s: the best of several runs.
#[derive(Parser)]
#[command(name = "replicat-bench-content")]
struct Arguments {
    /// How many times to do each work.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// How many MiB to work on in memory.
    #[arg(long, default_value_t = 256)]
    size_mib: usize,
    /// Also read this file, which had better be in the page cache.
    #[arg(long)]
    file: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut bytes = vec![0; arguments.size_mib << 20];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    let size = bytes.len() as u64;
    let report = |name: &str, size: u64, work: &mut dyn FnMut() -> Result<()>| {
        report_best(name, size, arguments.runs, work)
    };

    report("in memory, one-shot", size, &mut || {
        black_box(Content::of_bytes(&bytes));
        Ok(())
    })?;
    for workers in [Workers::Calling, Workers::Pair] {
        let mut chunker = Chunker::new(workers);
        report(&format!("stream, {workers:?}"), size, &mut || {
            black_box(chunker.read(size, ReaderSource(bytes.as_slice()))?);
            Ok(())
        })?;
    }
    let mut chunker = Chunker::new(Workers::Calling);
    report("stream, contents of 8 KiB", size, &mut || {
        for small in bytes.chunks(8 << 10) {
            black_box(chunker.read(small.len() as u64, ReaderSource(small))?);
        }
        Ok(())
    })?;
    report("holes", size, &mut || {
        black_box(chunker.read(size, Hole(size))?);
        Ok(())
    })?;
    report_delta(&bytes, &report)?;
    if let Some(path) = &arguments.file {
        report_file(path, &report)?;
    }
    Ok(())
}

type Report<'a> = dyn Fn(&str, u64, &mut dyn FnMut() -> Result<()>) -> Result<()> + 'a;

fn report_best(
    name: &str,
    size: u64,
    runs: u32,
    work: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut seconds_min = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        seconds_min = seconds_min.min(start.elapsed().as_secs_f64());
    }
    println!("{name:32} {:8.2} GB/s", size as f64 / seconds_min / 1e9);
    Ok(())
}

/// The plan for a content of which a few bytes changed.
fn report_delta(bytes: &[u8], report: &Report<'_>) -> Result<()> {
    let mut changed = bytes.to_vec();
    changed[bytes.len() / 2] ^= 1;
    let manifests = [bytes, &changed].map(|bytes| Content::of_bytes(bytes).manifest);
    if let [Some(old), Some(new)] = manifests {
        report("delta plan", bytes.len() as u64, &mut || {
            black_box(plan(&new, &[(&old, SourceId(0))]));
            Ok(())
        })?;
    }
    Ok(())
}

fn report_file(path: &PathBuf, report: &Report<'_>) -> Result<()> {
    let open = || File::open(path).with_context(|| format!("could not open {}", path.display()));
    let size = open()?.metadata()?.len();
    for workers in [Workers::Calling, Workers::Pair] {
        let mut chunker = Chunker::new(workers);
        report(&format!("file, {workers:?}"), size, &mut || {
            black_box(chunker.read(size, ReaderSource(open()?))?);
            Ok(())
        })?;
    }
    Ok(())
}

/// A content that is one hole.
struct Hole(u64);

impl Source for Hole {
    fn next_span(&mut self, _buffer: &mut [u8]) -> io::Result<Span> {
        Ok(match std::mem::take(&mut self.0) {
            0 => Span::End,
            length => Span::Zeros(length),
        })
    }
}
