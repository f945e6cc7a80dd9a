//! Tables for people, JSON for programs.

use anyhow::Result;

use crate::compare::{Series, StateSize};
use crate::contender::Contender;
use crate::measure::Sample;
use crate::work::Work;

const MIB: f64 = 1_048_576.0;

/// Prints what everyone took for `work`.
pub(crate) fn print_table(work: Work, series: &[Series]) {
    let reference = series
        .iter()
        .find(|one| one.contender == Contender::Rsync)
        .and_then(|one| median(one, |sample| sample.wall_seconds));
    println!("\n{}", work.name());
    println!("  contender     runs  wall min  median     CPU  peak MiB  of rsync");
    for one in series {
        print_row(one, reference);
    }
    for state in series.iter().filter_map(|one| one.state) {
        print_state(state);
    }
}

fn print_row(series: &Series, reference: Option<f64>) {
    let name = series.contender.name();
    let runs = series.samples.len();
    let wall = |sample: &Sample| sample.wall_seconds;
    if let Some(wall_median) = median(series, wall) {
        let wall_min = series.samples.iter().map(wall).fold(wall_median, f64::min);
        let processor = median(series, |sample| sample.processor_seconds).unwrap_or_default();
        let memory = series.samples.iter().map(|sample| sample.memory_bytes_max);
        let memory_mib = memory.max().unwrap_or_default() as f64 / MIB;
        let ratio = reference.map_or_else(
            || "-".to_owned(),
            |reference| format!("{:.2}", wall_median / reference),
        );
        println!(
            "  {name:12} {runs:5} {wall_min:9.3} {wall_median:7.3} {processor:7.3} {memory_mib:9.1} {ratio:>9}"
        );
    }
    for failure in &series.failures {
        println!("  {name:12} FAILED: {failure}");
    }
}

fn print_state(state: StateSize) {
    let files = state.files.max(1) as f64;
    println!(
        "  state of replicat in the target: {:.0} bytes a file, whose paths take {:.0}",
        state.bytes as f64 / files,
        state.path_bytes as f64 / files
    );
}

/// The median over the runs that converged; the lower one of two.
fn median(series: &Series, value: impl Fn(&Sample) -> f64) -> Option<f64> {
    let mut values: Vec<_> = series.samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Prints all samples.
pub(crate) fn print_json(series: &[Series]) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(series)?);
    Ok(())
}
