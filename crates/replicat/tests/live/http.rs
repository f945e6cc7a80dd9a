//! The HTTP API of real processes, and the commands that make its tokens.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::place::{Node, PATIENCE, Place, assert_code, errors};

/// Asks, and returns the whole answer.
fn get(node: &Node, target: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(&node.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n",
        node.http
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_token_of_the_command_line_opens_the_api_until_it_is_revoked() {
    let place = Place::new();
    let words = [
        "--name",
        "a",
        "--directory",
        "site=a",
        "--http",
        "127.0.0.1:0",
    ];
    let node = place.serve(&words);
    let api = |words: &[&str]| {
        let all: Vec<_> = ["api", "token"].iter().chain(words).copied().collect();
        place.ask(&[&all[..], &["--node", "a", "--json"]].concat())
    };
    let made = api(&[
        "create",
        "--name",
        "laptop",
        "--scope",
        "operate",
        "--expires",
        "1h",
    ]);
    assert_eq!(
        (&made["type"], &made["scope"]),
        (&"api-token".into(), &"operate".into())
    );
    let token = made["token"].as_str().unwrap();
    let status = get(&node, "/api/v1/status", token);
    assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
    assert!(get(&node, "/", token).starts_with("HTTP/1.1 200 "));
    let listed = api(&["list"]);
    assert_eq!(listed["name"], "laptop");
    assert!(listed.get("token").is_none());
    api(&["revoke", made["id"].as_str().unwrap()]);
    assert!(get(&node, "/api/v1/status", token).starts_with("HTTP/1.1 401 "));
    let again = place.run(&["api", "token", "revoke", "--node", "a", "0"]);
    assert_code(&again, 2);
    assert_eq!(node.end(), 0);
}

#[test]
fn a_manager_has_tokens_of_its_own() {
    let place = Place::new();
    let manager = place.http_manager();
    let made = place.ask(&[
        "api",
        "token",
        "create",
        "--manager",
        "--json",
        "--name",
        "x",
    ]);
    let token = made["token"].as_str().unwrap();
    let status = get(&manager, "/api/v1/status", token);
    assert!(status.contains("\"type\":\"manager\""), "{status}");
    assert_eq!(manager.end(), 0);
}

#[test]
fn what_others_could_reach_is_not_served_bare() {
    let place = Place::new();
    let words = [
        "serve",
        "--create",
        "--cluster-key-file",
        "key",
        "--directory",
        "a",
        "--http",
        "0.0.0.0:0",
    ];
    let refused = place.run(&words);
    assert_code(&refused, 2);
    assert!(
        errors(&refused).contains("--http-certificate"),
        "{}",
        errors(&refused)
    );
}
