//! Tables for people.

use super::contender::Contender;
use super::first_sync::FirstSync;
use super::live::LiveResult;

const MIB: f64 = 1_048_576.0;

/// Prints what all came to in a large tree.
pub(super) fn print_live(results: &[LiveResult]) {
    println!("\nfrom a change to its being visible at the other node, in milliseconds");
    println!("  contender     change  samples      p50      p95      p99      max");
    for result in results {
        for latencies in &result.latencies {
            let at = |hundredths| {
                let value = latencies.percentile(hundredths);
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
            };
            println!(
                "  {:12}  {:6} {:8} {:>8} {:>8} {:>8} {:>8}",
                result.contender.name(),
                latencies.change.name(),
                latencies.samples_ms.len(),
                at(50),
                at(95),
                at(99),
                at(100)
            );
        }
    }
    for result in results {
        print_live_rest(result);
    }
}

fn print_live_rest(result: &LiveResult) {
    let name = result.contender.name();
    println!("\n{name}, {} files", result.files);
    if let Some(seconds) = result.started_seconds {
        println!("  in sync {seconds:.1} s after the start over equal trees");
    }
    if let Some(rename) = &result.rename {
        println!(
            "  directory of {} files renamed: {:.0} ms, {:.2} MiB on the wire",
            rename.files,
            rename.seconds * 1000.0,
            rename.wire_bytes as f64 / MIB
        );
    }
    for rest in &result.at_rest {
        println!(
            "  {} at rest for {:.0} s: {:.2} % of a processor, {:.1} MiB resident",
            rest.process,
            rest.seconds,
            rest.processor_percent,
            rest.memory_bytes as f64 / MIB
        );
    }
    if let Some(failure) = &result.failure {
        println!("  FAILED: {failure}");
    }
}

/// Prints what first syncs took.
pub(super) fn print_first_sync(results: &[FirstSync]) {
    println!("\n  tree  nodes  contender       wall     CPU  peak MiB  wire MiB  of rsync");
    for result in results {
        let reference = results.iter().find(|other| {
            other.contender == Contender::RsyncDaemon
                && (other.tree, other.nodes) == (result.tree, result.nodes)
        });
        let reference = reference.and_then(|reference| reference.wall_seconds);
        let ratio = result.wall_seconds.zip(reference);
        println!(
            "  {:5} {:5}  {:12} {:>7} {:7.2} {:9.1} {:9.1} {:>9}",
            result.tree.name(),
            result.nodes,
            result.contender.name(),
            result
                .wall_seconds
                .map_or_else(|| "-".to_owned(), |wall| format!("{wall:.2}")),
            result.processor_seconds,
            result.memory_bytes_max as f64 / MIB,
            result.wire_bytes as f64 / MIB,
            ratio.map_or_else(|| "-".to_owned(), |(wall, of)| format!("{:.2}", wall / of)),
        );
        if let Some(failure) = &result.failure {
            println!("        FAILED: {failure}");
        }
    }
}
