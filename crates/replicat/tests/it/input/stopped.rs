//! Ctrl-C at any moment: every file is whole, and the next run carries on.

use std::time::Instant;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::crash::sample;
use crate::world::{Kind, Outcome, World, command, walk};

/// How many files the first sync has.
const FILES: usize = 2000;
/// At how many moments it is stopped, over two roots.
const MOMENTS: usize = 3;

/// How a sync ends that gets a signal when it has printed so many lines.
fn interrupted(world: &World, signal: Signal, lines: usize) -> Outcome {
    use std::io::{BufRead, BufReader, Read};
    let mut sync = command();
    sync.args(["sync", "--json"]).args(world.roots());
    sync.stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = sync.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    for _ in 0..lines {
        output.read_line(&mut printed).unwrap();
    }
    signal::kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let asked = Instant::now();
    output.read_to_string(&mut printed).unwrap();
    let mut rest = child.wait_with_output().unwrap();
    eprintln!(
        "{signal} after {lines} lines: over in {:?}",
        asked.elapsed()
    );
    rest.stdout = printed.into_bytes();
    Outcome::of(&rest)
}

#[test]
fn ctrl_c_in_a_first_sync() {
    for count in [2, 3] {
        for (number, moment) in sample(FILES * (count - 1), MOMENTS / (count - 1))
            .into_iter()
            .enumerate()
        {
            let world = World::new(count);
            for number in 0..FILES {
                world.write(
                    0,
                    format!("{:02}/{number}", number / 50),
                    number.to_string(),
                );
            }
            let signal = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP][number % 3];
            let outcome = interrupted(&world, signal, moment + 1);
            let summary = outcome.summary();
            if summary["outcome"] == "cancelled" {
                assert_eq!(outcome.code, Some(3), "{summary:#}");
                assert!(!outcome.in_sync());
            } else {
                assert_eq!(outcome.code, Some(0), "{summary:#}");
            }
            for root in 1..count {
                for (path, node) in walk(world.root(root)) {
                    if let Kind::File(held) = node.kind {
                        let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
                        assert_eq!(held, name, "a file that is not whole");
                    }
                }
            }
            world.settle();
            assert_eq!(walk(world.root(count - 1)).len(), 1 + FILES + FILES / 50);
        }
    }
}
