//! s68: clocks that are wrong. They decide nothing but ties.
//!
//! The clock of the whole process is set off by `faketime`, and the times of files by hand.

use std::process::Command;

use crate::cluster::Cluster;
use crate::input::objects;
use crate::machine::{has_program, tool};
use crate::world::World;

const DAYS: i64 = 366;
const YEAR: i64 = DAYS * 86_400;

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}

#[test]
fn s68_clocks_a_year_off_lose_nothing() {
    for offset in [-YEAR, YEAR] {
        World::each(|world| {
            let last = world.last();
            world.write(0, "edited", "at first");
            world.write(0, "deleted", "at first");
            world.write(0, "contested", "at first");
            world.settle();
            // All that the last root writes is off by a year.
            world.write(last, "edited", "by a clock that is off");
            world.touch(last, "edited", now() + offset, 0);
            world.write(last, "contested", "by a clock that is off");
            world.touch(last, "contested", now() + offset, 0);
            world.write(last, "deleted", "saved by a clock that is off");
            world.touch(last, "deleted", now() + offset, 0);
            world.write(0, "contested", "by a clock that is right");
            world.remove(0, "deleted");
            world.settle();
            assert_eq!(world.read(0, "edited"), "by a clock that is off");
            assert_eq!(world.read(0, "deleted"), "saved by a clock that is off");
            let held: Vec<String> = world
                .files()
                .into_iter()
                .map(|(_, content)| content)
                .collect();
            assert!(held.contains(&"by a clock that is off".to_owned()));
            assert!(held.contains(&"by a clock that is right".to_owned()));
        });
    }
}

#[test]
fn s68_a_clock_that_steps_back_is_not_taken_for_an_older_edit() {
    World::each(|world| {
        let last = world.last();
        world.write(0, "file", "at first");
        world.touch(0, "file", now() + YEAR, 0);
        world.settle();
        for (root, offset) in [(last, 0), (0, -YEAR), (last, -2 * YEAR)] {
            let content = format!("edited at {offset}");
            world.write(root, "file", &content);
            world.touch(root, "file", now() + offset, 0);
            let outcome = world.settle();
            assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
            assert_eq!(world.read(0, "file"), content);
        }
        world.remove(0, "file");
        world.settle();
        assert_eq!(world.paths(), Vec::<String>::new());
    });
}

/// Which year it is by the last sync of a root.
fn year_of_last_sync(world: &World, root: usize) -> String {
    let status = &objects(&["status"], world.root(root))[0];
    status["last_sync"].as_str().unwrap()[..4].to_owned()
}

#[track_caller]
fn assert_held(world: &World, contents: &[&str]) {
    let files = world.files();
    for content in contents {
        let is_held = files.iter().any(|(_, held)| held == content);
        assert!(is_held, "{content}: {files:?}");
    }
}

#[test]
fn s68_a_sync_whose_clock_is_a_year_off_and_steps_back() {
    if !has_program("faketime") {
        return;
    }
    for days in [-DAYS, DAYS] {
        World::each(|world| {
            let last = world.last();
            for name in ["edited", "deleted", "contested", "kept"] {
                world.write(0, name, format!("{name} at first"));
            }
            world.settle();

            world.set_clock(days);
            world.write(last, "edited", "edited while the clock was off");
            world.remove(0, "deleted");
            world.write(0, "new", "new while the clock was off");
            world.write(0, "contested", "one side while the clock was off");
            world.write(last, "contested", "other side while the clock was off");
            let outcome = world.settle();
            assert_eq!(outcome.list("conflicts").len(), 1, "{outcome:#?}");
            let year = tool("date", ["-u", "+%Y"]);
            assert_ne!(year_of_last_sync(world, 0), year.trim(), "the clock is off");
            assert!(!world.exists(last, "deleted"));
            assert_held(
                world,
                &[
                    "edited while the clock was off",
                    "one side while the clock was off",
                    "other side while the clock was off",
                ],
            );

            world.set_clock(0);
            world.write(0, "edited", "edited when it was right again");
            world.write(0, "deleted", "written anew when it was right again");
            world.remove(last, "new");
            let outcome = world.settle();
            assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
            assert_eq!(year_of_last_sync(world, 0), year.trim());
            assert_eq!(world.read(last, "edited"), "edited when it was right again");
            assert_eq!(
                world.read(last, "deleted"),
                "written anew when it was right again"
            );
            assert!(
                !world.exists(0, "new"),
                "a deletion is no older than what it deletes"
            );
            assert_eq!(world.read(last, "kept"), "kept at first");
        });
    }
}

/// The first two roots meet on a machine whose clock is off, the others on one whose clock is right.
#[test]
fn s68_one_machine_is_a_year_off() {
    if !has_program("faketime") {
        return;
    }
    for days in [-DAYS, DAYS] {
        let world = World::new(3);
        for name in ["edited", "deleted", "saved", "contested"] {
            world.write(0, name, format!("{name} at first"));
        }
        world.settle();

        world.set_clock(days);
        world.write(0, "edited", "edited here");
        world.write(0, "saved", "edited here, deleted there");
        world.write(0, "contested", "contested here");
        world.remove(1, "deleted");
        world.sync(&[0, 1], &[]);
        world.set_clock(0);
        world.write(2, "contested", "contested there");
        world.remove(2, "saved");
        let outcome = world.sync(&[1, 2], &[]);
        assert_eq!(outcome.list("conflicts").len(), 1, "{outcome:#?}");
        world.settle();
        assert_eq!(world.read(2, "edited"), "edited here");
        assert_eq!(world.read(2, "saved"), "edited here, deleted there");
        assert!(!world.exists(0, "deleted"));
        assert_held(&world, &["contested here", "contested there"]);
    }
}

/// What syncs put in the trash is not cleared away because a clock says that it is old: neither one that is ahead, nor one
/// that is right again after it was behind.
#[test]
fn s68_a_clock_that_is_off_does_not_empty_the_trash() {
    if !has_program("faketime") {
        return;
    }
    for days in [-DAYS, DAYS] {
        World::each(|world| {
            let last = world.last();
            world.write(0, "edited", "the first version");
            world.settle();
            world.write(0, "edited", "the second version");
            world.settle();
            world.set_clock(days);
            world.write(0, "edited", "the third version");
            world.settle();
            world.set_clock(0);
            world.write(0, "edited", "the fourth version");
            world.settle();
            for version in ["first", "second", "third"] {
                let content = format!("the {version} version");
                assert!(world.in_trash(last, &content), "{days} days: {content}");
            }
        });
    }
}

/// The variables by which `faketime` sets the clock of a process off by so many days. A process that it starts itself
/// gets no signals.
fn variables_of_clock(days: i64) -> Vec<(String, String)> {
    let mut faketime = Command::new("faketime");
    faketime.args([
        "-m",
        "--exclude-monotonic",
        "-f",
        &format!("{days:+}d"),
        "env",
    ]);
    let printed = String::from_utf8(faketime.output().unwrap().stdout).unwrap();
    let variables = printed.lines().filter_map(|line| line.split_once('='));
    let is_of_clock =
        |name: &str| name == "LD_PRELOAD" || name.contains("FAKE") && name != "FAKETIME_SHARED";
    variables
        .filter(|(name, _)| is_of_clock(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The last node's clock is off; before 1980 is where a machine begins that keeps no time while it is off.
#[test]
fn s68_nodes_whose_clocks_are_years_apart_keep_a_folder_in_sync() {
    if !has_program("faketime") {
        return;
    }
    for days in [-DAYS, DAYS, 20 * DAYS, -now() / 86_400 + 365] {
        let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
        let variables = variables_of_clock(days);
        assert!(variables.len() >= 2, "{variables:?}");
        cluster.nodes[1].environment.extend(variables);
        for name in ["edited", "deleted", "kept"] {
            cluster.world.write(0, name, format!("{name} at first"));
        }
        cluster.start();
        cluster.settle();
        cluster
            .world
            .write(1, "edited", "edited by a clock that is off");
        cluster.arrives(0, "edited", "edited by a clock that is off");
        cluster
            .world
            .write(0, "edited", "edited by a clock that is right");
        cluster.arrives(1, "edited", "edited by a clock that is right");
        cluster.world.remove(1, "deleted");
        cluster.goes(0, "deleted");
        cluster.world.write(0, "deleted", "written anew");
        cluster.arrives(1, "deleted", "written anew");
        cluster.finish();
        assert_eq!(cluster.world.read(1, "kept"), "kept at first");
        assert_eq!(
            cluster.world.read(0, "edited"),
            "edited by a clock that is right"
        );
    }
}
