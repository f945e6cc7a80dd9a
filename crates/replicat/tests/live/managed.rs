//! Nodes that have a manager, all of them real processes.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::place::{Node, Place, assert_code, errors, until};

/// Within how long a node that is removed is to be gone everywhere.
const REMOVAL: Duration = Duration::from_secs(2);

/// A manager, and the place in which it and its nodes run.
struct Cluster {
    place: Place,
    manager: Option<Node>,
    address: String,
}

impl Cluster {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Self {
        let place = Place::new();
        let mut words = vec!["manager", "serve", "--json", "--address", "127.0.0.1:0"];
        words.extend(options);
        let manager = place.start(&words, "manager");
        Self {
            place,
            address: manager.address.clone(),
            manager: Some(manager),
        }
    }

    /// Starts the manager again where it was.
    fn restart(&mut self) {
        let words = ["manager", "serve", "--json", "--address", &self.address];
        self.manager = Some(self.place.start(&words, "manager-again"));
    }

    /// What a command of the manager prints, one object a line.
    fn manage(&self, words: &[&str]) -> Vec<Value> {
        let all: Vec<_> = ["manager", "--json"].iter().chain(words).copied().collect();
        let output = self.place.run(&all);
        assert_code(&output, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn token(&self, role: &str) -> String {
        let made = self.manage(&["token", "create", "--role", role, "--expires", "1h"]);
        made[0]["token"].as_str().unwrap().to_owned()
    }

    fn serve_words<'a>(&'a self, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["serve", "--json", "--create", "--name", name];
        words.extend(["--address", "127.0.0.1:0", "--manager", &self.address]);
        words.extend(more);
        words
    }

    /// Starts a node that keeps the folder `site` in the directory of its name, and is enrolled already or has a token.
    fn node(&self, name: &str, token: Option<&str>) -> Node {
        let directory = format!("site={name}");
        let mut more = vec!["--directory", &directory];
        more.extend(
            token
                .iter()
                .flat_map(|token| ["--manager-credentials", token]),
        );
        let words = self.serve_words(name, &more);
        self.place.start(&words, name)
    }

    fn enrol(&self, name: &str, role: &str) -> Node {
        let token = self.token(role);
        self.node(name, Some(&token))
    }

    /// The names of the nodes that a node is connected to, by its own account.
    fn connected(&self, name: &str) -> Vec<String> {
        let output = self.place.run(&["nodes", "--json", "--node-socket", name]);
        let text = String::from_utf8(output.stdout).unwrap();
        let peers = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let connected = peers.filter(|peer| peer["status"] == "connected");
        connected
            .map(|peer| peer["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The manager's row of a node.
    fn row(&self, name: &str) -> Value {
        let rows = self.manage(&["node", "list"]);
        let row = rows.into_iter().find(|row| row["name"] == name);
        row.unwrap_or_default()
    }
}

#[test]
fn a_token_is_all_that_a_new_node_needs() {
    let cluster = Cluster::new();
    cluster.place.write("a/one", "1");
    let a = cluster.enrol("a", "read-write");
    let token = cluster.token("read-write");
    let words = cluster.serve_words("b", &["--manager-credentials", &token]);
    let b = cluster.place.start(&words, "b");
    cluster.manage(&["folder", "place", "site", "--node", "b"]);
    let place = "state/replicat/nodes/b/folders/site";
    cluster.place.arrives(&format!("{place}/one"), "1");
    cluster.place.write(format!("{place}/two"), "2");
    cluster.place.arrives("a/two", "2");
    until("the manager sees that both are in sync", || {
        let rows = cluster.manage(&["node", "list"]);
        let in_sync =
            |row: &Value| row["folders"][0]["in_sync"] == true && row["connected"] == true;
        rows.len() == 2 && rows.iter().all(in_sync)
    });
    assert_eq!(cluster.row("b")["status"], "Online");

    let words = cluster.serve_words("c", &["--manager-credentials", &token]);
    let refused = cluster.place.run(&words);
    assert_code(&refused, 5);
    let said = String::from_utf8(refused.stdout).unwrap();
    assert!(said.contains("was used for node b"), "{said}");

    cluster.manage(&["folder", "withdraw", "site", "--node", "b"]);
    until("b keeps no folder any more", || {
        cluster.row("b")["folders"]
            .as_array()
            .is_some_and(Vec::is_empty)
    });
    assert_eq!(
        cluster.place.read(format!("{place}/one")).as_deref(),
        Some("1")
    );
    assert_eq!((a.end(), b.end()), (0, 0));
}

#[test]
fn a_node_can_have_the_manager_in_its_own_process() {
    let place = Place::new();
    place.write("a/one", "1");
    let words = [
        "serve",
        "--json",
        "--name",
        "a",
        "--directory",
        "site=a",
        "--address",
        "127.0.0.1:0",
        "--with-manager",
        "--manager-listen",
    ];
    let start = |listen: &str, name: &str| {
        let words: Vec<&str> = words.into_iter().chain([listen]).collect();
        // The manager comes first, and says where it listens.
        let manager = place.start(&words, name);
        let address = manager.address.clone();
        (manager, address)
    };
    let (a, manager) = start("127.0.0.1:0", "a");
    let token = place.ask(&["manager", "--json", "token", "create"]);
    let joins = [
        "serve",
        "--json",
        "--create",
        "--name",
        "b",
        "--directory",
        "site=b",
        "--address",
        "127.0.0.1:0",
        "--manager",
        &manager,
        "--manager-credentials",
        token["token"].as_str().unwrap(),
    ];
    let b = place.start(&joins, "b");
    place.arrives("b/one", "1");
    place.write("b/two", "2");
    place.arrives("a/two", "2");
    assert_eq!(a.end(), 0);
    // It goes on as the manager and the node that it was.
    let (a, _) = start(&manager, "a-again");
    place.write("a/three", "3");
    place.arrives("b/three", "3");
    assert_eq!((a.end(), b.end()), (0, 0));
}

#[test]
fn nobody_takes_changes_from_a_read_only_node() {
    let cluster = Cluster::new();
    let _a = cluster.enrol("a", "read-write");
    let _b = cluster.enrol("b", "read-only");
    assert_eq!(cluster.row("b")["role"], "read-only");
    cluster.place.write("a/one", "1");
    cluster.place.arrives("b/one", "1");
    cluster.place.write("b/own", "mine");
    until("b has seen its own change", || {
        let events = cluster.place.run(&["events", "--node-socket", "b"]);
        String::from_utf8(events.stdout).unwrap().contains("own")
    });
    cluster.place.write("a/two", "2");
    cluster.place.arrives("b/two", "2");
    assert_eq!(cluster.place.read("a/own"), None);
    assert_eq!(cluster.place.read("b/own").as_deref(), Some("mine"));
    let folder = || {
        cluster
            .place
            .ask(&["folders", "--json", "--node-socket", "b"])
    };
    until("b says that its change is refused", || {
        folder()["refused"] == 1
    });
    let folder = folder();
    assert_eq!(folder["mode"], "receive-only");
    assert_eq!(folder["in_sync"], false);
    assert_eq!(folder["refused_changes"][0]["path"], "own");
    let listed = cluster.place.ask(&["revert", "b", "-n", "--json"]);
    let expected = serde_json::json!([{"path": "own", "change": "created"}]);
    assert_eq!(
        (&listed["changes"], &listed["dry_run"]),
        (&expected, &true.into())
    );
    assert_eq!(cluster.place.read("b/own").as_deref(), Some("mine"));
    let reverted = cluster.place.run(&["revert", "b/own"]);
    assert_code(&reverted, 0);
    let told = String::from_utf8_lossy(&reverted.stdout).into_owned();
    assert_eq!(told, "own is reverted: it was created here\n");
    until("the change is gone", || {
        cluster.place.read("b/own").is_none()
    });
    let folder = || {
        cluster
            .place
            .ask(&["folders", "--json", "--node-socket", "b"])
    };
    until("b is in sync", || {
        folder()["in_sync"] == true && folder()["refused"] == 0
    });
    assert_code(&cluster.place.run(&["revert", "a"]), 2);
}

#[test]
fn a_removed_node_is_gone_everywhere_at_once() {
    let cluster = Cluster::new();
    let _a = cluster.enrol("a", "read-write");
    let _b = cluster.enrol("b", "read-write");
    // Other tests may take the machine for a moment: one of three must be in time.
    let mut fastest = Duration::MAX;
    for name in ["c", "d", "e"] {
        let removed = cluster.enrol(name, "read-write");
        cluster.place.write(format!("{name}/{name}"), "before");
        cluster.place.arrives(&format!("a/{name}"), "before");
        cluster.place.arrives(&format!("b/{name}"), "before");
        let names = |node: &str| cluster.connected(node).contains(&name.to_owned());
        until("all are connected", || names("a") && names("b"));
        cluster.manage(&["node", "remove", name]);
        let started = Instant::now();
        until("it is gone", || !names("a") && !names("b"));
        fastest = fastest.min(started.elapsed());

        cluster.place.write(format!("a/after-{name}"), "after");
        cluster.place.arrives(&format!("b/after-{name}"), "after");
        assert!(cluster.place.read(format!("{name}/after-{name}")).is_none());
        assert!(!names("a") && !names("b"), "it came back");
        removed.end();
        // Its state is no way back.
        let again = cluster.node(name, None);
        until("it is told why", || {
            let log = cluster.place.read(format!("log-{name}")).unwrap();
            log.contains("was removed from the cluster")
        });
        again.end();
        if fastest < REMOVAL {
            return;
        }
    }
    panic!("the fastest removal took {fastest:?}");
}

#[test]
fn s78_nodes_go_on_while_the_manager_is_away() {
    let mut cluster = Cluster::new();
    let a = cluster.enrol("a", "read-write");
    let b = cluster.enrol("b", "read-write");
    cluster.place.write("a/one", "1");
    cluster.place.arrives("b/one", "1");
    until("b knows where a is", || {
        cluster
            .place
            .read("state/replicat/nodes/b/assignment.json")
            .is_some_and(|kept| kept.contains(&a.address))
    });

    cluster.manager.take().unwrap().signal(Signal::SIGKILL);
    cluster.place.write("a/two", "2");
    cluster.place.arrives("b/two", "2");
    b.signal(Signal::SIGKILL);
    drop(b);
    cluster.place.write("b/three", "3");
    let b = cluster.node("b", None);
    cluster.place.arrives("a/three", "3");
    cluster.place.write("a/four", "4");
    cluster.place.arrives("b/four", "4");
    until("the manager is known to be away", || {
        cluster.row("a")["connected"].is_null()
    });

    cluster.restart();
    until("the manager sees both again", || {
        ["a", "b"].iter().all(|name| {
            let row = cluster.row(name);
            row["connected"] == true && row["folders"][0]["in_sync"] == true
        })
    });
    assert_eq!((a.end(), b.end()), (0, 0));
}

/// Keeps both nodes at work for `length`: files of each come to the other, large ones among them. Returns how many there were,
/// and how long the slowest took.
fn keep_at_work(place: &Place, length: Duration, from: usize) -> (usize, Duration) {
    let (started, mut slowest, mut count) = (Instant::now(), Duration::ZERO, 0);
    while started.elapsed() < length {
        let number = from + count;
        let (here, there) = if number.is_multiple_of(2) {
            ("a", "b")
        } else {
            ("b", "a")
        };
        let size = if number.is_multiple_of(20) {
            4 << 20
        } else {
            2000
        };
        let content = format!("{number:05}").repeat(size / 5);
        let written = Instant::now();
        place.write(format!("{here}/{number}"), &content);
        place.arrives(&format!("{there}/{number}"), &content);
        slowest = slowest.max(written.elapsed());
        count += 1;
    }
    (count, slowest)
}

/// How long the manager is away: `REPLICAT_TEST_AWAY_SECONDS`, else a few seconds.
fn away() -> Duration {
    let seconds = std::env::var("REPLICAT_TEST_AWAY_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

#[test]
fn a_manager_that_was_killed_under_load_comes_back_to_a_true_picture() {
    let mut cluster = Cluster::new();
    let a = cluster.enrol("a", "read-write");
    let b = cluster.enrol("b", "read-write");
    let before = keep_at_work(&cluster.place, Duration::from_secs(2), 0);
    cluster.manager.take().unwrap().signal(Signal::SIGKILL);
    let meanwhile = keep_at_work(&cluster.place, away(), before.0);
    cluster.restart();
    let count = before.0 + meanwhile.0;
    let after = keep_at_work(&cluster.place, Duration::from_secs(2), count);
    eprintln!(
        "files, and the slowest: before {before:?}, while it was away {meanwhile:?}, after {after:?}"
    );
    let paths = (count + after.0) as u64;
    until("the picture is true", || {
        [("a", "b"), ("b", "a")].iter().all(|(name, other)| {
            let row = cluster.row(name);
            let folder = &row["folders"][0];
            row["connected"] == true
                && row["status"] == "Online"
                && row["connected_to"] == serde_json::json!([other])
                && folder["in_sync"] == true
                && folder["pending"] == 0
                && folder["paths"] == paths
        })
    });
    assert_eq!((a.end(), b.end()), (0, 0));
}

#[test]
fn certificates_renew_themselves() {
    // Due after a third of it: that leaves a machine that stands still for a while the rest.
    let cluster = Cluster::with(&["--certificate-lifetime", "60s"]);
    let a = cluster.enrol("a", "read-write");
    let b = cluster.enrol("b", "read-write");
    let certificate = |name: &str| {
        let kept = cluster
            .place
            .read(format!("state/replicat/nodes/{name}/identity.json"));
        let kept: Value = serde_json::from_str(&kept.unwrap()).unwrap();
        kept["certificate"].as_str().unwrap().to_owned()
    };
    let first = ["a", "b"].map(certificate);
    until("both have their second certificate", || {
        let now = ["a", "b"].map(certificate);
        now.iter().zip(&first).all(|(now, first)| now != first)
    });
    cluster.place.write("a/one", "1");
    cluster.place.arrives("b/one", "1");
    until("the manager still knows them", || {
        ["a", "b"]
            .iter()
            .all(|name| cluster.row(name)["connected"] == true)
    });
    assert_eq!((a.end(), b.end()), (0, 0));
}

#[test]
fn what_cannot_be_managed_is_named() {
    let cluster = Cluster::new();
    let token = cluster.token("read-write");
    let refused = |more: &[&str]| {
        let output = cluster.place.run(&cluster.serve_words("a", more));
        let code = output.status.code().unwrap();
        (code, String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = refused(&[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is not enrolled yet"), "{said}");
    let (code, said) = refused(&["--manager-credentials", &token[1..]]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("has 120 characters, this has 119"), "{said}");
    let (code, said) = refused(&["--manager-credentials", &token, "--cluster-key-file", "key"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("either a cluster key or a manager"), "{said}");

    let no_manager = ["manager", "--manager-state", "elsewhere", "node", "list"];
    let output = cluster.place.run(&no_manager);
    assert_code(&output, 2);
    assert!(errors(&output).contains("there is no manager in elsewhere"));
    let output = cluster.place.run(&["manager", "node", "remove", "x"]);
    assert_code(&output, 2);
    assert!(errors(&output).contains("no node named x is enrolled"));
    let output = cluster
        .place
        .run(&["manager", "token", "create", "--role", "manager"]);
    assert_code(&output, 2);
    assert!(errors(&output).contains("cannot be enrolled as a manager"));
}
