//! What is known again of own writes.

use std::fs;

use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::echo::{Echoes, Sifted, Written};
use replicat_fs::observe;

use crate::scenery::{Scenery, path};

fn look(scenery: &Scenery, name: &str) -> Fingerprint {
    let found = scenery.root.stat(&path(name)).unwrap().unwrap();
    observe::fingerprint(&found)
}

fn paths(names: &[&str]) -> Vec<RelPath> {
    names.iter().map(path).collect()
}

/// A directory with files, as if replicat had just made them.
fn made(scenery: &Scenery) -> Echoes {
    let mut echoes = Echoes::default();
    scenery.make("d/e");
    for directory in ["d", "d/e"] {
        let made = Written::Directory(look(scenery, directory));
        echoes.note(&path(directory), made);
    }
    for file in ["top", "d/one", "d/two", "d/e/three"] {
        scenery.write(file, file);
        echoes.note(&path(file), Written::File(look(scenery, file)));
    }
    echoes
}

fn sift(scenery: &Scenery, echoes: &Echoes, names: &[&str]) -> Sifted {
    let mut sifted = echoes.sift(&scenery.root, paths(names));
    sifted.alone.sort();
    sifted
}

#[test]
fn what_is_as_it_was_written_is_no_news() {
    let scenery = Scenery::new();
    let echoes = made(&scenery);
    let sifted = sift(&scenery, &echoes, &["top", "d", "d/one", "d/e/three"]);
    assert_eq!(sifted.whole, []);
    assert_eq!(sifted.alone, paths(&["d", "d/e"]));
    scenery.write("other", "1");
    let sifted = sift(&scenery, &echoes, &["other", "top"]);
    assert_eq!(sifted.whole, paths(&["other"]));
    assert_eq!(sifted.alone, []);
}

#[test]
fn what_was_touched_replaced_or_removed_is_news() {
    let scenery = Scenery::new();
    let mut echoes = made(&scenery);
    scenery.write("top", "two");
    fs::rename(scenery.at("d/one"), scenery.at("d/two")).unwrap();
    let sifted = sift(&scenery, &echoes, &["top", "d/one", "d/two", "d/e/three"]);
    assert_eq!(sifted.whole, paths(&["d/one", "d/two", "top"]));
    echoes.note(&path("d/e/three"), Written::Doubtful);
    let sifted = sift(&scenery, &echoes, &["d/e/three"]);
    assert_eq!(sifted.whole, paths(&["d/e/three"]));
}

#[test]
fn what_came_to_a_directory_or_went_before_it_was_watched_is_news() {
    let scenery = Scenery::new();
    let echoes = made(&scenery);
    scenery.write("d/e/strange", "1");
    fs::remove_file(scenery.at("d/two")).unwrap();
    let sifted = sift(&scenery, &echoes, &["d"]);
    assert_eq!(sifted.whole, paths(&["d/e/strange", "d/two"]));
    assert_eq!(sifted.alone, paths(&["d", "d/e"]));
    // Another directory in its place is not the one that was made.
    fs::rename(scenery.at("d"), scenery.at("elsewhere")).unwrap();
    scenery.make("d");
    let sifted = sift(&scenery, &echoes, &["d"]);
    assert_eq!(sifted.whole, paths(&["d"]));
}
