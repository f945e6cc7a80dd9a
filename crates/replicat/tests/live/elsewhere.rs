//! The commands of a host against nodes and managers of others, over HTTP.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::place::{Node, Place, assert_code, errors, until};

/// A place with a node that serves HTTP, and a token of it in the file `token`.
struct Elsewhere {
    place: Place,
    node: Node,
}

impl Elsewhere {
    fn new(scope: &str) -> Self {
        let place = Place::new();
        fs::create_dir(place.path("a")).unwrap();
        place.write("a/docs/list", "milk");
        let words = [
            "--name",
            "a",
            "--directory",
            "site=a",
            "--http",
            "127.0.0.1:0",
        ];
        let node = place.serve(&words);
        make_token(&place, &["--node", "a"], scope);
        let elsewhere = Self { place, node };
        until("it is open and has looked", || {
            elsewhere
                .place
                .run(&["tree", "a"])
                .stdout
                .ends_with(b"docs/list\n")
        });
        elsewhere
    }

    fn run(&self, words: &[&str]) -> Output {
        let there = ["--url", &self.node.http, "--token-file", "token"];
        self.place.run(&[words, &there].concat())
    }

    /// What a command prints with `--json`.
    fn objects(&self, words: &[&str]) -> Vec<Value> {
        let output = self.run(&[words, &["--json"]].concat());
        assert_code(&output, 0);
        lines(&output)
    }

    fn text(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_code(&output, 0);
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, words: &[&str], code: i32, problem: &str) {
        let output = self.run(words);
        assert_code(&output, code);
        assert!(errors(&output).contains(problem), "{}", errors(&output));
    }
}

fn make_token(place: &Place, whose: &[&str], scope: &str) {
    let words = ["api", "token", "create", "--name", "test", "--scope", scope];
    let made = place.run(&[&words, whose].concat());
    assert_code(&made, 0);
    place.write("token", made.stdout);
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_node_elsewhere_answers_as_one_of_this_host_does() {
    let there = Elsewhere::new("admin");
    there.place.write("a/docs/deep/er", "1");
    let here = |words: &[&str]| {
        let output = there.place.run(&[words, &["--json"]].concat());
        assert_code(&output, 0);
        lines(&output)
    };
    until("it is known", || there.objects(&["tree"]).len() == 4);
    for (words, at_home) in [
        (vec!["folders"], vec!["folders"]),
        (vec!["nodes"], vec!["nodes"]),
        (vec!["configuration"], vec!["configuration"]),
        (vec!["tree"], vec!["tree", "a"]),
        (vec!["history", "docs/list"], vec!["history", "a/docs/list"]),
        (vec!["why", "/docs/list"], vec!["why", "a/docs/list"]),
        (vec!["conflicts"], vec!["conflicts", "a"]),
        (vec!["select", "list"], vec!["select", "list", "a"]),
        (
            vec!["select", "set", "docs/deep"],
            vec!["select", "set", "a/docs/deep"],
        ),
        (vec!["select", "all"], vec!["select", "all", "a"]),
        (vec!["pause", "site"], vec!["pause", "site"]),
        (vec!["resume"], vec!["resume"]),
        (
            vec!["rescan", "site", "docs"],
            vec!["rescan", "site", "docs"],
        ),
        (vec!["approve"], vec!["approve", "a"]),
    ] {
        assert_eq!(there.objects(&words), here(&at_home), "{words:?}");
    }
    // By the name of the folder, the node that runs here answers the same.
    assert_eq!(
        there.objects(&["tree"]),
        here(&["tree", "--folder", "site"])
    );
    let status = there.objects(&["status"]);
    assert_eq!(
        (&status[0]["type"], &status[0]["name"]),
        (&"node".into(), &"a".into())
    );
    let session = there.objects(&["session"]);
    assert_eq!(session[0]["token"]["scope"], "admin");
    assert!(
        there
            .text(&["session"])
            .contains("Token:         test, admin, good until it is revoked")
    );
    assert!(there.text(&["tree", "docs"]).contains("  docs/deep/er\n"));
}

#[test]
fn what_happens_elsewhere_is_followed() {
    let there = Elsewhere::new("read");
    let words = ["events", "--follow", "--json", "--url", &there.node.http];
    let mut command = there.place.command(&words);
    let mut follower = command
        .args(["--token-file", "token"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = |path: &str| {
        let mut events = events.by_ref().map(|line| line.unwrap());
        let found = events.find(|line| line.contains(&format!("\"path\":\"{path}\"")));
        assert!(found.is_some(), "{path}");
    };
    there.place.write("a/first", "1");
    next("first");
    // What was kept has been told: this can only come by the stream.
    there.place.write("a/second", "2");
    next("second");
    let (status, http) = (there.node.end(), follower.wait().unwrap());
    assert_eq!((status, http.code()), (0, Some(5)));
}

#[test]
fn single_files_are_fetched_put_and_removed() {
    let there = Elsewhere::new("operate");
    let got = there.text(&["file", "get", "docs/list"]);
    assert_eq!(got, "milk");
    assert_eq!(
        there.text(&["file", "get", "docs/list", "--range", "1..3"]),
        "il"
    );
    let large: Vec<u8> = (0..3 << 20).map(|at: u32| (at % 251) as u8).collect();
    there.place.write("large", &large);
    let put = there.objects(&["file", "put", "large", "new/large"]);
    assert_eq!(
        (&put[0]["type"], &put[0]["created"]),
        (&"uploaded".into(), &true.into())
    );
    assert_eq!(fs::read(there.place.path("a/new/large")).unwrap(), large);
    there.refused(
        &["file", "put", "--if-new", "large", "new/large"],
        2,
        "new/large",
    );
    let got = there.objects(&["file", "get", "new/large", "--output", "back"]);
    assert_eq!(
        (&got[0]["size"], &got[0]["content"]),
        (&(3 << 20).into(), &put[0]["content"])
    );
    assert_eq!(fs::read(there.place.path("back")).unwrap(), large);
    let other = "0".repeat(64);
    there.refused(
        &["file", "remove", "--if-content", &other, "new/large"],
        2,
        "new/large",
    );
    assert!(there.place.path("a/new/large").exists());
    let content = put[0]["content"].as_str().unwrap();
    there.objects(&["file", "remove", "--if-content", content, "new/large"]);
    assert!(!there.place.path("a/new/large").exists());
    let back = there.objects(&["restore", "new/large"]);
    assert_eq!(back[0]["type"], "restoration");
    assert_eq!(fs::read(there.place.path("a/new/large")).unwrap(), large);
    there.refused(
        &["file", "get", "nothing", "--output", "none"],
        2,
        "nothing",
    );
    assert!(!there.place.path("none").exists());
    there.refused(&["file", "get", "docs"], 2, "docs");
    there.refused(&["file", "get", "../key"], 2, "leads nowhere");
    there.refused(&["file", "put", "docs", "x"], 5, "docs");
    let both = there.run(&["file", "get", "docs/list", "--json"]);
    assert_code(&both, 2);
    assert_eq!(lines(&both)[0]["kind"], "no-output-file");
}

#[test]
fn what_keeps_a_command_from_another_host_is_named() {
    let there = Elsewhere::new("read");
    let http = &there.node.http;
    there.refused(&["pause", "site"], 2, "operate");
    there.refused(
        &["tree", "--folder", "nothing"],
        2,
        "there is no folder nothing",
    );
    there.refused(&["conflicts", "a"], 2, "a directory of this host");
    there.refused(&["manager", "--manager", http, "node", "list"], 2, "--url");
    let wrong = there
        .place
        .run(&["status", "--url", http, "--token", "rpt_0"]);
    assert_code(&wrong, 2);
    assert!(
        errors(&wrong).contains("replicat api token create"),
        "{}",
        errors(&wrong)
    );
    for (words, code, problem) in [
        (vec!["--url", http], 2, "no token is named"),
        (
            vec!["--url", http, "--token-file", "none"],
            2,
            "could not read the token in none",
        ),
        (vec!["--url", "http://nas:1", "--token", "x"], 2, "https://"),
        (
            vec!["--url", "127.0.0.1:1", "--token", "x"],
            5,
            "could not reach http://127.0.0.1:1",
        ),
        (
            vec!["--url", http, "--token", "x", "--ca-file", "key"],
            2,
            "there is none in it",
        ),
    ] {
        let output = there.place.run(&[&["status"], &words[..]].concat());
        assert_code(&output, code);
        assert!(errors(&output).contains(problem), "{}", errors(&output));
    }
    let without = there.place.run(&["file", "get", "docs/list"]);
    assert_code(&without, 2);
    assert!(errors(&without).contains("--url"), "{}", errors(&without));
}

#[test]
fn an_option_that_names_a_token_goes_before_variables_that_do() {
    let there = Elsewhere::new("read");
    let asked = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = there.place.command(&["session", "--url", &there.node.http]);
        let output = command.args(words).envs(variables.iter().copied()).output();
        output.unwrap().status.code()
    };
    let wrong = ("REPLICAT_TOKEN", "rpt_0");
    let file = ("REPLICAT_TOKEN_FILE", "token");
    assert_eq!(asked(&[], &[file]), Some(0));
    assert_eq!(asked(&[], &[wrong, file]), Some(2));
    assert_eq!(asked(&["--token-file", "token"], &[wrong]), Some(0));
    assert_eq!(asked(&[], &[]), Some(2));
}

#[test]
fn what_is_encrypted_is_trusted_by_its_authority_alone() {
    let place = Place::new();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    place.write("certificate", made.cert.pem());
    place.write("certificate-key", made.signing_key.serialize_pem());
    let words = [
        "--name",
        "a",
        "--directory",
        "site=a",
        "--http",
        "127.0.0.1:0",
    ];
    fs::create_dir_all(place.path("state/replicat/nodes/a")).unwrap();
    make_token(&place, &["--node", "a"], "read");
    let encrypted = [
        "--http-certificate",
        "certificate",
        "--http-key",
        "certificate-key",
    ];
    let node = place.serve(&[&words[..], &encrypted].concat());
    let url = format!("https://{}", node.http);
    let ask = ["status", "--json", "--url", &url, "--token-file", "token"];
    let stranger = place.run(&ask);
    assert_code(&stranger, 5);
    assert!(String::from_utf8_lossy(&stranger.stdout).contains("--ca-file"));
    let status = place.ask(&[&ask[..], &["--ca-file", "certificate"]].concat());
    assert_eq!(status["name"], "a");
    assert_eq!(node.end(), 0);
}

/// `openssl req -x509` makes a certificate that signs others. The hint was at the option that was given already.
#[test]
fn authority_as_server_certificate_is_explained() {
    let place = Place::new();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    place.write("certificate", params.self_signed(&key).unwrap().pem());
    place.write("certificate-key", key.serialize_pem());
    fs::create_dir_all(place.path("state/replicat/nodes/a")).unwrap();
    make_token(&place, &["--node", "a"], "read");
    let words = [
        "--name",
        "a",
        "--directory",
        "site=a",
        "--http",
        "127.0.0.1:0",
    ];
    let encrypted = [
        "--http-certificate",
        "certificate",
        "--http-key",
        "certificate-key",
    ];
    let node = place.serve(&[&words[..], &encrypted].concat());
    let url = format!(
        "https://localhost:{}",
        node.http.rsplit(':').next().unwrap()
    );
    let ask = ["status", "--json", "--url", &url, "--token-file", "token"];
    let outcome = place.run(&[&ask[..], &["--ca-file", "certificate"]].concat());
    assert_code(&outcome, 5);
    let error: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(error["kind"], "certificate", "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(
        hint.contains("openssl req -x509") && hint.contains("DNS:localhost"),
        "{hint}"
    );
    assert!(
        hint.contains("basicConstraints=critical,CA:FALSE"),
        "{hint}"
    );
    assert_eq!(node.end(), 0);
}

/// A place with a manager that serves HTTP, and a token of it in the file `token`.
struct ManagerElsewhere {
    place: Place,
    manager: Node,
}

impl ManagerElsewhere {
    fn new() -> Self {
        let place = Place::new();
        let manager = place.http_manager();
        make_token(&place, &["--manager"], "admin");
        Self { place, manager }
    }

    fn run(&self, words: &[&str]) -> Output {
        let there = ["--manager", &self.manager.http, "--token-file", "token"];
        self.place.run(&[&["manager"], words, &there].concat())
    }

    fn ask(&self, words: &[&str]) -> Vec<Value> {
        let output = self.run(&[words, &["--json"]].concat());
        assert_code(&output, 0);
        lines(&output)
    }

    /// Enrols a node with a token that is made elsewhere as well.
    fn enrol(&self, name: &str) -> Node {
        let token = self.run(&["token", "create", "--node", name, "--expires", "1h"]);
        assert_code(&token, 0);
        let token = String::from_utf8(token.stdout).unwrap();
        let words = [
            "serve",
            "--json",
            "--name",
            name,
            "--manager",
            &self.manager.address,
        ];
        let credentials = ["--manager-credentials", token.trim()];
        self.place.start(&[&words[..], &credentials].concat(), name)
    }
}

#[test]
fn a_manager_elsewhere_lets_nodes_in_and_cuts_them_off() {
    let there = ManagerElsewhere::new();
    let _nas = there.enrol("nas");
    let tokens = there.ask(&["token", "list"]);
    assert_eq!(
        (&tokens[0]["node"], &tokens[0]["used_by"]),
        (&"nas".into(), &"nas".into())
    );
    let unknown = there.run(&["node", "remove", "nobody"]);
    assert_code(&unknown, 2);
    assert!(errors(&unknown).contains("nobody"), "{}", errors(&unknown));
    assert_eq!(
        there.ask(&["node", "remove", "nas"])[0]["type"],
        "node-removed"
    );
    let id = tokens[0]["id"].as_str().unwrap();
    assert_eq!(
        there.ask(&["token", "remove", id])[0]["type"],
        "token-removed"
    );
    assert!(there.ask(&["node", "list"]).is_empty());
    // On its own host the state says the same.
    assert_eq!(
        there.place.ask(&["manager", "status", "--json"])["nodes"],
        0
    );
    assert_eq!(there.manager.end(), 0);
}

#[test]
fn a_manager_elsewhere_says_who_keeps_what() {
    let there = ManagerElsewhere::new();
    let _nas = there.enrol("nas");
    let place = [
        "folder",
        "place",
        "site",
        "--node",
        "nas",
        "--mode",
        "send-only",
    ];
    let placement =
        vec![json!({"type": "placement", "folder": "site", "node": "nas", "mode": "send-only"})];
    assert_eq!(there.ask(&place), placement);
    assert_eq!(there.ask(&["folder", "list"]), placement);
    until("nas keeps it", || {
        there.ask(&["node", "list"])[0]["folders"][0]["name"] == "site"
    });
    let status = there.ask(&["status"]);
    assert_eq!(
        (&status[0]["type"], &status[0]["connected"]),
        (&"manager".into(), &1.into())
    );
    let shown = String::from_utf8(there.run(&["node", "list"]).stdout).unwrap();
    assert!(shown.contains("\n  site  "), "{shown}");
    assert_eq!(
        there.ask(&["folder", "withdraw", "site", "--node", "nas"])[0]["type"],
        "withdrawn"
    );
    assert!(there.ask(&["folder", "list"]).is_empty());
    assert_eq!(there.manager.end(), 0);
}
