//! Restoring at a node that runs: from its own trash, and from the nodes that it is connected to.

use crate::place::{Place, assert_code, errors, until};

fn printed(place: &Place, words: &[&str]) -> String {
    let output = place.run(words);
    assert_code(&output, 0);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn version_at_a_peer_is_fetched_from_it() {
    let place = Place::new();
    let large = "x".repeat(3 << 20);
    place.write("a/large", &large);
    place.write("a/file", "one");
    let a = place.node("a", None);
    let b = place.node("b", Some(&a));
    place.arrives("b/large", &large);
    place.arrives("b/file", "one");
    place.write("a/file", "longer");
    place.write("a/large", "small");
    place.arrives("b/file", "longer");
    place.arrives("b/large", "small");
    // What a replaced is in the trash of b alone.
    assert!(printed(&place, &["history", "a/file"]).contains("not here"));
    let told = printed(&place, &["restore", "a/file"]);
    assert!(told.contains("from the node b"), "{told}");
    assert_eq!(place.read("a/file").as_deref(), Some("one"));
    printed(&place, &["restore", "a/large"]);
    assert_eq!(place.read("a/large"), Some(large.clone()));
    place.arrives("b/large", &large);
    // All that was deleted comes back, too.
    std::fs::remove_file(place.path("a/file")).unwrap();
    until("it is gone at b", || place.read("b/file").is_none());
    printed(&place, &["restore", "--all", "a"]);
    place.arrives("a/file", "one");
    place.arrives("b/file", "one");
    // Without b nobody has it.
    place.write("a/large", "the last one");
    place.arrives("b/large", "the last one");
    assert_eq!(b.end(), 0);
    until("b is away", || {
        let nodes = printed(&place, &["nodes", "--json"]);
        !nodes.contains(r#""status":"connected""#)
    });
    printed(&place, &["trash", "empty", "--yes", "a"]);
    let missing = place.run(&["restore", "a/large"]);
    assert_code(&missing, 3);
    let problem = errors(&missing);
    assert!(problem.contains("not connected: b"), "{problem}");
}

#[test]
fn trash_of_a_node_is_listed_and_emptied() {
    let place = Place::new();
    place.write("a/file", "one");
    let a = place.node("a", None);
    let _b = place.node("b", Some(&a));
    place.arrives("b/file", "one");
    place.write("a/file", "longer");
    place.arrives("b/file", "longer");
    let row = place.ask(&["trash", "list", "--json", "b"]);
    assert_eq!((&row["path"], &row["node"]), (&"file".into(), &"a".into()));
    assert_code(&place.run(&["trash", "empty", "b"]), 2);
    let emptied = place.ask(&["trash", "empty", "--yes", "--json", "b"]);
    assert_eq!(emptied["bytes"], 3);
    assert_eq!(place.ask(&["trash", "list", "--json", "b"])["versions"], 0);
}

#[test]
fn trash_limits_change_at_a_hang_up() {
    let place = Place::new();
    let settings = |name: &str, limit: &str| {
        format!("name = \"{name}\"\n[[folders]]\nname = \"site\"\ndirectory = \"{name}\"\n{limit}")
    };
    place.write("a/file", "one");
    let a = place.node("a", None);
    place.write("b.toml", settings("b", "trash_age = \"off\"\n"));
    let b = place.serve(&["--config", "b.toml", "--node", &a.address]);
    place.arrives("b/file", "one");
    place.write("a/file", "longer");
    place.arrives("b/file", "longer");
    let kept = || place.ask(&["trash", "list", "--json", "b"])["type"] == "trash-item";
    assert!(kept());
    let shown = || {
        let node = ["configuration", "--json", "--node-socket", "b"];
        place.ask(&node)["folders"][0]["trash_age"].clone()
    };
    assert_eq!(shown(), "off");
    place.write("b.toml", settings("b", "trash_age = \"0\"\n"));
    b.signal(nix::sys::signal::Signal::SIGHUP);
    until("the new limit is in force", || shown() == "0");
    until("the trash is empty", || !kept());
}
