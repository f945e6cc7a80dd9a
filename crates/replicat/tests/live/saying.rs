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
        errors(&missing).contains("has no earlier version"),
        "{}",
        errors(&missing)
    );
    fs::create_dir(place.path("elsewhere")).unwrap();
    assert_code(&place.run(&["why", "elsewhere/x", "--node-socket", "a"]), 2);
}

fn check(place: &Place, words: &[&str]) -> (i32, String) {
    let output = place.run(&[&["status", "--check"], words].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}{}", errors(&output));
    (output.status.code().unwrap(), text.trim_end().to_owned())
}

#[test]
fn status_check_tells_by_its_exit_code() {
    let place = Place::new();
    let (code, line) = check(&place, &[]);
    assert_eq!((code, line.as_str()), (5, "DOWN: no node runs here"));
    let a = place.node("a", None);
    let _b = place.node("b", Some(&a));
    place.write("a/file", "1");
    place.arrives("b/file", "1");
    let on_b = ["--node-socket", "b"];
    until("b is in sync", || check(&place, &on_b).0 == 0);
    assert_eq!(check(&place, &["b"]), (0, "IN SYNC".to_owned()));
    assert_code(&place.run(&["pause", "--node-socket", "b"]), 0);
    until("b is paused", || check(&place, &on_b).0 == 3);
    assert_eq!(check(&place, &on_b).1, "NOT IN SYNC: folder site: paused");
    assert_code(&place.run(&["resume", "--node-socket", "b"]), 0);
    until("b goes on", || check(&place, &on_b).0 == 0);
    assert_eq!(a.end(), 0);
    until("a is missed", || check(&place, &on_b).0 == 3);
    fs::rename(place.path("b"), place.path("gone")).unwrap();
    until("b is halted", || check(&place, &on_b).0 == 5);
    let told = place.run(&["status", "--check", "--json", "--node-socket", "b"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["type"], &told["code"]), (&"check".into(), &5.into()));
    assert_eq!(told["state"], "down");
}

#[test]
fn remedy_that_does_nothing_says_so() {
    let place = Place::new();
    place.write("a/file", "1");
    let _a = place.node("a", None);
    until("it is open", || {
        place.ask(&["folders", "--json"])["status"] == "Joining Cluster"
    });
    let needless = place.run(&["approve", "a"]);
    assert_code(&needless, 0);
    let text = String::from_utf8_lossy(&needless.stdout).into_owned();
    assert_eq!(text, "no deletion is held; nothing to approve\n");
    fs::rename(place.path("a"), place.path("gone")).unwrap();
    until("it is halted", || {
        place.ask(&["folders", "--json"])["status"] == "Halted"
    });
    for (words, problem) in [
        (
            ["rescan", "site", "--node-socket", "a"],
            "nothing was scanned",
        ),
        (
            ["approve", "--folder", "site", "--node-socket=a"],
            "nothing to approve",
        ),
    ] {
        let output = place.run(&words);
        assert_code(&output, 5);
        let told = errors(&output);
        assert!(
            told.contains(problem) && told.contains("does not exist"),
            "{told}"
        );
        assert!(told.contains("goes on by itself"), "{told}");
    }
    fs::rename(place.path("gone"), place.path("a")).unwrap();
    until("it goes on", || {
        place.ask(&["folders", "--json"])["status"] == "Joining Cluster"
    });
    assert_code(&place.run(&["rescan", "site"]), 0);
}

/// A disk that is not mounted yet when the node starts.
#[test]
fn folder_opens_when_its_directory_comes_back() {
    let place = Place::new();
    place.write("other/file", "1");
    let words = [
        "--name",
        "a",
        "--directory",
        "site=a",
        "--directory",
        "more=other",
    ];
    assert_eq!(place.serve(&words).end(), 0);
    fs::rename(place.path("a"), place.path("unmounted")).unwrap();
    let all = [
        &["serve", "--json", "--cluster-key-file", "key"],
        &words[..],
    ];
    let _a = place.start(&all.concat(), "again");
    let site = || {
        let output = place.run(&["folders", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("\"site\"")).unwrap();
        serde_json::from_str::<Value>(line).unwrap()
    };
    assert_eq!(site()["status"], "Halted");
    assert!(
        site()["reason"]
            .to_string()
            .contains("tried again by itself")
    );
    fs::rename(place.path("unmounted"), place.path("a")).unwrap();
    until("it is open", || site()["status"] == "Joining Cluster");
}

#[test]
fn damaged_index_is_moved_away_as_advised() {
    let place = Place::new();
    place.write("a/file", "1");
    let other = [
        "--name",
        "a",
        "--directory",
        "site=a",
        "--directory",
        "more=b",
    ];
    assert_eq!(place.serve(&other).end(), 0);
    fs::write(place.path("a/.replicat/index.redb"), vec![7; 9000]).unwrap();
    let _a = place.serve(&other);
    let site = || place.ask(&["status", "a", "--json"]);
    let reason = site()["reason"].as_str().unwrap_or_default().to_owned();
    let advice = reason
        .split('`')
        .nth(1)
        .unwrap_or_else(|| panic!("{reason}"));
    let done = Command::new("sh").arg("-c").arg(advice).status();
    assert!(done.unwrap().success(), "{advice}");
    until("it is open", || site()["status"] == "Joining Cluster");
    assert_eq!(place.read("a/file").as_deref(), Some("1"));
}
