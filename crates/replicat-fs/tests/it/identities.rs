//! Whether a root is recognised.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use replicat_fs::identity::{Comparison, RootIdentity};
use replicat_fs::root::Root;

use crate::scenery::{Scenery, path};

fn identity(at: &Path) -> RootIdentity {
    let root = Root::open(at).unwrap();
    let state = root.directory(&path(".replicat")).unwrap();
    RootIdentity::of(&root, state.as_fd()).unwrap()
}

#[test]
fn a_renamed_root_is_the_same_and_a_copied_one_is_not() {
    let scenery = Scenery::new();
    scenery.make("folder/.replicat");
    let recorded = identity(&scenery.at("folder"));
    let copied = Command::new("cp")
        .arg("-a")
        .args([scenery.at("folder"), scenery.at("copy")])
        .status()
        .unwrap();
    assert!(copied.success());
    let copy = identity(&scenery.at("copy"));
    assert_eq!(copy.compare(&recorded), Comparison::OtherRoot);
    fs::rename(scenery.at("folder"), scenery.at("renamed")).unwrap();
    let renamed = identity(&scenery.at("renamed"));
    assert_eq!(renamed.compare(&recorded), Comparison::Same);
    fs::rename(scenery.at("copy/.replicat"), scenery.at("aside")).unwrap();
    fs::rename(
        scenery.at("renamed/.replicat"),
        scenery.at("copy/.replicat"),
    )
    .unwrap();
    fs::rename(scenery.at("aside"), scenery.at("renamed/.replicat")).unwrap();
    let restored = identity(&scenery.at("renamed"));
    assert_eq!(restored.compare(&recorded), Comparison::OtherState);
}

#[test]
fn a_root_knows_when_another_took_its_place() {
    let scenery = Scenery::new();
    scenery.make("folder");
    let root = Root::open(scenery.at("folder")).unwrap();
    assert!(root.is_in_place().unwrap());
    fs::rename(scenery.at("folder"), scenery.at("away")).unwrap();
    assert!(!root.is_in_place().unwrap());
    scenery.make("folder");
    assert!(!root.is_in_place().unwrap());
}
