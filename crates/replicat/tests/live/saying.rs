//! What a node says of its folder and of single paths is so.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use super::place::{Place, assert_code, errors, until};

fn pipe(place: &Place, path: &str) {
    let made = Command::new("mkfifo").arg(place.path(path)).status();
    assert!(made.unwrap().success());
}

fn why(place: &Place, path: &str) -> Value {
    place.ask(&["why", path, "--json"])
}

#[test]
fn why_names_rule_and_place() {
    let place = Place::new();
    place.write("a/x.tmp", "1");
    place.write("a/photos/1", "1");
    place.write("a/built/x.o", "1");
    place.write("a/.replicatignore", "# built\n*.o\n");
    pipe(&place, "a/pipe");
    let words = ["--name", "a", "--directory", "site=a"];
    let rules = ["--exclude", "*.tmp", "--exclude", "/photos/"];
    let _a = place.serve(&[&words[..], &rules].concat());
    until("the pipe is listed", || {
        place.ask(&["folders", "--json"])["skipped"][0]["path"] == "pipe"
    });
    let setting = "`exclude` (--exclude) of folder site";
    for (path, matched, pattern, source) in [
        ("a/x.tmp", "x.tmp", "*.tmp", setting),
        ("a/photos/1", "photos", "/photos/", setting),
        ("a/built/x.o", "built/x.o", "*.o", ".replicatignore:2"),
    ] {
        let told = why(&place, path);
        let expected = json!({"path": matched, "pattern": pattern, "source": source});
        assert_eq!(told["excluded"], expected, "{told}");
        let fact = told["facts"][0].as_str().unwrap();
        assert!(fact.contains(&format!("`{pattern}` in {source}")), "{fact}");
    }
    let told = why(&place, "a/pipe");
    assert_eq!(told["skipped"]["kind"], "special");
    assert_eq!(
        told["facts"],
        json!(["it is skipped: it is a named pipe, which cannot be synced"])
    );
    let told = why(&place, "a/nothing");
    assert_eq!(
        told["facts"],
        json!(["nothing is there, and nothing is known of it"])
    );
}

#[test]
fn why_names_who_holds_a_path_and_who_does_not() {
    let place = Place::new();
    let a = place.node("a", None);
    let b = place.node("b", Some(&a));
    place.write("a/file", "1");
    place.arrives("b/file", "1");
    let holder = |path: &str, key: &str| why(&place, path)["holders"][0][key].clone();
    until("b has confirmed it", || holder("a/file", "holds") == true);
    assert_eq!(holder("a/file", "name"), "b");
    assert_eq!(holder("a/file", "connected"), true);
    assert_eq!(why(&place, "a/file")["waits_for"], Value::Null);
    assert_eq!(b.end(), 0);
    place.write("a/file", "2, while b is away");
    until("the edit is known", || {
        let told = why(&place, "a/file").to_string();
        told.contains("18 bytes") && told.contains("\"connected\":false")
    });
    let told = why(&place, "a/file");
    assert_eq!(told["holders"][0]["holds"], false);
    assert_eq!(told["waits_for"], "confirmation by b (not connected)");
    assert!(!told.to_string().contains("agreed"), "{told}");
}

/// A node's directory may be named as its own process sees it, and a command may come through a link or name the socket.
#[test]
fn paths_are_found_beside_a_running_node() {
    let place = Place::new();
    place.write("a/deep/file", "1");
    symlink("a", place.path("link")).unwrap();
    let state = place.path("states");
    let words = ["--name", "a", "--directory", "site=./link"];
    let outside = ["--state-dir", state.to_str().unwrap()];
    let _a = place.serve(&[&words[..], &outside].concat());
    let found = |words: &[&str], directory: &str| {
        let mut command = place.command(words);
        let output = command.current_dir(place.path(directory)).output().unwrap();
        output.status.code() == Some(0)
            && String::from_utf8_lossy(&output.stdout).contains("deep/file")
    };
    until("the folder is open", || found(&["why", "deep/file"], "a"));
    let socket = place.path("replicat/a.sock");
    let socket = socket.to_str().unwrap();
    for (words, directory) in [
        (vec!["why", "../link/deep/file"], "states"),
        (vec!["why", "file"], "a/deep"),
        (vec!["why", "link/deep/file", "--node-socket", "a"], ""),
        (vec!["why", "a/deep/file", "--node-socket", socket], ""),
        (
            vec![
                "why",
                "/deep/file",
                "--folder",
                "site",
                "--node-socket",
                "a",
            ],
            "",
        ),
        (vec!["tree", "."], "a"),
        (vec!["tree", "link"], ""),
        (vec!["tree", "a/deep"], ""),
    ] {
        assert!(found(&words, directory), "{words:?} in {directory:?}");
    }
    for words in [
        vec!["conflicts", "link"],
        vec!["history", "link/deep/file"],
        vec!["status", "link"],
        vec!["status", "a", "--node-socket", "a"],
        vec!["approve", "link"],
    ] {
        assert_code(&place.run(&words), 0);
    }
    let missing = place.run(&["restore", "link/deep/file"]);
    assert!(
        errors(&missing).contains("in the trash"),
        "{}",
        errors(&missing)
    );
    fs::create_dir(place.path("elsewhere")).unwrap();
    assert_code(&place.run(&["why", "elsewhere/x", "--node-socket", "a"]), 2);
}
