//! Clients that are too slow, or want too much.

use std::io::{Read, Write};
use std::time::Duration;

use crate::client::{PATIENCE, connect, read_answer};
use crate::place::{Place, until};

#[test]
fn heads_are_bounded() {
    let place = Place::node();
    let long = place
        .bare("GET", "/api/v1/status")
        .header("X-Long", &"x".repeat(40_000))
        .send();
    assert_eq!(long.status, 431);
    let mut many = place.bare("GET", "/api/v1/status");
    for number in 0..100 {
        many = many.header(&format!("X-{number}"), "x");
    }
    assert_eq!(many.send().status, 431);
    let target = format!("/api/v1/folders/site/tree?path={}", "a".repeat(30_000));
    assert_eq!(place.get(&target).status, 400);
}

#[test]
fn a_head_that_does_not_end_is_cut_off() {
    let place = Place::node_with(
        |config| config.head_patience = Duration::from_millis(200),
        |_| {},
    );
    let mut stream = connect(place.address);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        .unwrap();
    // The server ends the connection: with or without an answer, reading comes to its end.
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    assert_eq!(place.bare("GET", "/healthz").send().status, 200);
}

#[test]
fn a_body_that_stalls_is_cut_off_and_leaves_nothing() {
    let place = Place::node_with(
        |config| config.body_patience = Duration::from_millis(200),
        |_| {},
    );
    let ask = |target: &str| place.change("PUT", target).header("Content-Length", "10");
    let mut stream = ask("/api/v1/folders/site/file?path=x").begin();
    stream.write_all(b"12345").unwrap();
    let answer = read_answer(stream, false);
    assert_eq!((answer.status, answer.kind().as_str()), (408, "too-slow"));
    assert!(!place.at("x").exists());
    let stream = place
        .change("POST", "/api/v1/pause")
        .header("Content-Length", "10")
        .begin();
    assert_eq!(read_answer(stream, false).status, 408);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let place = Place::node();
    let ask = place
        .change("PUT", "/api/v1/folders/site/file?path=x")
        .header("Content-Length", "10");
    let mut stream = ask.begin();
    stream.write_all(b"12345").unwrap();
    drop(stream);
    assert_eq!(place.upload("y", "1").send().status, 201);
    assert!(!place.at("x").exists());
}

#[test]
fn streams_are_bounded() {
    let place = Place::node();
    let ask = place
        .bare("GET", "/api/v1/events/stream")
        .token(&place.read);
    let begun = |stream: &mut std::net::TcpStream| {
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        head
    };
    let mut streams: Vec<_> = (0..64).map(|_| ask.begin()).collect();
    for stream in &mut streams {
        assert_eq!(&begun(stream), b"HTTP/1.1 200");
    }
    let refused = ask.send();
    assert_eq!((refused.status, refused.kind().as_str()), (503, "busy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // All else goes on, and there is room again when one ends.
    assert_eq!(place.get("/api/v1/status").status, 200);
    streams.pop();
    until("room for a stream", || {
        &begun(&mut ask.begin()) == b"HTTP/1.1 200"
    });
}

#[test]
fn requests_at_work_are_bounded_and_the_process_still_says_that_it_lives() {
    let place = Place::node_with(|config| config.body_patience = PATIENCE, |_| {});
    let mut uploads = Vec::new();
    for number in 0..64 {
        let target = format!("/api/v1/folders/site/file?path={number}");
        let ask = place.change("PUT", &target).header("Content-Length", "2");
        let mut stream = ask.header("Expect", "100-continue").begin();
        // It is told to go on when somebody is at work on it.
        let mut told = [0; 25];
        stream.read_exact(&mut told).unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        uploads.push(stream);
    }
    let refused = place.get("/api/v1/status");
    assert_eq!((refused.status, refused.kind().as_str()), (503, "busy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(place.bare("GET", probe).send().status, 200, "{probe}");
    }
    // Those that were begun are finished.
    for mut stream in uploads {
        stream.write_all(b"12").unwrap();
        assert_eq!(read_answer(stream, false).status, 201);
    }
    assert_eq!(place.get("/api/v1/status").status, 200);
    assert_eq!(std::fs::read(place.at("63")).unwrap(), b"12");
}
