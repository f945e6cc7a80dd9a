//! The guard on a virtual clock, over a model of a storage.

use std::collections::BTreeSet;

use proptest::prelude::*;
use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;
use super::guard::{Decision, Guard, Pace, Stock, Traffic, Verdict};
use super::window::{Places, place_of};

const SIZE: u64 = 1000;
const LIVE: Pace = Pace::Live {
    patience_ms: 30_000,
};

/// A storage and its guard: what programs do is seen at once, as by a watch.
struct Scene {
    guard: Guard,
    now: Millis,
    /// What the index records: what is gone and held is among it.
    recorded: BTreeSet<RelPath>,
    /// What peers deleted.
    departing: BTreeSet<RelPath>,
    /// What peers made and is not here yet.
    incoming: BTreeSet<RelPath>,
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn sums(paths: &BTreeSet<RelPath>) -> Holdings {
    let files = paths.len() as u64;
    Holdings {
        files,
        bytes: files * SIZE,
    }
}

fn places<'paths>(paths: impl Iterator<Item = &'paths RelPath>) -> Places {
    let mut places = Places::new();
    for path in paths {
        let sum = places.entry(place_of(path)).or_default();
        *sum = sum.plus(Holdings {
            files: 1,
            bytes: SIZE,
        });
    }
    places
}

impl Scene {
    fn new(pace: Pace, files: impl IntoIterator<Item = String>) -> Self {
        Self {
            guard: Guard::new(pace, None),
            now: Millis(1_700_000_000_000),
            recorded: files.into_iter().map(|file| path(&file)).collect(),
            departing: BTreeSet::new(),
            incoming: BTreeSet::new(),
        }
    }

    /// A folder of `files` files in `directories` directories.
    fn filled(directories: usize, files: usize) -> Self {
        let name = |file: usize| format!("d{:02}/f{file:04}", file % directories);
        Self::new(LIVE, (0..files).map(name))
    }

    fn stock(&self) -> Stock {
        let mut stock = Stock {
            recorded: sums(&self.recorded),
            departing: sums(&self.departing),
            by_place: None,
            is_emptied: self.recorded.len() as u64 == self.held(),
        };
        if self.guard.wants_places(&stock) {
            let passing = |path: &RelPath| self.guard.is_passing_through(path, &stock);
            let rest = self.departing.iter().filter(|path| !passing(path));
            let rest: BTreeSet<RelPath> = rest.cloned().collect();
            let by_place = Traffic {
                departing: places(rest.iter()),
                incoming: places(self.incoming.iter()),
            };
            stock.departing = sums(&rest);
            stock.by_place = Some(by_place);
        }
        stock
    }

    fn wait(&mut self, ms: u64) {
        self.now = Millis(self.now.0 + ms);
    }

    fn make(&mut self, name: &str) {
        let path = path(name);
        self.guard.release(&path);
        if self.recorded.insert(path.clone()) {
            self.guard.handle_made(self.now, &path, SIZE);
        }
    }

    /// Files go, and that is seen in one look. Returns how many deletions pass.
    fn remove<'names>(&mut self, names: impl IntoIterator<Item = &'names str>) -> u64 {
        let mut passed = 0;
        for name in names {
            let path = path(name);
            let stock = self.stock();
            if !self.guard.handle_gone(self.now, &path, SIZE, &stock) {
                self.recorded.remove(&path);
                passed += 1;
            } else {
                self.guard.hold(self.now, path, Some(SIZE));
            }
        }
        passed + self.judge()
    }

    /// Returns how many deletions pass.
    fn judge(&mut self) -> u64 {
        if self.decide() != Decision::Pass {
            return 0;
        }
        let held: Vec<RelPath> = self.guard.held().keys().cloned().collect();
        for path in &held {
            self.guard.release(path);
            self.guard.handle_passed(self.now, path, SIZE);
            self.recorded.remove(path);
        }
        held.len() as u64
    }

    fn decide(&mut self) -> Decision {
        let stock = self.stock();
        self.guard.judge(self.now, &stock)
    }

    /// Waits and judges as often as the guard asks for it, and no longer than so many milliseconds.
    fn go_on(&mut self, ms: u64) -> Decision {
        let end = Millis(self.now.0 + ms);
        loop {
            let decision = self.decide();
            match decision {
                Decision::Hold(until) if until <= end => self.now = until,
                Decision::Hold(_) | Decision::Brake => return decision,
                Decision::Pass => {
                    self.judge();
                    self.carry_out();
                    return decision;
                }
            }
        }
    }

    /// What peers deleted goes, and what they made comes.
    fn carry_out(&mut self) {
        for path in std::mem::take(&mut self.incoming) {
            self.guard.handle_arrived(self.now, &path, SIZE);
            self.recorded.insert(path);
        }
        for path in std::mem::take(&mut self.departing) {
            self.guard.handle_removed(self.now, &path, SIZE);
            self.recorded.remove(&path);
        }
    }

    fn held(&self) -> u64 {
        self.guard.held_files()
    }
}

fn numbered(pattern: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers
        .map(|number| pattern.replace('#', &format!("{number:04}")))
        .collect()
}

fn names(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}

#[test]
fn few_deletions_pass_at_once() {
    let mut scene = Scene::filled(1, 1000);
    assert_eq!(scene.remove(names(&numbered("d00/f#", 0..50))), 50);
    let mut small = Scene::filled(1, 30);
    assert_eq!(small.remove(names(&numbered("d00/f#", 0..10))), 10);
    let mut tiny = Scene::filled(1, 3);
    assert_eq!(tiny.remove(["d00/f0000", "d00/f0001"]), 2);
}

#[test]
fn third_of_the_files_waits_for_300_ms() {
    let mut scene = Scene::filled(1, 1000);
    assert_eq!(scene.remove(names(&numbered("d00/f#", 0..300))), 0);
    assert_eq!(scene.decide(), Decision::Hold(Millis(scene.now.0 + 300)));
    scene.wait(299);
    assert_eq!(scene.judge(), 0);
    scene.wait(1);
    assert_eq!(scene.judge(), 300);
}

#[test]
fn half_of_the_files_waits_for_three_seconds() {
    let mut scene = Scene::filled(1, 1000);
    assert_eq!(scene.remove(names(&numbered("d00/f#", 0..500))), 0);
    assert_eq!(scene.decide(), Decision::Hold(Millis(scene.now.0 + 3000)));
    assert_eq!(scene.go_on(3000), Decision::Pass);
}

#[test]
fn slow_unlinks_are_held_after_a_twentieth() {
    let mut scene = Scene::filled(20, 1000);
    let mut passed = 0;
    for number in 0..1000 {
        let name = format!("d{:02}/f{number:04}", number % 20);
        passed += scene.remove([name.as_str()]);
        scene.wait(2);
        passed += scene.judge();
    }
    assert_eq!(passed, 50);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
    assert_eq!(scene.held(), 950);
}

#[test]
fn stalls_do_not_hide_the_rest_of_a_deletion() {
    let mut scene = Scene::filled(1, 1000);
    let mut passed = 0;
    for batch in 0..100 {
        let batch = numbered("d00/f#", batch * 10..batch * 10 + 10);
        passed += scene.remove(names(&batch));
        for _ in 0..5 {
            scene.wait(50);
            passed += scene.judge();
        }
    }
    assert_eq!(passed, 50);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn most_of_the_files_is_a_brake_after_half_a_minute() {
    let mut scene = Scene::filled(1, 1000);
    scene.remove(names(&numbered("d00/f#", 0..501)));
    assert_eq!(scene.decide(), Decision::Hold(Millis(scene.now.0 + 30_000)));
    scene.wait(29_999);
    assert!(matches!(scene.decide(), Decision::Hold(_)));
    scene.wait(1);
    assert_eq!(scene.decide(), Decision::Brake);
    // Time alone releases nothing.
    scene.wait(86_400_000);
    assert_eq!(scene.decide(), Decision::Brake);
    assert_eq!(scene.held(), 501);
}

#[test]
fn run_that_ends_brakes_at_once() {
    let mut scene = Scene::filled(1, 1000);
    scene.guard = Guard::new(Pace::Once, None);
    scene.remove(names(&numbered("d00/f#", 0..501)));
    assert_eq!(scene.decide(), Decision::Brake);
}

#[test]
fn emptied_root_brakes_whatever_its_size() {
    let mut scene = Scene::filled(1, 3);
    assert_eq!(scene.remove(["d00/f0000", "d00/f0001", "d00/f0002"]), 0);
    assert_eq!(scene.go_on(30_000), Decision::Brake);
    let mut single = Scene::filled(1, 1);
    assert_eq!(single.remove(["d00/f0000"]), 1);
}

#[test]
fn most_of_the_bytes_is_a_brake() {
    let mut scene = Scene::filled(1, 1000);
    let large = numbered("large/f#", 0..20);
    let sizes = 20 << 20;
    for name in names(&large) {
        scene.recorded.insert(path(name));
        scene.guard.hold(scene.now, path(name), Some(sizes));
    }
    let stock = Stock {
        recorded: Holdings {
            files: 1020,
            bytes: 20 * sizes + 1000 * SIZE,
        },
        ..Stock::default()
    };
    scene.guard.judge(scene.now, &stock);
    scene.wait(30_000);
    assert_eq!(scene.guard.judge(scene.now, &stock), Decision::Brake);
}

#[test]
fn files_that_come_back_are_released() {
    let mut scene = Scene::filled(1, 1000);
    let modules = numbered("d00/f#", 0..900);
    scene.remove(names(&modules));
    scene.wait(20_000);
    for name in modules.iter().take(880) {
        scene.make(name);
    }
    assert_eq!(scene.held(), 20);
    assert_eq!(scene.go_on(0), Decision::Pass);
    assert_eq!(scene.recorded.len(), 980);
}

#[test]
fn brake_is_lifted_only_when_hardly_anything_is_gone() {
    let mut scene = Scene::filled(1, 1000);
    let gone = numbered("d00/f#", 0..900);
    scene.remove(names(&gone));
    assert_eq!(scene.go_on(30_000), Decision::Brake);
    for name in gone.iter().take(700) {
        scene.make(name);
    }
    assert_eq!(scene.decide(), Decision::Brake);
    for name in gone.iter().skip(700).take(160) {
        scene.make(name);
    }
    assert_eq!(scene.go_on(0), Decision::Pass);
    assert_eq!(scene.recorded.len(), 960);
}

#[test]
fn replaced_build_directory_is_no_loss() {
    let mut scene = Scene::filled(1, 400);
    let old = numbered("app/dist/old#.js", 0..600);
    scene.recorded.extend(names(&old).map(path));
    scene.remove(names(&old));
    assert_eq!(scene.held(), 600);
    scene.wait(5_000);
    for name in names(&numbered("app/dist/new#.js", 0..600)) {
        scene.make(name);
    }
    assert_eq!(scene.go_on(0), Decision::Pass);
    assert_eq!(scene.recorded.len(), 1000);
}

#[test]
fn new_files_elsewhere_excuse_no_loss() {
    let mut scene = Scene::filled(1, 30);
    let sources = numbered("app/src/#.rs", 0..600);
    scene.recorded.extend(names(&sources).map(path));
    for name in names(&numbered("app/target/#.o", 0..5000)) {
        scene.make(name);
    }
    assert_eq!(scene.remove(names(&sources)), 0);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn temporary_files_are_no_loss() {
    let mut scene = Scene::filled(1, 100);
    for number in 0..1000 {
        let name = format!("tmp/t{number}");
        scene.make(&name);
        scene.wait(200);
        assert_eq!(scene.remove([name.as_str()]), 1);
    }
    assert_eq!(scene.recorded.len(), 100);
}

#[test]
fn young_folder_is_judged_at_its_fullest() {
    let mut scene = Scene::new(LIVE, ["marker".to_owned()]);
    let files = numbered("d/f#", 0..1000);
    for name in names(&files) {
        scene.make(name);
    }
    // Temporary files come and go.
    for number in 0..1000 {
        let name = format!("tmp/t{number}");
        scene.make(&name);
        assert_eq!(scene.remove([name.as_str()]), 1, "{number}");
    }
    scene.wait(30_000);
    let mut passed = 0;
    for name in names(&files) {
        passed += scene.remove([name]);
        scene.wait(2);
    }
    // At its fullest there was a temporary file more, which counts as one loss.
    assert_eq!(passed, 49);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn files_deleted_right_after_they_were_made_count() {
    let mut scene = Scene::new(LIVE, ["marker".to_owned()]);
    let files = numbered("d/f#", 0..1000);
    for name in names(&files) {
        scene.make(name);
    }
    let mut passed = 0;
    for name in names(&files) {
        passed += scene.remove([name]);
        scene.wait(2);
    }
    assert_eq!(passed, 50);
}

#[test]
fn loose_objects_of_a_packed_repository_are_no_loss() {
    let mut scene = Scene::filled(1, 10);
    let loose: Vec<String> = (0..2000)
        .map(|number| format!(".git/objects/{:02x}/{number:038x}", number % 256))
        .collect();
    scene.recorded.extend(names(&loose).map(path));
    scene.make(".git/objects/pack/pack-1.pack");
    assert_eq!(scene.remove(names(&loose)), 2000);
}

#[test]
fn peer_that_deletes_most_is_braked() {
    let mut scene = Scene::filled(20, 1000);
    let gone: Vec<RelPath> = scene.recorded.iter().take(600).cloned().collect();
    scene.departing.extend(gone);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn peer_that_deletes_slowly_is_braked() {
    let mut scene = Scene::filled(20, 1000);
    let all: Vec<RelPath> = scene.recorded.iter().cloned().collect();
    for path in all {
        scene.departing.insert(path);
        scene.wait(2);
        if scene.decide() == Decision::Pass {
            scene.carry_out();
        }
    }
    assert_eq!(scene.recorded.len(), 950);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn brake_ends_when_nothing_is_left_to_decide() {
    let mut scene = Scene::filled(20, 1000);
    let all: Vec<RelPath> = scene.recorded.iter().cloned().collect();
    scene.departing.extend(all[..300].iter().cloned());
    assert_eq!(scene.go_on(1_000), Decision::Pass);
    scene.departing.extend(all[300..600].iter().cloned());
    assert_eq!(scene.go_on(40_000), Decision::Brake);
    // The peer brings back what it deleted last. More than a twentieth is lost, and none of it can be brought back here.
    scene.departing.clear();
    assert_eq!(scene.decide(), Decision::Pass);
    assert!(!scene.guard.is_braked());
    // What was lost before still counts.
    scene.departing.extend(all[300..600].iter().cloned());
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn peer_that_replaces_a_directory_is_not_braked() {
    let mut scene = Scene::filled(1, 400);
    let old = numbered("app/dist/old#.js", 0..600);
    scene.recorded.extend(names(&old).map(path));
    scene.departing.extend(names(&old).map(path));
    let new = numbered("app/dist/new#.js", 0..600);
    scene.incoming.extend(names(&new).map(path));
    assert_eq!(scene.go_on(0), Decision::Pass);
}

#[test]
fn peer_that_cleans_what_it_built_is_not_braked() {
    let mut scene = Scene::filled(1, 100);
    let built = numbered("build/#.o", 0..400);
    scene.incoming.extend(names(&built).map(path));
    scene.carry_out();
    scene.wait(60_000);
    scene.departing.extend(names(&built).map(path));
    assert_eq!(scene.go_on(0), Decision::Pass);
    assert_eq!(scene.recorded.len(), 100);
}

#[test]
fn more_than_max_delete_is_a_brake() {
    let mut scene = Scene::filled(1, 1000);
    scene.guard = Guard::new(LIVE, Some(5));
    assert_eq!(scene.remove(names(&numbered("d00/f#", 0..5))), 5);
    scene.wait(60_000);
    assert_eq!(scene.remove(["d00/f0005"]), 0);
    assert_eq!(scene.go_on(30_000), Decision::Brake);
    assert_eq!(scene.guard.exceeded(), Some(5));
}

#[test]
fn approval_ends_with_what_was_held() {
    let mut scene = Scene::filled(1, 1000);
    scene.remove(names(&numbered("d00/f#", 0..600)));
    scene.go_on(30_000);
    scene.guard.decide(Verdict::Approved);
    assert_eq!(scene.judge(), 600);
    scene.guard.conclude_verdict();
    assert_eq!(scene.remove(names(&numbered("d00/f#", 600..900))), 0);
    assert_eq!(scene.go_on(40_000), Decision::Brake);
}

#[test]
fn window_outlives_the_process() {
    let mut scene = Scene::filled(1, 1000);
    scene.remove(names(&numbered("d00/f#", 0..50)));
    let [here, elsewhere] = scene.guard.encode_window();
    scene.guard = Guard::new(LIVE, None);
    scene.guard.restore_window(scene.now, [&here, &elsewhere]);
    assert_eq!(scene.remove(["d00/f0050"]), 0);
    scene.wait(610_000);
    assert_eq!(scene.remove(["d00/f0051"]), 2);
}

/// What a user, a program or a peer does.
#[derive(Clone, Debug)]
enum Act {
    Remove(usize),
    RemoveMany(usize, usize),
    PeerRemoves(usize),
    BringBack(usize),
    Make(usize),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..400usize).prop_map(Act::Remove),
        1 => (0..400usize, 1..80usize).prop_map(|(from, count)| Act::RemoveMany(from, count)),
        3 => (0..400usize).prop_map(Act::PeerRemoves),
        1 => (0..400usize).prop_map(Act::BringBack),
        1 => (0..400usize).prop_map(Act::Make),
        3 => (0..4_000u64).prop_map(Act::Wait),
        1 => Just(Act::Wait(40_000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// In whatever order and time files go: of those that were there when the window began, no more than half go
    /// unless a person approves. Each file that was made replaces one at the most.
    #[test]
    fn no_more_than_half_goes_unapproved(acts in proptest::collection::vec(act(), 1..400)) {
        let mut scene = Scene::filled(7, 400);
        let name = |file: usize| format!("d{:02}/f{file:04}", file % 7);
        let old = scene.recorded.clone();
        let begun = scene.now;
        let mut made = 0;
        for act in acts {
            match act {
                Act::Remove(file) if scene.recorded.contains(&path(&name(file))) => {
                    scene.remove([name(file).as_str()]);
                }
                Act::RemoveMany(from, count) => {
                    let all = (from..(from + count).min(400)).map(name);
                    let there = all.filter(|name| scene.recorded.contains(&path(name)));
                    let there: Vec<String> = there.collect();
                    scene.remove(names(&there));
                }
                Act::PeerRemoves(file) if scene.recorded.contains(&path(&name(file))) => {
                    scene.guard.release(&path(&name(file)));
                    scene.departing.insert(path(&name(file)));
                }
                Act::BringBack(file) => {
                    made += usize::from(!scene.recorded.contains(&path(&name(file))));
                    scene.make(&name(file));
                }
                Act::Make(file) => scene.make(&format!("made/{file}")),
                Act::Wait(ms) => scene.wait(ms),
                Act::Remove(_) | Act::PeerRemoves(_) => {}
            }
            if scene.decide() == Decision::Pass {
                scene.judge();
                scene.carry_out();
            }
            if scene.now.0 >= begun.0 + 590_000 {
                break;
            }
            let left = old.intersection(&scene.recorded).count();
            prop_assert!(
                (left + made) * 2 >= old.len(),
                "{left} of {} are left, and {made} were made",
                old.len()
            );
        }
    }
}
