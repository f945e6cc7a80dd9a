//! s61: the process is killed before each system call that writes.

use super::history::{Story, seen};
use super::points::points;
use super::tracer::{self, Ending, Verdict};
use crate::world::{World, command};

/// How many kills each test makes unless all are asked for.
const SAMPLED: usize = 16;

#[test]
fn s61_killed_in_a_first_sync() {
    kill_everywhere(Story::First, 2);
}

#[test]
fn s61_killed_in_a_first_sync_of_three() {
    kill_everywhere(Story::First, 3);
}

#[test]
fn s61_killed_in_a_sync_of_changes() {
    kill_everywhere(Story::Changes, 2);
}

#[test]
fn s61_killed_in_a_sync_of_changes_of_three() {
    kill_everywhere(Story::Changes, 3);
}

fn kill_everywhere(story: Story, roots: usize) {
    let mut total = 0;
    let ending = cut(story, roots, &mut |number| {
        total = number + 1;
        Verdict::Proceed
    });
    assert_ne!(ending, Ending::Killed);
    let points = points(total, SAMPLED);
    let mut killed = 0;
    for point in points {
        eprintln!("{story:?} over {roots} roots, killed before write {point} of {total}");
        let ending = cut(story, roots, &mut |number| match number == point {
            true => Verdict::Kill,
            false => Verdict::Proceed,
        });
        killed += usize::from(ending == Ending::Killed);
    }
    assert!(killed > 0, "nothing was killed");
    eprintln!("{story:?} over {roots} roots: killed {killed} times, {total} writes in all");
}

/// Tells a story and cuts its last sync short where `judge` says so; then the next sync brings everything to a good end.
fn cut(story: Story, roots: usize, judge: &mut dyn FnMut(usize) -> Verdict) -> Ending {
    let world = World::new(roots);
    let expected = story.prepare(&world);
    let mut sync = command();
    sync.arg("sync").args(world.roots());
    let ending = tracer::run(&sync, &world.beside("output"), judge);
    for (root, directory) in world.roots().iter().enumerate() {
        expected.assert_old_or_new(root, &seen(directory));
    }
    world.settle();
    expected.assert_reached(&world);
    ending
}
