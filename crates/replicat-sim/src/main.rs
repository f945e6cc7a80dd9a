//! The command: `replicat-sim run` and `replicat-sim replay`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use replicat_sim::check::{run, trace};
use replicat_sim::generate::{Shape, history};
use replicat_sim::minimise::minimise;
use replicat_sim::op::History;

// A third of the time of a history went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs seeded random histories of replicas and checks them against an oracle.
#[derive(Debug, Parser)]
struct Command {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run many histories.
    Run(Run),
    /// Run the history of one seed.
    Replay(Replay),
}

#[derive(Debug, Args)]
struct Run {
    /// How many histories.
    #[arg(long, default_value_t = 200_000)]
    histories: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads; 0: one per core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// The most replicas at the start of a history.
    #[arg(long, default_value_t = 5)]
    replicas: u8,
    /// Stop after so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Go on after failures, up to so many.
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Only say which seeds fail, without cutting their histories down.
    #[arg(long)]
    brief: bool,
}

#[derive(Debug, Args)]
struct Replay {
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// The most replicas, as it was when the seed was found.
    #[arg(long, default_value_t = 5)]
    replicas: u8,
    /// Print the whole history and the state of all replicas.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    match Command::parse().task {
        Task::Run(task) => run_many(&task),
        Task::Replay(task) => replay(&task),
    }
}

fn shape(replicas: u8) -> Shape {
    Shape {
        replicas_max: replicas,
        ..Shape::default()
    }
}

fn run_many(task: &Run) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if task.threads == 0 {
        cores
    } else {
        task.threads
    };
    let begun = Instant::now();
    let deadline = task
        .minutes
        .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let next = AtomicU64::new(0);
    let finished = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failures: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let late = deadline
                .is_some_and(|deadline| number.is_multiple_of(64) && begun.elapsed() > deadline);
            if number >= task.histories || late {
                stop.store(true, Ordering::Relaxed);
                break;
            }
            let seed = task.seed + number;
            if let Err(what) = run(&history(seed, shape(task.replicas)))
                && let Ok(mut failures) = failures.lock()
            {
                if task.brief {
                    // At once, since the rest may take hours.
                    println!("FAILED: seed {seed}: {what}");
                }
                failures.push((seed, what));
                stop.fetch_or(failures.len() >= task.failures, Ordering::Relaxed);
            }
            let done = finished.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(1_000_000) {
                report_speed(done, begun.elapsed(), threads);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    report_speed(finished.load(Ordering::Relaxed), begun.elapsed(), threads);
    let failures = failures.into_inner().unwrap_or_default();
    for (seed, what) in failures.iter().filter(|_| !task.brief) {
        report_failure(*seed, what, task.replicas);
    }
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn report_speed(done: u64, elapsed: Duration, threads: usize) {
    let minutes = elapsed.as_secs_f64() / 60.0;
    let per_minute = done as f64 / minutes.max(1e-9);
    println!(
        "histories: {done} in {:.1} s, {per_minute:.0} a minute, {:.0} a minute and thread",
        elapsed.as_secs_f64(),
        per_minute / threads as f64
    );
}

fn report_failure(seed: u64, what: &str, replicas: u8) {
    println!("FAILED: seed {seed}: {what}");
    let smallest = minimise(&history(seed, shape(replicas)));
    println!(
        "at its smallest: {}",
        run(&smallest).err().unwrap_or_default()
    );
    print_history(&smallest);
}

fn print_history(history: &History) {
    println!(
        "History {{ replicas: {}, salt: {}, operations: vec![",
        history.replicas, history.salt
    );
    for op in &history.operations {
        println!("    {op:?},");
    }
    println!("] }}");
}

fn replay(task: &Replay) -> ExitCode {
    let history = history(task.seed, shape(task.replicas));
    let Err(what) = run(&history) else {
        println!("seed {} passes", task.seed);
        if task.verbose {
            print_history(&history);
        }
        return ExitCode::SUCCESS;
    };
    if task.verbose {
        print_history(&history);
        trace(&minimise(&history));
    }
    report_failure(task.seed, &what, task.replicas);
    ExitCode::FAILURE
}
