//! The trash, and what recovery finds in staging.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use replicat_fs::apply::Action;
use replicat_fs::apply::calls::{Call, Calls};
use replicat_fs::observe::now;
use replicat_fs::trash::{Purged, Trash, TrashId, TrashPolicy};
use rustix::io::Errno;

use crate::stand::{Ground, Stand, path};

fn trash_with(stand: &Stand, max_age: Duration, max_bytes: Option<u64>) -> Trash {
    let policy = TrashPolicy { max_age, max_bytes };
    Trash::open(&stand.staging, &stand.state, policy).unwrap()
}

#[test]
fn what_was_replaced_is_found_by_its_path_and_taken_back() {
    let ground = Ground::usual();
    let odd = "d/odd name\n100% \u{e9}";
    ground.write(odd, "first");
    ground.write("other", "other");
    let stand = Stand::new(&ground);
    stand.commit_one(stand.put(odd, "second")).unwrap();
    stand.commit_one(stand.put(odd, "third")).unwrap();
    stand
        .commit_one(stand.change("other", Action::Remove))
        .unwrap();
    let items = stand.trash.list(Some(&path(odd))).unwrap();
    let sizes: Vec<_> = items.iter().map(|item| item.size).collect();
    assert_eq!(sizes, [5, 6]);
    assert!((now().seconds - items[0].seconds).abs() < 60);
    assert_eq!(stand.trash.list(None).unwrap().len(), 3);
    let staged = stand.trash.take(items[0].id).unwrap();
    stand
        .commit_one(stand.change(odd, Action::Put(Box::new(staged))))
        .unwrap();
    assert_eq!(ground.read(odd).as_deref(), Some("first"));
    let mut held = ground.trashed_contents();
    held.sort();
    assert_eq!(held, ["other", "second", "third"]);
    assert!(
        stand.trash.take(items[0].id).is_err(),
        "it is not there any more"
    );
}

#[test]
fn what_was_taken_but_not_placed_returns() {
    let ground = Ground::usual();
    ground.write("a", "A");
    let stand = Stand::new(&ground);
    let trashed = stand
        .commit_one(stand.change("a", Action::Remove))
        .unwrap()
        .trashed;
    drop(stand.trash.take(trashed.unwrap()).unwrap());
    assert_eq!(stand.trash.list(None).unwrap(), []);
    drop(stand);
    let recovery = Stand::recover(&ground);
    assert_eq!(recovery.trashed, [(trashed.unwrap(), Some(path("a")))]);
    let stand = Stand::new(&ground);
    assert_eq!(stand.trash.list(Some(&path("a"))).unwrap().len(), 1);
}

#[test]
fn the_longest_name_goes_to_the_trash_and_stays_there() {
    let ground = Ground::usual();
    let name = "n".repeat(255);
    ground.write(&name, "A");
    let stand = Stand::new(&ground);
    let removed = stand.commit_one(stand.change(&name, Action::Remove));
    assert!(removed.unwrap().trashed.is_some());
    drop(stand);
    Stand::recover(&ground);
    assert_eq!(ground.read(&name), None);
    assert_eq!(ground.trashed_contents(), ["A"]);
}

#[test]
fn what_the_trash_refuses_does_not_return_to_its_path() {
    let ground = Ground::usual();
    ground.write("a", "A");
    // The first rename takes the file away from its path, the second is to take it to the trash.
    let renames = AtomicUsize::new(0);
    let calls = Calls::with_fault(Arc::new(move |call| {
        let refused = call == Call::Rename && renames.fetch_add(1, Ordering::Relaxed) == 1;
        refused.then_some(Errno::NOSPC)
    }));
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let removed = stand.commit_one(stand.change("a", Action::Remove));
    assert_eq!(removed.unwrap().trashed, None);
    drop(stand);
    let recovery = Stand::recover(&ground);
    assert_eq!(recovery.trashed.len(), 1);
    assert_eq!(ground.read("a"), None);
    assert_eq!(ground.trashed_contents(), ["A"]);
}

#[test]
fn old_and_surplus_content_goes_oldest_first() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    for text in ["a", "b", "c"] {
        ground.write(text, "0123456789");
        stand
            .commit_one(stand.change(text, Action::Remove))
            .unwrap();
    }
    let seconds = now().seconds;
    let day = Duration::from_secs(86_400);
    let purged = trash_with(&stand, day, Some(25))
        .purge(seconds, &|_| false)
        .unwrap();
    assert_eq!(
        purged,
        Purged {
            items: 1,
            bytes: 10
        }
    );
    let left = stand.trash.list(None).unwrap();
    assert_eq!(
        left.iter()
            .map(|item| item.path.clone())
            .collect::<Vec<_>>(),
        [Some(path("b")), Some(path("c"))]
    );
    assert_eq!(
        stand.trash.purge(seconds, &|_| false).unwrap(),
        Purged::default()
    );
    let purged = trash_with(&stand, day, None)
        .purge(seconds + 3 * 86_400, &|_| false)
        .unwrap();
    assert_eq!(purged.items, 2);
    assert_eq!(fs::read_dir(stand.state.trash_path()).unwrap().count(), 0);
}

#[test]
fn recovery_keeps_what_it_does_not_know() {
    let ground = Ground::usual();
    drop(Stand::new(&ground));
    let displaced = ground.full(".replicat/staging/displaced");
    fs::write(displaced.join("strange"), "who knows").unwrap();
    fs::create_dir(displaced.join("0000000000000001.u-d")).unwrap();
    fs::write(displaced.join("0000000000000001.u-d/child"), "child").unwrap();
    let recovery = Stand::recover(&ground);
    assert_eq!(recovery.trashed.len(), 2);
    let mut held = ground.trashed_contents();
    held.sort();
    assert_eq!(held, ["child", "who knows"]);
    let stand = Stand::new(&ground);
    assert!(
        stand
            .trash
            .list(None)
            .unwrap()
            .iter()
            .all(|item| item.path.is_none())
    );
    assert_eq!(
        Stand::recover_again(&stand),
        replicat_fs::recover::Recovery::default()
    );
}

#[test]
fn a_log_line_cut_short_hides_no_other() {
    let ground = Ground::usual();
    ground.write("a", "A");
    let stand = Stand::new(&ground);
    let first = stand.commit_one(stand.change("a", Action::Remove)).unwrap();
    let day = fs::read_dir(stand.state.trash_path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let log = day.path().join("log");
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{whole}1 0000")).unwrap();
    ground.write("b", "B");
    stand.commit_one(stand.change("b", Action::Remove)).unwrap();
    let paths: Vec<_> = stand
        .trash
        .list(None)
        .unwrap()
        .into_iter()
        .map(|item| item.path)
        .collect();
    assert_eq!(paths, [Some(path("a")), Some(path("b"))]);
    assert_eq!(
        TrashId::parse(&first.trashed.unwrap().to_string()),
        first.trashed
    );
}

#[test]
fn an_applier_can_be_shared_by_threads() {
    let ground = Ground::usual();
    let stand = Arc::new(Stand::with_calls(&ground, Calls::default()).unwrap());
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let stand = Arc::clone(&stand);
            scope.spawn(move || {
                let staging = stand.staging.fork().unwrap();
                for number in 0..50 {
                    let staged = staging.small(b"x", &crate::stand::plain()).unwrap();
                    let text = format!("{worker}-{number}");
                    let put = Action::Put(Box::new(staged));
                    stand.commit_one(stand.change(&text, put)).unwrap();
                    stand
                        .commit_one(stand.change(&text, Action::Remove))
                        .unwrap();
                }
            });
        }
    });
    assert!(ground.tree().is_empty() && ground.staged_names().is_empty());
    assert_eq!(stand.trash.list(None).unwrap().len(), 100);
}
