//! Single changes: what they do, and what stops them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_fs::apply::error::ApplyError;
use replicat_fs::apply::{Action, Displaced, Outcome, Touched};

use crate::stand::{Ground, Stand, TO_TRASH, folder, path, places, plain};

#[test]
fn a_new_file_is_placed_with_its_metadata_and_fingerprint() {
    for place in places() {
        let ground = Ground::new(&place);
        let stand = Stand::new(&ground);
        let changes = vec![stand.put("new", "content")];
        let touched = Touched::by(&changes);
        stand.applier.flush(&changes).unwrap();
        let applied = stand.applier.commit(changes).remove(0).unwrap();
        stand.applier.flush_directories(&touched).unwrap();
        assert_eq!(ground.read("new").as_deref(), Some("content"));
        assert_eq!(applied.outcome, Outcome::Holds(stand.print("new")));
        let found = fs::metadata(ground.full("new")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.mtime_nsec()), (0o644, 5));
        assert!(ground.staged_names().is_empty());
    }
}

#[test]
fn a_new_file_never_replaces_what_appeared_meanwhile() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let change = stand.put("a", "ours");
    ground.write("a", "user's");
    assert!(matches!(
        stand.commit_one(change),
        Err(ApplyError::Changed(_))
    ));
    assert_eq!(ground.read("a").as_deref(), Some("user's"));
    assert!(ground.staged_names().is_empty());
}

#[test]
fn a_replacement_moves_the_old_content_to_the_trash() {
    for place in places() {
        let ground = Ground::new(&place);
        ground.write("d/a", "old");
        let stand = Stand::new(&ground);
        let applied = stand.commit_one(stand.put("d/a", "new")).unwrap();
        assert_eq!(ground.read("d/a").as_deref(), Some("new"));
        assert_eq!(applied.fingerprint(), Some(stand.print("d/a")));
        let items = stand.trash.list(Some(&path("d/a"))).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!((Some(items[0].id), items[0].size), (applied.trashed, 3));
        assert_eq!(ground.trashed_contents(), ["old"]);
    }
}

#[test]
fn a_replacement_of_what_was_edited_meanwhile_is_refused() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let stand = Stand::new(&ground);
    let change = stand.put("a", "new");
    ground.write("a", "edited");
    assert!(matches!(
        stand.commit_one(change),
        Err(ApplyError::Changed(_))
    ));
    let change = stand.change("a", Action::Remove);
    fs::set_permissions(ground.full("a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        stand.commit_one(change),
        Err(ApplyError::Changed(_))
    ));
    assert_eq!(ground.read("a").as_deref(), Some("edited"));
    assert!(ground.staged_names().is_empty());
}

#[test]
fn discarded_content_is_removed() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let stand = Stand::new(&ground);
    let mut change = stand.put("a", "new");
    change.displaced = Displaced::Discard;
    assert_eq!(stand.commit_one(change).unwrap().trashed, None);
    assert!(ground.trashed_contents().is_empty());
    assert!(ground.staged_names().is_empty());
}

#[test]
fn kinds_replace_each_other() {
    for place in places() {
        let ground = Ground::new(&place);
        ground.write("file", "old");
        fs::create_dir(ground.full("directory")).unwrap();
        symlink("anywhere", ground.full("link")).unwrap();
        let stand = Stand::new(&ground);
        let target = b"else".to_vec();
        let metadata = Metadata::default();
        let changes = vec![
            stand.change("file", Action::MakeDirectory(folder())),
            stand.put("directory", "file now"),
            stand.put("link", "file too"),
            stand.change("new", Action::MakeSymlink { target, metadata }),
        ];
        for result in stand.applier.commit(changes) {
            result.unwrap();
        }
        assert_eq!(ground.read("file").as_deref(), Some("<directory>"));
        assert_eq!(ground.read("directory").as_deref(), Some("file now"));
        assert_eq!(ground.read("link").as_deref(), Some("file too"));
        assert_eq!(ground.read("new").as_deref(), Some("-> else"));
        assert_eq!(stand.trash.list(None).unwrap().len(), 2);
    }
}

#[test]
fn a_directory_that_holds_something_is_never_replaced_or_removed() {
    let ground = Ground::usual();
    ground.write("d/kept", "kept");
    let stand = Stand::new(&ground);
    let changes = vec![
        stand.put("d", "file"),
        stand.change("d", Action::RemoveDirectory),
        stand.change("d", Action::Remove),
    ];
    for result in stand.applier.commit(changes) {
        assert!(matches!(result, Err(ApplyError::NotEmpty(_))), "{result:?}");
    }
    assert_eq!(ground.read("d/kept").as_deref(), Some("kept"));
}

#[test]
fn a_replaced_hard_link_leaves_the_other_names_alone() {
    let ground = Ground::usual();
    ground.write("one", "shared");
    fs::hard_link(ground.full("one"), ground.full("two")).unwrap();
    let stand = Stand::new(&ground);
    // Both in one batch: the first changes the ctime that the second expects.
    let changes = vec![
        stand.put("one", "new"),
        stand.change("two", Action::SetMetadata(plain())),
    ];
    for result in stand.applier.commit(changes) {
        result.unwrap();
    }
    assert_eq!(ground.read("one").as_deref(), Some("new"));
    assert_eq!(ground.read("two").as_deref(), Some("shared"));
}

#[test]
fn a_link_shares_the_file() {
    let ground = Ground::usual();
    ground.write("one", "shared");
    ground.write("two", "apart");
    let stand = Stand::new(&ground);
    let link = |to: &str| Action::Link {
        to: path(to),
        expected: stand.print(to),
    };
    let changes = vec![
        stand.change("two", link("one")),
        stand.change("three", link("one")),
    ];
    for result in stand.applier.commit(changes) {
        result.unwrap();
    }
    assert_eq!(ground.inode("one"), ground.inode("two"));
    assert_eq!(ground.inode("one"), ground.inode("three"));
    // Once more changes nothing and loses nothing.
    stand.commit_one(stand.change("two", link("one"))).unwrap();
    assert_eq!(ground.inode("one"), ground.inode("two"));
    assert!(ground.staged_names().is_empty());
}

#[test]
fn a_swap_moves_both_files_themselves() {
    for place in places() {
        let ground = Ground::new(&place);
        ground.write("a", "A");
        ground.write("b", "B");
        let stand = Stand::new(&ground);
        let (inode_a, inode_b) = (ground.inode("a"), ground.inode("b"));
        let mut to_b = stand.change("b", Action::Remove);
        let mut to_a = stand.change("a", Action::Remove);
        let from_a = stand.applier.adopt(&path("a"), &stand.print("a"));
        let from_b = stand.applier.adopt(&path("b"), &stand.print("b"));
        to_b.action = Action::Put(Box::new(from_a.unwrap()));
        to_a.action = Action::Put(Box::new(from_b.unwrap()));
        (to_a.displaced, to_b.displaced) = (Displaced::Discard, Displaced::Discard);
        for result in stand.applier.commit(vec![to_a, to_b]) {
            assert!(result.unwrap().fingerprint().is_some());
        }
        assert_eq!((ground.inode("a"), ground.inode("b")), (inode_b, inode_a));
        assert_eq!(ground.read("a").as_deref(), Some("B"));
        assert!(ground.staged_names().is_empty());
    }
}

#[test]
fn a_directory_is_renamed_with_all_that_it_holds() {
    for place in places() {
        let ground = Ground::new(&place);
        ground.write("from/deep/a", "A");
        ground.write("taken", "taken");
        let stand = Stand::new(&ground);
        let rename = || Action::Rename {
            from: path("from"),
            expected: stand.print("from"),
        };
        let mut onto = stand.change("taken", rename());
        onto.expected = None;
        assert!(matches!(
            stand.commit_one(onto),
            Err(ApplyError::Changed(_))
        ));
        let applied = stand.commit_one(stand.change("to", rename())).unwrap();
        assert_eq!(applied.fingerprint(), Some(stand.print("to")));
        assert_eq!(ground.read("to/deep/a").as_deref(), Some("A"));
        assert_eq!(ground.read("from"), None);
        assert_eq!(ground.read("taken").as_deref(), Some("taken"));
    }
}

#[test]
fn a_file_renamed_onto_another_sends_that_to_the_trash() {
    let ground = Ground::usual();
    ground.write("from", "F");
    ground.write("to", "T");
    let stand = Stand::new(&ground);
    let rename = Action::Rename {
        from: path("from"),
        expected: stand.print("from"),
    };
    assert!(
        stand
            .commit_one(stand.change("to", rename))
            .unwrap()
            .trashed
            .is_some()
    );
    assert_eq!(ground.read("to").as_deref(), Some("F"));
    assert_eq!(ground.trashed_contents(), ["T"]);
}

#[test]
fn nothing_is_placed_behind_a_symbolic_link_or_in_the_state() {
    let outside = Ground::usual();
    let ground = Ground::usual();
    symlink(outside.directory.path(), ground.full("out")).unwrap();
    let stand = Stand::new(&ground);
    for text in ["out/a", "missing/a"] {
        let result = stand.commit_one(stand.put(text, "x"));
        assert!(matches!(result, Err(ApplyError::NoParent(_))), "{result:?}");
    }
    for text in [".replicat/a", ".Replicat", ".replicat"] {
        let mut change = stand.put("a", "x");
        change.path = path(text);
        let result = stand.commit_one(change);
        assert!(matches!(result, Err(ApplyError::Reserved(_))), "{result:?}");
    }
    let mut change = stand.put("a", "x");
    change.path = RelPath::root();
    assert!(matches!(
        stand.commit_one(change),
        Err(ApplyError::Reserved(_))
    ));
    assert!(outside.tree().is_empty());
}

#[test]
fn untracked_metadata_stays_as_it_was_at_the_path() {
    let ground = Ground::usual();
    ground.write("a", "old");
    fs::set_permissions(ground.full("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let stand = Stand::new(&ground);
    let staged = stand.staging.small(b"new", &Metadata::default()).unwrap();
    let applied = stand.commit_one(stand.change("a", Action::Put(Box::new(staged))));
    assert!(applied.unwrap().fingerprint().is_some());
    assert_eq!(
        fs::metadata(ground.full("a")).unwrap().mode() & 0o7777,
        0o640
    );
}

#[test]
fn metadata_is_set_on_what_cannot_be_read() {
    let ground = Ground::usual();
    ground.write("a", "A");
    fs::set_permissions(ground.full("a"), fs::Permissions::from_mode(0o000)).unwrap();
    let stand = Stand::new(&ground);
    let applied = stand.commit_one(stand.change("a", Action::SetMetadata(plain())));
    assert_eq!(applied.unwrap().fingerprint(), Some(stand.print("a")));
    let found = fs::metadata(ground.full("a")).unwrap();
    assert_eq!(
        (found.mode() & 0o7777, found.mtime()),
        (0o644, 1_600_000_000)
    );
}

#[test]
fn special_bits_survive_and_a_closed_directory_is_made() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let special = Metadata {
        mode: Some(0o4755),
        ..plain()
    };
    let closed = Metadata {
        mode: Some(0o555),
        ..folder()
    };
    let staged = stand.staging.small(b"#!", &special).unwrap();
    stand
        .commit_one(stand.change("s", Action::Put(Box::new(staged))))
        .unwrap();
    let made = stand
        .commit_one(stand.change("d", Action::MakeDirectory(closed)))
        .unwrap();
    assert_eq!(made.fingerprint(), Some(stand.print("d")));
    let mode = |text| fs::metadata(ground.full(text)).unwrap().mode() & 0o7777;
    assert_eq!((mode("s"), mode("d")), (0o4755, 0o555));
}

#[test]
fn what_is_displaced_keeps_its_expected_disposition_without_a_trash() {
    let ground = Ground::usual();
    ground.write("a", "old");
    let stand = Stand::new(&ground);
    let durability = replicat_fs::apply::Durability::None;
    let applier = replicat_fs::apply::Applier::new(stand.staging.fork().unwrap(), None, durability);
    let change = stand.change("a", Action::Remove);
    assert_eq!(change.displaced, TO_TRASH);
    let applied = applier.commit(vec![change]).remove(0).unwrap();
    assert_eq!((applied.outcome, applied.trashed), (Outcome::Gone, None));
    assert!(ground.tree().is_empty() && ground.staged_names().is_empty());
}
