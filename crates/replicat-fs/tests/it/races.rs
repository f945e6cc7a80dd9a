//! Users who change a path in the very instant in which replicat does.

use std::fs;
use std::sync::{Arc, Mutex};

use replicat_fs::apply::Action;
use replicat_fs::apply::calls::{Call, Calls};
use replicat_fs::apply::error::ApplyError;
use rustix::io::Errno;

use crate::stand::{Ground, Stand, places};

type Deed = Box<dyn FnMut() -> Option<Errno> + Send>;

/// Calls before which users act: each deed is done before the call it is named for, in order.
fn beset(deeds: Vec<(Call, Deed)>) -> Calls {
    let deeds = Mutex::new(deeds.into_iter());
    let next = Mutex::new(deeds.lock().unwrap().next());
    Calls::with_fault(Arc::new(move |call| {
        let mut next = next.lock().unwrap();
        let (wanted, deed) = next.as_mut()?;
        if *wanted != call {
            return None;
        }
        let answer = deed();
        *next = deeds.lock().unwrap().next();
        answer
    }))
}

fn writing(ground: &Ground, text: &str, content: &'static str) -> Deed {
    let full = ground.full(text);
    Box::new(move || {
        fs::write(&full, content).unwrap();
        None
    })
}

fn saving_by_rename(ground: &Ground, text: &str, content: &'static str) -> Deed {
    let (full, new) = (ground.full(text), ground.full("editor's"));
    Box::new(move || {
        fs::write(&new, content).unwrap();
        fs::rename(&new, &full).unwrap();
        None
    })
}

fn removing(ground: &Ground, text: &str) -> Deed {
    let full = ground.full(text);
    Box::new(move || {
        fs::remove_file(&full).unwrap();
        None
    })
}

#[test]
fn an_edit_between_the_look_and_the_exchange_is_put_back() {
    for place in places() {
        for make in [writing, saving_by_rename] {
            let ground = Ground::new(&place);
            ground.write("a", "old");
            let calls = beset(vec![(Call::Exchange, make(&ground, "a", "edited"))]);
            let stand = Stand::with_calls(&ground, calls).unwrap();
            let result = stand.commit_one(stand.put("a", "new"));
            assert!(matches!(result, Err(ApplyError::Changed(_))), "{result:?}");
            assert_eq!(ground.read("a").as_deref(), Some("edited"));
            assert_eq!(ground.tree().len(), 1);
            assert!(ground.staged_names().is_empty());
        }
    }
}

#[test]
fn a_second_edit_while_the_first_is_put_back_is_kept_beside() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let calls = beset(vec![
        (Call::Exchange, saving_by_rename(&ground, "a", "first")),
        (Call::Exchange, saving_by_rename(&ground, "a", "second")),
    ]);
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let error = stand.commit_one(stand.put("a", "new")).unwrap_err();
    let ApplyError::Surprise { kept_as, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(ground.read("a").as_deref(), Some("first"));
    assert_eq!(ground.read(&kept_as.to_string()).as_deref(), Some("second"));
    assert!(ground.staged_names().is_empty());
}

#[test]
fn an_edit_is_put_back_even_if_our_file_is_gone_by_then() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let calls = beset(vec![
        (Call::Exchange, writing(&ground, "a", "edited")),
        (Call::Exchange, removing(&ground, "a")),
    ]);
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let result = stand.commit_one(stand.put("a", "new"));
    assert!(matches!(result, Err(ApplyError::Changed(_))), "{result:?}");
    assert_eq!(ground.read("a").as_deref(), Some("edited"));
}

#[test]
fn a_file_edited_while_it_is_removed_is_put_back() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let calls = beset(vec![
        (Call::Rename, saving_by_rename(&ground, "a", "edited")),
        (Call::RenameNew, Box::new(|| None)),
    ]);
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let result = stand.commit_one(stand.change("a", Action::Remove));
    assert!(matches!(result, Err(ApplyError::Changed(_))), "{result:?}");
    assert_eq!(ground.read("a").as_deref(), Some("edited"));
}

#[test]
fn a_file_edited_while_it_is_removed_is_kept_beside_what_came_since() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let calls = beset(vec![
        (Call::Rename, writing(&ground, "a", "edited")),
        (Call::RenameNew, writing(&ground, "a", "another")),
    ]);
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let error = stand
        .commit_one(stand.change("a", Action::Remove))
        .unwrap_err();
    let ApplyError::Surprise { kept_as, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(ground.read("a").as_deref(), Some("another"));
    assert_eq!(ground.read(&kept_as.to_string()).as_deref(), Some("edited"));
}

#[test]
fn a_child_that_comes_into_a_directory_while_it_is_replaced_survives() {
    let ground = Ground::usual();
    fs::create_dir(ground.full("d")).unwrap();
    let calls = beset(vec![(Call::Exchange, writing(&ground, "d/child", "child"))]);
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let result = stand.commit_one(stand.put("d", "file"));
    assert!(matches!(result, Err(ApplyError::NotEmpty(_))), "{result:?}");
    assert_eq!(ground.read("d/child").as_deref(), Some("child"));
    assert!(ground.staged_names().is_empty());
}

#[test]
fn a_file_edited_while_it_is_renamed_goes_back() {
    let ground = Ground::usual();
    ground.write("from", "old");
    let calls = beset(vec![(Call::RenameNew, writing(&ground, "from", "edited"))]);
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let rename = Action::Rename {
        from: crate::stand::path("from"),
        expected: stand.print("from"),
    };
    let result = stand.commit_one(stand.change("to", rename));
    assert!(matches!(result, Err(ApplyError::Changed(_))), "{result:?}");
    assert_eq!(ground.read("from").as_deref(), Some("edited"));
    assert_eq!(ground.read("to"), None);
}

/// Calls of a filesystem that knows neither exchange nor rename without replacing, and links only if `links`.
fn plain_filesystem(links: Option<Errno>) -> Calls {
    Calls::with_fault(Arc::new(move |call| match call {
        Call::Exchange | Call::RenameNew => Some(Errno::INVAL),
        Call::Link => links,
        _ => None,
    }))
}

#[test]
fn filesystems_without_exchange_are_served_as_well() {
    for links in [None, Some(Errno::PERM)] {
        let ground = Ground::usual();
        ground.write("a", "old");
        ground.write("b", "old b");
        fs::create_dir(ground.full("d")).unwrap();
        ground.write("g", "old g");
        let stand = Stand::with_calls(&ground, plain_filesystem(links)).unwrap();
        let rename = Action::Rename {
            from: crate::stand::path("b"),
            expected: stand.print("b"),
        };
        let changes = vec![
            stand.put("a", "new"),
            stand.put("c", "created"),
            stand.change("e", rename),
            stand.put("d", "file"),
            stand.change("g", Action::MakeDirectory(crate::stand::plain())),
        ];
        for result in stand.applier.commit(changes) {
            assert!(result.unwrap().fingerprint().is_some());
        }
        let taken = stand.put("f", "ours");
        ground.write("f", "user's");
        assert!(matches!(
            stand.commit_one(taken),
            Err(ApplyError::Changed(_))
        ));
        let tree: Vec<_> = ground.tree().into_values().collect();
        assert_eq!(
            tree,
            ["new", "created", "file", "old b", "user's", "<directory>"]
        );
        assert!(ground.full("g").is_dir());
        let mut trashed = ground.trashed_contents();
        trashed.sort();
        assert_eq!(trashed, ["old", "old g"]);
        assert!(ground.staged_names().is_empty());
    }
}

#[test]
fn without_exchange_too_a_crash_leaves_old_or_new() {
    for links in [None, Some(Errno::PERM)] {
        for at in 0..16 {
            let ground = Ground::usual();
            ground.write("a", "old");
            let made = std::sync::atomic::AtomicUsize::new(0);
            let calls = Calls::with_fault(Arc::new(move |call| {
                let number = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                match call {
                    _ if number >= 4 + at => Some(Errno::IO),
                    Call::Exchange | Call::RenameNew => Some(Errno::INVAL),
                    Call::Link => links,
                    _ => None,
                }
            }));
            if let Ok(stand) = Stand::with_calls(&ground, calls)
                && let Ok(staged) = stand.staging.small(b"new", &crate::stand::plain())
            {
                let put = Action::Put(Box::new(staged));
                // Whether it succeeds is not the question.
                let _ = stand.commit_one(stand.change("a", put));
            }
            Stand::recover(&ground);
            let found = ground.read("a").unwrap();
            assert!(found == "old" || found == "new", "{found}");
            let is_kept = found == "old" || ground.trashed_contents() == ["old"];
            assert!(is_kept && ground.tree().len() == 1, "{links:?} {at}");
        }
    }
}
