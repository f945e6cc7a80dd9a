//! Nodes as users run them: real processes on loopback, and the commands that ask them.

#![allow(clippy::unwrap_used)] // The helpers of a test may panic as the test itself may.

mod elsewhere;
mod http;
mod managed;
mod place;
mod reload;
mod restoring;
mod saying;

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use place::{Place, assert_code, errors, until};

#[test]
fn two_processes_keep_a_folder_in_sync_and_can_be_asked() {
    let place = Place::new();
    place.write("a/one", "1");
    let a = place.node("a", None);
    let b = place.node("b", Some(&a));
    place.arrives("b/one", "1");
    place.write("b/two", "2");
    place.arrives("a/two", "2");
    until("b says that it is in sync", || {
        let folder = place.ask(&["folders", "--json", "--node-socket", "b"]);
        folder["in_sync"] == true
    });
    let node = place.ask(&["status", "--json", "--node-socket", "a"]);
    assert_eq!(node["status"], "Online");
    assert!(node["workers"].as_array().unwrap().len() > 4);
    let peer = place.ask(&["nodes", "--json", "--node-socket", "b"]);
    assert_eq!(
        (&peer["name"], &peer["status"]),
        (&"a".into(), &"connected".into())
    );
    let events = place.run(&["events", "--node-socket", "b"]);
    let events = String::from_utf8(events.stdout).unwrap();
    assert!(
        events.contains("notify.Create        site: one  by a through a"),
        "{events}"
    );
    assert!(
        events.contains("notify.Create        site: two  by b\n"),
        "{events}"
    );
    let several = place.run(&["status"]);
    assert_code(&several, 2);
    assert!(errors(&several).contains("several nodes run here"));
    assert_eq!((a.end(), b.end()), (0, 0));
    assert_code(&place.run(&["status"]), 2);
}

#[test]
fn a_folder_is_paused_resumed_and_looked_at_anew() {
    let place = Place::new();
    let _a = place.node("a", None);
    let paused = place.ask(&["pause", "site", "--json"]);
    assert_eq!(paused["folders"][0], "site");
    until("it is paused", || {
        place.ask(&["folders", "--json"])["status"] == "Paused"
    });
    assert_code(&place.run(&["resume"]), 0);
    assert_code(&place.run(&["rescan", "site", "x/y"]), 0);
    let unknown = place.run(&["pause", "nothing"]);
    assert_code(&unknown, 2);
    assert!(errors(&unknown).contains("there is no folder nothing; there are: site"));
}

#[test]
fn a_node_that_is_killed_comes_back() {
    let place = Place::new();
    let a = place.node("a", None);
    let b = place.node("b", Some(&a));
    place.write("a/one", "1");
    place.arrives("b/one", "1");
    b.signal(Signal::SIGKILL);
    drop(b);
    place.write("a/one", "while b was away");
    place.write("b/two", "while b was down");
    let _b = place.node("b", Some(&a));
    place.arrives("b/one", "while b was away");
    place.arrives("a/two", "while b was down");
}

#[test]
fn settings_are_read_anew_at_a_hang_up() {
    let place = Place::new();
    let folder = |name: &str| format!("[[folders]]\nname = \"{name}\"\ndirectory = \"{name}\"\n");
    place.write("settings.toml", format!("name = \"a\"\n{}", folder("one")));
    let node = place.serve(&["--config", "settings.toml"]);
    let both = format!("name = \"a\"\n{}{}", folder("one"), folder("two"));
    place.write("settings.toml", both);
    node.signal(Signal::SIGHUP);
    until("the second folder is there", || place.path("two").is_dir());
    assert_eq!(node.end(), 0);
}

#[test]
fn a_directory_is_synced_with_a_folder_of_a_node() {
    let place = Place::new();
    place.write("a/there", "1");
    place.write("here/here", "2");
    let a = place.node("a", None);
    let remote = format!("replicat://{}/site", a.address);
    let sync = ["sync", "here", &remote, "--cluster-key-file", "key"];
    let output = place.run(&sync);
    assert_code(&output, 0);
    assert_eq!(place.read("here/there").as_deref(), Some("1"));
    assert_eq!(place.read("a/here").as_deref(), Some("2"));
    // What is large is there as well when the command ends.
    place.write("here/large", vec![7; 9 << 20]);
    assert_code(&place.run(&sync), 0);
    assert_eq!(fs::read(place.path("a/large")).unwrap().len(), 9 << 20);
}

#[test]
fn a_sync_with_a_node_that_cannot_be_leaves_no_trace() {
    let place = Place::new();
    assert_code(&place.run(&["keygen", "--output", "other-key"]), 0);
    place.write("here/file", "1");
    let a = place.node("a", None);
    let remote = |folder: &str| format!("replicat://{}/{folder}", a.address);
    let (site, nothing) = (remote("site"), remote("nothing"));
    for (words, code, problem) in [
        (
            vec![&site[..], "--cluster-key-file", "other-key"],
            5,
            "their cluster keys differ",
        ),
        (
            vec![&nothing, "--cluster-key-file", "key"],
            2,
            "has no folder nothing; it keeps: site",
        ),
        (vec![&site], 2, "needs the cluster key"),
        (
            vec![&site, "--dry-run", "--cluster-key-file", "key"],
            2,
            "do not reach another host",
        ),
        (vec![&site, "third"], 2, "one directory and one place there"),
    ] {
        let mut all = vec!["sync", "here"];
        all.extend(words);
        let output = place.run(&all);
        assert_code(&output, code);
        assert!(errors(&output).contains(problem), "{}", errors(&output));
        assert!(!place.path("here/.replicat").exists(), "{all:?}");
    }
}

#[test]
fn a_root_that_a_node_keeps_is_settled_by_the_node() {
    let place = Place::new();
    place.write("a/file", "1");
    let _a = place.node("a", None);
    until("it is open", || {
        place.ask(&["folders", "--json"])["status"] == "Joining Cluster"
    });
    let missing = place.run(&["restore", "a/file"]);
    assert_code(&missing, 2);
    assert!(
        errors(&missing).contains("has no earlier version"),
        "{}",
        errors(&missing)
    );
    assert_code(&place.run(&["approve", "a"]), 0);
    for words in [
        ["status", "a"],
        ["conflicts", "a"],
        ["history", "a/file"],
        ["why", "a/file"],
        ["tree", "a"],
    ] {
        assert_code(&place.run(&words), 0);
    }
    let tree = place.run(&["tree", "a"]);
    assert!(String::from_utf8_lossy(&tree.stdout).contains("  file\n"));
    let why = place.ask(&["why", "a/file", "--json"]);
    assert_eq!(
        (&why["type"], &why["path"]),
        (&"explanation".into(), &"file".into())
    );
}

#[test]
fn what_a_node_skips_is_listed_while_it_runs_and_when_it_has_ended() {
    let place = Place::new();
    place.write("a/file", "1");
    let pipe = place.path("a/pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let skipped = || place.ask(&["status", "a", "--json"])["skipped"].clone();
    let expected = serde_json::json!([{"path": "pipe", "kind": "special",
        "reason": "is a named pipe, which cannot be synced", "severity": "warning"}]);
    let a = place.node("a", None);
    until("the pipe is listed", || skipped() == expected);
    assert_eq!(a.end(), 0);
    assert_eq!(place.ask(&["status", "a", "--json"])["type"], "status");
    assert_eq!(skipped(), expected);
    fs::remove_file(&pipe).unwrap();
    let a = place.node("a", None);
    until("nothing is listed", || skipped() == serde_json::json!([]));
    assert_eq!(a.end(), 0);
    assert_eq!(skipped(), serde_json::json!([]));
}

#[test]
fn what_cannot_be_served_is_named() {
    let place = Place::new();
    let a = place.node("a", None);
    place.write("wrong.toml", "adress = \"x\"\n");
    place.write("typed.toml", "name = 7\n");
    for (words, code, problem) in [
        (vec!["--config", "wrong.toml"], 2, "did you mean `address`?"),
        (
            vec!["--config", "typed.toml"],
            2,
            "the setting `name` is wrong",
        ),
        (
            vec!["--config", "nothing.toml"],
            2,
            "cannot read the settings",
        ),
        (vec!["--name", "a b"], 2, "cannot name a node"),
        (vec!["--directory", "nothing"], 2, "does not exist"),
        (
            vec!["--name", "z", "--address", &a.address],
            5,
            "the address is in use",
        ),
        (vec!["--bwlimit", "fast"], 2, "is no rate"),
        (vec!["--mode", "send", "--directory", "x"], 2, "send-only"),
    ] {
        let mut all = vec!["serve", "--cluster-key-file", "key"];
        all.extend(words);
        let output = place.run(&all);
        assert_code(&output, code);
        assert!(
            errors(&output).contains(problem),
            "{all:?}: {}",
            errors(&output)
        );
    }
    let keyless = place.run(&["serve", "--directory", "a"]);
    assert_code(&keyless, 2);
    assert!(errors(&keyless).contains("replicat keygen"));
    let mistyped = place.run(&["serve", "--cluster-key", "sesame"]);
    assert_code(&mistyped, 2);
    assert!(!errors(&mistyped).contains("sesame"));
}

#[test]
fn the_demo_converges_and_ends() {
    let place = Place::new();
    let output = place.run(&["demo", "--for", "0", "--json"]);
    assert_code(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    for step in ["first-sync", "edit", "rename", "delete", "ready"] {
        assert!(text.contains(&format!("\"step\":\"{step}\"")), "{text}");
    }
}

#[test]
fn a_key_is_for_its_owner_alone_and_is_not_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mode = fs::metadata(place.path("key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = place.read("key");
    assert_code(&place.run(&["keygen", "--output", "key"]), 5);
    assert_eq!(place.read("key"), before);
    let made = place.ask(&["keygen", "--json"]);
    assert_eq!(made["key"].as_str().unwrap().len(), 56);
}
