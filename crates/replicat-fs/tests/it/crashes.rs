//! A batch that fails or dies at each of its system calls in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use replicat_core::entry::Metadata;
use replicat_fs::apply::calls::{Call, Calls};
use replicat_fs::apply::error::ApplyError;
use replicat_fs::apply::{Action, Change, Displaced, Touched};
use replicat_fs::error::FsError;
use replicat_fs::recover::Recovery;
use rustix::io::Errno;

use crate::stand::{Ground, Stand, folder, path, places, plain};

/// What goes wrong at the chosen call.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// That call fails, once.
    Once(Errno),
    /// No change is made from there on: the process died.
    Death,
}

fn troubled(at: usize, trouble: Trouble) -> (Calls, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let calls = Calls::with_fault(Arc::new(move |_| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        match trouble {
            Trouble::Once(reason) => (number == at).then_some(reason),
            Trouble::Death => (number >= at).then_some(Errno::IO),
        }
    }));
    (calls, made)
}

fn scene(place: &Path) -> Ground {
    let ground = Ground::new(place);
    for (text, content) in [
        ("replaced", "replaced: old"),
        ("removed", "removed: old"),
        ("d/renamed", "renamed"),
        ("swapped-1", "swap: 1"),
        ("swapped-2", "swap: 2"),
        ("linked", "linked"),
        ("becomes-directory", "becomes-directory: old"),
        ("described", "described"),
    ] {
        ground.write(text, content);
    }
    fs::create_dir(ground.full("becomes-file")).unwrap();
    fs::create_dir(ground.full("goes")).unwrap();
    symlink("old", ground.full("link")).unwrap();
    ground
}

fn batch(stand: &Stand) -> Result<Vec<Change>, ApplyError> {
    let put = |text: &str, content: &str| -> Result<Change, FsError> {
        let staged = stand.staging.small(content.as_bytes(), &plain())?;
        Ok(stand.change(text, Action::Put(Box::new(staged))))
    };
    let link = Action::Link {
        to: path("linked"),
        expected: stand.print("linked"),
    };
    let rename = Action::Rename {
        from: path("d/renamed"),
        expected: stand.print("d/renamed"),
    };
    let relink = Action::MakeSymlink {
        target: b"new".to_vec(),
        metadata: Metadata::default(),
    };
    let mut changes = vec![
        stand.change("made", Action::MakeDirectory(folder())),
        put("made/new", "new")?,
        put("replaced", "replaced: new")?,
        stand.change("removed", Action::Remove),
        stand.change("renamed", rename),
        stand.change("link", relink),
        stand.change("linked-too", link),
        stand.change("becomes-directory", Action::MakeDirectory(folder())),
        put("becomes-file", "becomes-file: new")?,
        stand.change("goes", Action::RemoveDirectory),
        stand.change("described", Action::SetMetadata(plain())),
    ];
    for (to, from) in [("swapped-1", "swapped-2"), ("swapped-2", "swapped-1")] {
        let mut change = stand.change(to, Action::Remove);
        change.displaced = Displaced::Discard;
        changes.push(change);
        let adopted = stand.applier.adopt(&path(from), &stand.print(from))?;
        changes.push(stand.change(to, Action::Put(Box::new(adopted))));
    }
    // Of each pair the fingerprint from before the adoption and the adopted file make one change.
    let swaps = changes.split_off(11);
    let mut swaps = swaps.into_iter();
    while let (Some(plan), Some(adopted)) = (swaps.next(), swaps.next()) {
        changes.push(Change {
            action: adopted.action,
            ..plan
        });
    }
    Ok(changes)
}

fn run(ground: &Ground, calls: Calls) -> Result<(), ApplyError> {
    let stand = Stand::with_calls(ground, calls)?;
    let changes = batch(&stand)?;
    let touched = Touched::by(&changes);
    stand.applier.flush(&changes)?;
    let mut first_error = None;
    for result in stand.applier.commit(changes) {
        first_error = first_error.or(result.err());
    }
    stand.applier.flush_directories(&touched)?;
    first_error.map_or(Ok(()), Err)
}

/// Each path holds what it held before or what it should hold after, and nothing a user wrote is gone.
fn check(ground: &Ground, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let now = ground.tree();
    let all: BTreeSet<_> = before
        .keys()
        .chain(after.keys())
        .chain(now.keys())
        .collect();
    for text in all {
        let (old, new, found) = (before.get(text), after.get(text), now.get(text));
        assert!(
            found == old || found == new,
            "{text}: {found:?}, was {old:?}, becomes {new:?}"
        );
    }
    let kept: BTreeSet<_> = now.into_values().chain(ground.trashed_contents()).collect();
    for (text, content) in before {
        let is_file = !content.starts_with("->") && !content.starts_with('<');
        assert!(
            !is_file || kept.contains(content),
            "the content of {text} is gone"
        );
    }
    assert!(
        ground.staged_names().is_empty(),
        "{:?}",
        ground.staged_names()
    );
}

#[test]
fn each_path_holds_old_or_new_content_wherever_a_batch_stops() {
    for place in places() {
        let complete = scene(&place);
        let before = complete.tree();
        let (calls, made) = troubled(usize::MAX, Trouble::Death);
        run(&complete, calls).unwrap();
        let after = complete.tree();
        assert_eq!(after.get("swapped-1").map(String::as_str), Some("swap: 2"));
        assert_eq!(after.get("renamed").map(String::as_str), Some("renamed"));
        assert!(
            complete.staged_names().is_empty(),
            "{:?}",
            complete.staged_names()
        );
        let total = made.load(Ordering::Relaxed);
        assert!(total > 50, "only {total} calls were seen");
        for at in 0..total {
            for trouble in [
                Trouble::Death,
                Trouble::Once(Errno::NOSPC),
                Trouble::Once(Errno::IO),
            ] {
                let ground = scene(&place);
                let (calls, _) = troubled(at, trouble);
                let result = run(&ground, calls);
                let _: Recovery = Stand::recover(&ground);
                let context = format!("{trouble:?} at call {at} of {total}: {result:?}");
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    check(&ground, &before, &after);
                }));
                assert!(checked.is_ok(), "{context}");
            }
        }
    }
}

#[test]
fn recovery_can_die_anywhere_and_run_again() {
    let place = std::env::temp_dir();
    let complete = scene(&place);
    let before = complete.tree();
    let (calls, made) = troubled(usize::MAX, Trouble::Death);
    run(&complete, calls).unwrap();
    let after = complete.tree();
    for at in (0..made.load(Ordering::Relaxed)).step_by(3) {
        for stop in 0..12 {
            let ground = scene(&place);
            let (calls, _) = troubled(at, Trouble::Death);
            // That it stops is the point.
            let _ = run(&ground, calls);
            let (calls, _) = troubled(stop, Trouble::Death);
            recover_with(&ground, &calls);
            Stand::recover(&ground);
            check(&ground, &before, &after);
        }
    }
}

fn recover_with(ground: &Ground, calls: &Calls) {
    let root = replicat_fs::root::Root::open(ground.directory.path()).unwrap();
    let state = replicat_fs::state::StateDirectory::open(&root, None).unwrap();
    let age = replicat_fs::recover::PARTIAL_AGE_MAX;
    // That it stops is the point here too.
    let _ = replicat_fs::recover::recover(&root, &state, calls, age);
}

#[test]
fn a_death_that_is_never_recovered_from_still_shows_old_or_new() {
    let place = std::env::temp_dir();
    let complete = scene(&place);
    let before = complete.tree();
    let (calls, made) = troubled(usize::MAX, Trouble::Death);
    run(&complete, calls).unwrap();
    let after = complete.tree();
    for at in 0..made.load(Ordering::Relaxed) {
        let ground = scene(&place);
        let (calls, _) = troubled(at, Trouble::Death);
        // That it stops is the point.
        let _ = run(&ground, calls);
        for (text, found) in ground.tree() {
            let known = [before.get(&text), after.get(&text)];
            assert!(
                known.contains(&Some(&found)),
                "{text} holds {found:?} after call {at}"
            );
        }
    }
}

/// The root has no name in a directory above it, and was once taken for a directory that is gone.
#[test]
fn a_change_in_the_root_itself_is_flushed() {
    let ground = Ground::usual();
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    let calls = Calls::with_fault(Arc::new(move |call| {
        counted.fetch_add(usize::from(call == Call::Sync), Ordering::Relaxed);
        None
    }));
    let stand = Stand::with_calls(&ground, calls).unwrap();
    ground.write("a", "A");
    let touched = Touched::by(&[stand.change("a", Action::Remove)]);
    let before = syncs.load(Ordering::Relaxed);
    stand.applier.flush_directories(&touched).unwrap();
    assert!(syncs.load(Ordering::Relaxed) > before);
}
