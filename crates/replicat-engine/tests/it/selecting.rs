//! Folders of which a replica selects some directories, and what becomes of the local copies of the others.

use std::fs;
use std::path::Path;
use std::time::Duration;

use replicat_core::path::RelPath;
use replicat_engine::engine::inspect::{Answer, Question};
use replicat_engine::live::LiveSettings;
use replicat_engine::selection::{Pruned, Selection, SelectionChange, StayReason};
use tempfile::{TempDir, tempdir};

use super::pair::{Cable, Live, settle, tree, wait};

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn write(live: &Live, name: &str, content: &str) {
    fs::create_dir_all(live.path(name).parent().unwrap()).unwrap();
    fs::write(live.path(name), content).unwrap();
}

fn deselect(live: &Live, name: &str) {
    let change = SelectionChange::Remove(vec![path(name)]);
    live.folder.select(change).unwrap();
}

/// The paths that stay, with the reasons.
fn staying(pruned: &Pruned) -> Vec<(String, StayReason)> {
    let staying = pruned.staying.iter();
    staying
        .map(|copy| (copy.path.to_string(), copy.reason.clone()))
        .collect()
}

fn wait_in_sync(folders: &[&Live]) {
    wait("in sync", || {
        folders.iter().all(|live| live.status().in_sync)
    });
}

/// Two folders with files in two directories, in sync and connected.
fn pair(world: &TempDir) -> (Live, Live, Cable) {
    let one = Live::start("one", &world.path().join("one"));
    let two = Live::start("two", &world.path().join("two"));
    for name in ["docs/list", "photos/a", "photos/2024/b"] {
        write(&one, name, name);
    }
    let cable = Cable::connect(&one, &two);
    settle(&[&one, &two]);
    (one, two, cable)
}

#[test]
fn deselected_directory_is_not_synced_and_counts_as_excluded() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&two, "photos");
    write(&one, "photos/c", "new");
    write(&one, "photos/a", "edited");
    write(&one, "docs/mark", "mark");
    wait("the mark", || two.read("docs/mark").is_some());
    wait_in_sync(&[&one, &two]);
    assert_eq!(two.read("photos/c"), None);
    assert_eq!(two.read("photos/a").unwrap(), "photos/a");
    let status = two.status();
    assert_eq!((status.pending, status.excluded), (0, 5));
    // What the other changes there does not travel.
    write(&two, "photos/a", "of its own");
    write(&two, "docs/mark", "again");
    wait("the mark", || one.read("docs/mark").unwrap() == "again");
    assert_eq!(one.read("photos/a").unwrap(), "edited");
}

#[test]
fn selected_again_a_directory_is_brought_as_it_is_by_then() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&two, "photos");
    write(&one, "photos/c", "new");
    write(&two, "photos/2024/b", "edited while deselected");
    fs::remove_file(one.path("photos/a")).unwrap();
    wait_in_sync(&[&one, &two]);
    two.folder.select(SelectionChange::Everything).unwrap();
    wait("the edit", || {
        one.read("photos/2024/b").unwrap() == "edited while deselected"
    });
    settle(&[&one, &two]);
    assert_eq!(two.read("photos/c").unwrap(), "new");
    assert_eq!(two.read("photos/a"), None);
    assert_eq!(tree(&one.root).len(), 6, "{:?}", tree(&one.root));
}

#[test]
fn only_what_is_selected_is_brought_to_a_new_replica() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    for name in ["docs/list", "photos/a", "photos/2024/b", "top"] {
        write(&one, name, name);
    }
    let only = |paths: &[&str]| Some(Selection::only(paths.iter().map(|text| path(text))));
    let two = Live::with("two", &world.path().join("two"), |settings| LiveSettings {
        selection: only(&["photos/2024"]),
        ..settings
    });
    let _cable = Cable::connect(&one, &two);
    wait("the photo", || two.read("photos/2024/b").is_some());
    wait_in_sync(&[&one, &two]);
    let names: Vec<_> = tree(&two.root).into_iter().map(|(name, _)| name).collect();
    let expected = ["photos", "photos/2024", "photos/2024/b"].map(Path::new);
    assert_eq!(names, expected);
    // The settings decide.
    let refused = two.folder.select(SelectionChange::Everything);
    assert!(refused.unwrap_err().to_string().contains("settings"));
}

#[test]
fn pruned_copies_are_in_the_trash_and_come_back() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&two, "photos");
    let planned = two.folder.prune(true).unwrap();
    assert_eq!((planned.files, planned.directories), (2, 2));
    assert_eq!(two.read("photos/a").unwrap(), "photos/a");
    let pruned = two.folder.prune(false).unwrap();
    assert_eq!(staying(&pruned), []);
    assert_eq!((pruned.files, pruned.directories), (2, 2));
    assert_eq!(pruned.bytes, "photos/aphotos/2024/b".len() as u64);
    assert!(!two.path("photos").exists());
    wait_in_sync(&[&one, &two]);
    let Answer::Trash(trash) = two.folder.inspect(Question::Trash).unwrap() else {
        panic!("another answer");
    };
    let trashed: Vec<_> = trash.iter().flat_map(|row| row.path.clone()).collect();
    assert_eq!(trashed.len(), 2, "{trashed:?}");
    assert_eq!(one.read("photos/a").unwrap(), "photos/a");
    assert_eq!(two.folder.prune(false).unwrap(), Pruned::default());
    // Nothing was deleted: selected again, it comes back.
    two.folder.select(SelectionChange::Everything).unwrap();
    settle(&[&one, &two]);
    assert_eq!(two.read("photos/2024/b").unwrap(), "photos/2024/b");
}

#[test]
fn copy_that_nobody_keeps_stays() {
    let world = tempdir().unwrap();
    let (one, two, cable) = pair(&world);
    deselect(&two, "photos");
    cable.cut();
    let all = ["photos", "photos/2024", "photos/2024/b", "photos/a"];
    let lonely = |pruned: &Pruned| {
        let reasons = staying(pruned);
        let is_lonely = |(_, reason): &(String, StayReason)| *reason == StayReason::NotElsewhere;
        assert!(reasons.iter().all(is_lonely), "{reasons:?}");
        reasons
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(lonely(&two.folder.prune(false).unwrap()), all);
    // The peer knows the version, and its storage has lost the content since.
    let _cable = Cable::connect(&one, &two);
    settle(&[&one, &two]);
    deselect(&one, "photos/a");
    fs::remove_file(one.path("photos/a")).unwrap();
    let pruned = two.folder.prune(false).unwrap();
    let lonely = ("photos/a".to_owned(), StayReason::NotElsewhere);
    let stays = staying(&pruned);
    assert!(stays.contains(&lonely), "{stays:?}");
    // Why the directory stays depends on how much the peer has said yet.
    assert_eq!(
        (stays.len(), stays[0].0.as_str()),
        (2, "photos"),
        "{stays:?}"
    );
    assert_eq!(two.read("photos/a").unwrap(), "photos/a");
    assert!(!two.path("photos/2024").exists());
}

#[test]
fn replicas_that_both_prune_rely_on_no_one() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&one, "photos");
    deselect(&two, "photos");
    std::thread::scope(|scope| {
        let of_one = scope.spawn(|| one.folder.prune(false).unwrap());
        let of_two = scope.spawn(|| two.folder.prune(false).unwrap());
        for pruned in [of_one.join().unwrap(), of_two.join().unwrap()] {
            assert_eq!(pruned.files, 0, "{pruned:?}");
        }
    });
    // As one selects it again, the other may go.
    one.folder.select(SelectionChange::Everything).unwrap();
    wait_in_sync(&[&one, &two]);
    wait("a pruned file", || {
        two.folder.prune(false).unwrap().files > 0
    });
    assert_eq!(one.read("photos/a").unwrap(), "photos/a");
}

/// What is selected changes while a prune of the second folder waits for the answer of the first.
fn select_during_prune(changes: impl Fn(&Live, &Live)) {
    let world = tempdir().unwrap();
    let (one, two, cable) = pair(&world);
    deselect(&two, "photos");
    cable.delay(Duration::from_millis(500));
    let pruned = std::thread::scope(|scope| {
        let pruning = scope.spawn(|| two.folder.prune(false).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        changes(&one, &two);
        pruning.join().unwrap()
    });
    cable.delay(Duration::ZERO);
    assert_eq!((pruned.files, pruned.directories), (0, 0), "{pruned:?}");
    let overtaken = |(_, reason): &(String, StayReason)| *reason == StayReason::Overtaken;
    assert!(staying(&pruned).iter().all(overtaken), "{pruned:?}");
    for live in [&one, &two] {
        live.folder.select(SelectionChange::Everything).unwrap();
    }
    settle(&[&one, &two]);
    for live in [&one, &two] {
        assert_eq!(live.read("photos/a").unwrap(), "photos/a");
        assert_eq!(live.read("photos/2024/b").unwrap(), "photos/2024/b");
    }
}

#[test]
fn directory_that_is_selected_again_during_a_prune_stays() {
    select_during_prune(|_, two| drop(two.folder.select(SelectionChange::Everything)));
}

#[test]
fn answer_is_void_once_others_could_rely_on_the_copy() {
    select_during_prune(|_, two| {
        two.folder.select(SelectionChange::Everything).unwrap();
        // Here another replica may prune, since this one has the directory in scope.
        deselect(two, "photos");
    });
}

#[test]
fn what_was_changed_or_made_since_it_was_deselected_stays() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&two, "photos");
    write(&two, "photos/a", "edited");
    write(&two, "photos/2024/mine", "made here");
    let pruned = two.folder.prune(false).unwrap();
    assert_eq!(
        staying(&pruned),
        [
            ("photos".to_owned(), StayReason::NotEmpty),
            ("photos/2024".to_owned(), StayReason::NotEmpty),
            ("photos/a".to_owned(), StayReason::Changed),
        ]
    );
    assert_eq!(pruned.files, 1);
    assert_eq!(two.read("photos/a").unwrap(), "edited");
    assert_eq!(two.read("photos/2024/mine").unwrap(), "made here");
    two.folder.select(SelectionChange::Everything).unwrap();
    settle(&[&one, &two]);
    assert_eq!(one.read("photos/a").unwrap(), "edited");
    assert_eq!(one.read("photos/2024/mine").unwrap(), "made here");
    assert_eq!(two.read("photos/2024/b").unwrap(), "photos/2024/b");
}

#[test]
fn version_that_was_replaced_or_deleted_elsewhere_goes() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&two, "photos");
    write(&one, "photos/a", "edited elsewhere");
    fs::remove_file(one.path("photos/2024/b")).unwrap();
    write(&one, "docs/mark", "mark");
    wait("the mark", || two.read("docs/mark").is_some());
    wait_in_sync(&[&one, &two]);
    let pruned = two.folder.prune(false).unwrap();
    assert_eq!((pruned.files, staying(&pruned)), (2, vec![]));
    assert_eq!(one.read("photos/a").unwrap(), "edited elsewhere");
}

#[test]
fn prune_that_was_cut_off_is_taken_up_again() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    deselect(&two, "photos");
    two.folder.prune(false).unwrap();
    // As if the power had failed after the record said so, and before the file was moved.
    write(&two, "photos/a", "photos/a");
    write(&two, "photos/2024/b", "other content");
    let pruned = two.folder.prune(false).unwrap();
    assert_eq!(pruned.files, 1);
    assert_eq!(
        staying(&pruned),
        [
            ("photos".to_owned(), StayReason::NotEmpty),
            ("photos/2024".to_owned(), StayReason::NotEmpty),
            ("photos/2024/b".to_owned(), StayReason::Changed),
        ]
    );
    two.folder.select(SelectionChange::Everything).unwrap();
    settle(&[&one, &two]);
    assert_eq!(one.read("photos/a").unwrap(), "photos/a");
    let contents: Vec<_> = tree(&one.root)
        .into_iter()
        .flat_map(|(_, held)| held)
        .collect();
    assert!(contents.contains(&b"other content".to_vec()));
    assert!(contents.contains(&b"photos/2024/b".to_vec()));
}

#[test]
fn ignored_files_stay_ignored_after_a_prune() {
    let world = tempdir().unwrap();
    let (one, two, _cable) = pair(&world);
    write(&one, "photos/.replicatignore", "*.tmp\n");
    write(&one, "photos/other/c", "c");
    settle(&[&one, &two]);
    write(&two, "photos/2024/ignored.tmp", "private");
    deselect(&two, "photos");
    let pruned = two.folder.prune(false).unwrap();
    assert_eq!(
        staying(&pruned),
        [
            ("photos".to_owned(), StayReason::NotEmpty),
            ("photos/.replicatignore".to_owned(), StayReason::Patterns),
            ("photos/2024".to_owned(), StayReason::NotEmpty),
        ]
    );
    assert!(!two.path("photos/other").exists());
    two.folder.select(SelectionChange::Everything).unwrap();
    write(&two, "docs/mark", "mark");
    wait("the mark", || one.read("docs/mark").is_some());
    wait("the photos", || two.read("photos/other/c").is_some());
    wait_in_sync(&[&one, &two]);
    assert!(!one.path("photos/2024/ignored.tmp").exists());
    assert_eq!(two.read("photos/2024/ignored.tmp").unwrap(), "private");
    fs::remove_file(two.path("photos/2024/ignored.tmp")).unwrap();
    deselect(&two, "photos");
    wait("all goes", || {
        staying(&two.folder.prune(false).unwrap()).is_empty()
    });
    assert!(!two.path("photos").exists());
}
