//! Deletions that look like an accident are held, and all else goes on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use replicat_engine::live::{FolderState, LiveSettings};

use tempfile::tempdir;

use crate::pair::{Cable, Live, settle, tree, wait};

const FILES: usize = 200;

/// A brake is one after half a second.
fn impatient(mut settings: LiveSettings) -> LiveSettings {
    settings.brake_patience = Duration::from_millis(500);
    settings
}

fn name(number: usize) -> String {
    format!("d{}/f{number}", number % 5)
}

/// Two folders of 200 files in five directories, in sync, and a file that nobody deletes.
fn pair(world: &Path) -> (Live, Live, Cable) {
    let root = world.join("one");
    for number in 0..FILES {
        let path = root.join(name(number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("content {number}")).unwrap();
    }
    fs::write(root.join("kept"), "as it was").unwrap();
    let one = Live::with("one", &root, impatient);
    let other = Live::with("other", &world.join("other"), impatient);
    let cable = Cable::connect(&one, &other);
    wait("all files", || files(&other) == FILES);
    settle(&[&one, &other]);
    (one, other, cable)
}

/// How many of the files are there.
fn files(live: &Live) -> usize {
    (0..FILES)
        .filter(|number| live.path(&name(*number)).exists())
        .count()
}

/// Deletes them one by one, as a slow `rm -rf` does.
fn delete(live: &Live, numbers: std::ops::Range<usize>) {
    for number in numbers {
        fs::remove_file(live.path(&name(number))).unwrap();
        // The pace is what is tested: the deletion takes longer than a look.
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn deletion_of_most_files_one_by_one_is_held() {
    let world = tempdir().unwrap();
    let (one, other, _cable) = pair(world.path());
    delete(&one, 0..FILES);
    wait("the brake", || one.status().brake.is_some());
    assert!(files(&other) >= FILES - FILES / 20, "{}", files(&other));
    // The folder is not halted: edits travel both ways.
    assert_eq!(one.status().state, FolderState::Online);
    fs::write(one.path("kept"), "edited").unwrap();
    wait("the edit", || {
        other.read("kept").as_deref() == Some("edited")
    });
    fs::write(other.path("new"), "new").unwrap();
    wait("the new file", || one.read("new").is_some());
    assert!(!one.status().in_sync);
    let held = one.status().held;
    assert_eq!(held.here as usize, files(&other));
    assert!(one.folder.approve().unwrap());
    // The other judges for itself.
    wait("the brake of the other", || other.status().brake.is_some());
    assert!(other.folder.approve().unwrap());
    wait("the deletions", || files(&other) == 0);
    settle(&[&one, &other]);
    assert!(one.status().brake.is_none() && other.status().brake.is_none());
}

#[test]
fn rejected_deletions_bring_the_files_back() {
    let world = tempdir().unwrap();
    let (one, other, _cable) = pair(world.path());
    fs::remove_dir_all(one.path("d0")).unwrap();
    delete_all(&one);
    wait("the brake", || one.status().brake.is_some());
    let kept = files(&other);
    assert!(one.folder.reject().unwrap());
    wait("the files", || files(&one) == kept);
    settle(&[&one, &other]);
    assert_eq!(tree(&one.root), tree(&other.root));
    assert!(!one.folder.reject().unwrap(), "nothing is held any more");
}

fn delete_all(live: &Live) {
    for directory in 1..5 {
        fs::remove_dir_all(live.path(&format!("d{directory}"))).unwrap();
    }
}

#[test]
fn deletions_of_a_peer_are_judged_and_can_be_rejected() {
    let world = tempdir().unwrap();
    let (one, other, cable) = pair(world.path());
    delete(&one, 0..FILES);
    wait("the brake", || one.status().brake.is_some());
    assert!(one.folder.approve().unwrap());
    wait("the brake of the other", || other.status().brake.is_some());
    let kept = files(&other);
    assert!(kept > FILES / 2);
    assert_eq!(other.status().held.elsewhere as usize, kept);
    assert!(other.folder.reject().unwrap());
    wait("the files", || files(&one) == kept);
    settle(&[&one, &other]);
    drop(cable);
}

#[test]
fn less_than_half_is_deleted_without_a_brake() {
    let world = tempdir().unwrap();
    let (one, other, _cable) = pair(world.path());
    delete(&one, 0..60);
    wait("the deletions", || files(&other) == FILES - 60);
    settle(&[&one, &other]);
    assert!(one.status().brake.is_none() && other.status().brake.is_none());
}

#[test]
fn files_that_are_written_anew_are_not_held() {
    let world = tempdir().unwrap();
    let (one, other, _cable) = pair(world.path());
    for directory in 0..5 {
        fs::remove_dir_all(one.path(&format!("d{directory}"))).unwrap();
    }
    wait("the hold", || one.status().held_deletions > 0);
    for number in 0..FILES - 5 {
        let path = one.path(&name(number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("content {number}, again")).unwrap();
    }
    wait("the new contents", || {
        (0..FILES - 5)
            .all(|number| other.read(&name(number)) == Some(format!("content {number}, again")))
    });
    settle(&[&one, &other]);
    assert_eq!(files(&other), FILES - 5);
    assert_eq!(one.status().held_deletions, 0);
}

#[test]
fn edit_elsewhere_comes_back_to_a_held_path() {
    let world = tempdir().unwrap();
    let (one, other, _cable) = pair(world.path());
    delete(&one, 0..FILES);
    wait("the brake", || one.status().brake.is_some());
    let number = (0..FILES)
        .rev()
        .find(|number| other.path(&name(*number)).exists());
    let edited = name(number.unwrap());
    fs::write(other.path(&edited), "edited elsewhere").unwrap();
    wait("the edit", || {
        one.read(&edited).as_deref() == Some("edited elsewhere")
    });
    assert!(one.status().brake.is_some());
}

#[test]
fn limit_of_deletions_is_a_brake() {
    let world = tempdir().unwrap();
    let limited = |mut settings: LiveSettings| {
        settings.max_delete = Some(3);
        impatient(settings)
    };
    let root = world.path().join("one");
    fs::create_dir_all(&root).unwrap();
    for number in 0..100 {
        fs::write(root.join(format!("f{number}")), "x").unwrap();
    }
    let one = Live::with("one", &root, limited);
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    wait("all files", || tree(&other.root).len() == 100);
    settle(&[&one, &other]);
    for number in 0..4 {
        fs::remove_file(one.path(&format!("f{number}"))).unwrap();
    }
    wait("the brake", || one.status().brake.is_some());
    assert!(tree(&other.root).len() >= 97);
    assert!(one.folder.approve().unwrap());
    wait("the deletions", || tree(&other.root).len() == 96);
}
