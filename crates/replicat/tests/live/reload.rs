//! What a process that serves reads again at SIGHUP.

use std::fs;

use nix::sys::signal::Signal;

use crate::place::{Node, Place, assert_code, errors, until};

/// Writes a certificate of this host that vouches for itself, and its key; and once more for clients, under `name`.
fn certificate(place: &Place, name: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    place.write("http.pem", certificate.pem());
    place.write("http.key", key.serialize_pem());
    place.write(name, certificate.pem());
}

const FILES: [&str; 4] = ["--http-certificate", "http.pem", "--http-key", "http.key"];

/// Whether a client that trusts this certificate alone is answered.
fn is_trusted(place: &Place, node: &Node, name: &str) -> bool {
    let url = format!("https://{}", node.http);
    let words = [
        "session",
        "--url",
        &url,
        "--ca-file",
        name,
        "--token-file",
        "token",
    ];
    place.run(&words).status.success()
}

/// Changes the certificate of what serves, twice, the second time to one that cannot be used.
fn check_certificate(place: &Place, node: &Node, log: &str) {
    assert!(is_trusted(place, node, "first"));
    certificate(place, "second");
    assert!(!is_trusted(place, node, "second"));
    node.signal(Signal::SIGHUP);
    until("the new certificate is shown", || {
        is_trusted(place, node, "second")
    });
    assert!(!is_trusted(place, node, "first"));
    place.write("http.pem", "no certificate");
    node.signal(Signal::SIGHUP);
    until("the log says why not", || {
        let log = place.read(log).unwrap();
        log.contains(
            "HTTP certificate not reloaded, the one before stays in use: cannot use http.pem",
        )
    });
    assert!(is_trusted(place, node, "second"));
    let log = place.read(log).unwrap();
    assert!(
        log.contains("Reloaded the HTTP certificate from http.pem."),
        "{log}"
    );
}

fn token(place: &Place, words: &[&str]) {
    let create = ["api", "token", "create", "--name", "x"];
    let made = place.run(&[&create[..], words].concat());
    assert_code(&made, 0);
    fs::write(place.path("token"), made.stdout).unwrap();
}

#[test]
fn manager_reloads_its_certificate_at_sighup() {
    let place = Place::new();
    certificate(&place, "first");
    let here = "127.0.0.1:0";
    let words = [
        "manager",
        "serve",
        "--json",
        "--address",
        here,
        "--http",
        here,
    ];
    let manager = place.start(&[&words[..], &FILES].concat(), "manager");
    token(&place, &["--manager"]);
    check_certificate(&place, &manager, "log-manager");
    assert_eq!(manager.end(), 0);
}

#[test]
fn node_reloads_its_certificate_at_sighup() {
    let place = Place::new();
    certificate(&place, "first");
    let words = ["--name", "a", "--directory", "a", "--http", "127.0.0.1:0"];
    let node = place.serve(&[&words[..], &FILES].concat());
    token(&place, &["--node", "a"]);
    check_certificate(&place, &node, "log-a");
    assert_eq!(node.end(), 0);
}

#[test]
fn sighup_names_the_settings_that_need_a_restart() {
    let place = Place::new();
    let settings = "name = \"a\"\n[[folders]]\ndirectory = \"a\"\n";
    place.write("settings.toml", settings);
    let node = place.serve(&["--config", "settings.toml"]);
    let log = || place.read("log-settings.toml").unwrap();
    place.write(
        "settings.toml",
        format!("http = \"127.0.0.1:0\"\n{settings}"),
    );
    fs::remove_file(place.path("key")).unwrap();
    assert_code(&place.run(&["keygen", "--output", "key"]), 0);
    for _ in 0..2 {
        let lines = log().lines().count();
        node.signal(Signal::SIGHUP);
        until("the settings are reloaded", || {
            log()
                .lines()
                .skip(lines)
                .any(|line| line.ends_with("Reloaded settings from settings.toml."))
        });
        let log = log();
        let said = |what: &str| log.lines().skip(lines).any(|line| line.ends_with(what));
        assert!(
            said("`http` changed; restart the node to apply it"),
            "{log}"
        );
        let key = "`cluster_key_file` changed; restart the node to apply it";
        assert!(said(key), "{log}");
    }
    place.write("settings.toml", "adress = \"x\"");
    node.signal(Signal::SIGHUP);
    until("the log says why not", || {
        log().contains("Settings not reloaded, those before stay in use:")
    });
    assert_eq!(node.end(), 0);
}

#[test]
fn sighup_takes_up_another_selection() {
    let place = Place::new();
    let settings = |select: &str| {
        let folder = format!("name = \"a\"\n[[folders]]\ndirectory = \"a\"\n{select}");
        place.write("settings.toml", folder);
    };
    settings("select = [\"docs\", \"./photos/2024/\"]\n");
    let node = place.serve(&["--config", "settings.toml"]);
    let marks = || {
        let output = place.run(&["select", "list", "a", "--json"]);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let marks = said["marks"].as_array().cloned().unwrap_or_default();
        let shown = |mark: &serde_json::Value| {
            let sign = if mark["selected"] == true { '+' } else { '-' };
            format!("{sign}{}", mark["path"].as_str().unwrap())
        };
        marks.iter().map(shown).collect::<Vec<_>>()
    };
    until("it is selected", || {
        marks() == ["-", "+docs", "+photos/2024"]
    });
    let refused = place.run(&["select", "all", "a"]);
    assert_code(&refused, 2);
    assert!(errors(&refused).contains("is in the settings of the node"));
    settings("select = [\"docs\"]\n");
    node.signal(Signal::SIGHUP);
    until("less is selected", || marks() == ["-", "+docs"]);
    settings("");
    node.signal(Signal::SIGHUP);
    until("everything is selected", || marks().is_empty());
    // The folder is opened again, and may be in use until it is.
    until("the command decides", || {
        let removed = place.run(&["select", "remove", "a/photos"]);
        removed.status.success()
    });
    assert_eq!(marks(), ["-photos"]);
    node.signal(Signal::SIGHUP);
    assert_eq!(marks(), ["-photos"]);
    settings("select = [\"../x\"]\n");
    let check = place.run(&["serve", "--check", "--config", "settings.toml"]);
    assert_code(&check, 2);
    assert!(
        errors(&check).contains("`folders[0].select`"),
        "{}",
        errors(&check)
    );
    assert_eq!(node.end(), 0);
}

#[test]
fn check_says_all_that_is_wrong_and_starts_nothing() {
    let place = Place::new();
    place.write(
        "settings.toml",
        "name = \"a\"\ncluster_key_file = \"key\"\nadress = \"127.0.0.1:0\"\nbwlimit = \"fast\"\n\
         http = \"0.0.0.0:1\"\n[[folders]]\ndirectory = \"missing\"\n[[notify]]\ncommand = [\"./no-such-program\"]\n",
    );
    let check = |words: &[&str]| {
        let serve = ["serve", "--check", "--config", "settings.toml"];
        place.run(&[&serve[..], words].concat())
    };
    let output = check(&["--mode", "sideways"]);
    assert_code(&output, 2);
    let said = errors(&output);
    let expected = [
        "settings.toml:3:1: there is no setting `adress`: did you mean `address`?",
        "settings.toml:4:1: the setting `bwlimit` cannot be \"fast\"",
        "the setting `--mode` cannot be \"sideways\"",
        "the setting `folders[0].directory` cannot be \"missing\": it does not exist",
        "the setting `notify[0].command` cannot be \"./no-such-program\"",
        "HTTP at 0.0.0.0:1 can be reached from other hosts",
    ];
    assert_eq!(said.lines().count(), expected.len(), "{said}");
    for (line, expected) in said.lines().zip(expected) {
        assert!(line.starts_with(&format!("replicat: {expected}")), "{said}");
    }
    let json = check(&["--json"]);
    assert_code(&json, 2);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 5, "{json}");

    place.write(
        "settings.toml",
        "name = \"a\"\ncluster_key_file = \"key\"\n[[folders]]\ndirectory = \"new\"\ncreate = true\n",
    );
    let output = check(&[]);
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"Settings are fine.\n");
    assert!(!place.path("new").exists());
}

#[test]
fn check_of_a_manager_reads_its_certificate() {
    let place = Place::new();
    certificate(&place, "first");
    let check = || {
        let words = ["manager", "serve", "--check", "--http", "127.0.0.1:0"];
        place.run(&[&words[..], &FILES].concat())
    };
    assert_code(&check(), 0);
    place.write("http.key", "no key");
    let output = check();
    assert_code(&output, 2);
    assert!(
        errors(&output).contains("cannot use http.key for TLS"),
        "{}",
        errors(&output)
    );
    // The directory of the manager was not made.
    assert!(!place.path("state").exists());
}
