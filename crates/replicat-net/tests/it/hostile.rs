//! Strangers, and peers that do not keep to the protocol.

use std::time::Duration;

use replicat_net::{EndpointConfig, Event, LinkEnd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{TestNode, authority, config, identity, patiently};
use crate::raw::{Greeting, RawNode, greeting};

const DATA: u8 = 0;
const PING: u8 = 1;
const PONG: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;

async fn listening(config: EndpointConfig) -> (TestNode, replicat_net::Authority) {
    let authority = authority();
    let node = TestNode::with(identity(&authority, "a"), config).await;
    (node, authority)
}

/// A raw peer whose link is up.
async fn linked(
    node: &mut TestNode,
    authority: &replicat_net::Authority,
) -> (RawNode, replicat_net::Link) {
    let mut raw = RawNode::connect(authority, &node.address()).await;
    assert!(raw.greet(greeting()).await.greeting.is_some());
    (raw, node.link_up().await)
}

#[tokio::test]
async fn garbage_and_web_browsers_are_turned_away() {
    let (mut a, _) = listening(config()).await;
    for words in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff; 4096]] {
        let mut stranger = TcpStream::connect(a.address()).await.unwrap();
        stranger.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        // The end may come as a reset: what matters is that it comes.
        let _ = patiently(stranger.read_to_end(&mut answer)).await;
        let refused = a.refused().await;
        assert!(refused.contains("not a replicat node"), "{refused}");
    }
}

#[tokio::test]
async fn whoever_says_nothing_is_turned_away_in_time() {
    let (mut a, authority) = listening(EndpointConfig {
        handshake_deadline: Duration::from_millis(200),
        ..config()
    })
    .await;
    let mut silent = TcpStream::connect(a.address()).await.unwrap();
    assert_eq!(a.refused().await, "no connection within 0.2 s");
    let mut nothing = [0];
    assert!(matches!(
        patiently(silent.read(&mut nothing)).await,
        Ok(0) | Err(_)
    ));
    let _no_greeting = RawNode::connect(&authority, &a.address()).await;
    assert_eq!(a.refused().await, "no connection within 0.2 s");
}

#[tokio::test]
async fn strangers_are_few_at_a_time() {
    let (mut a, authority) = listening(EndpointConfig {
        unauthenticated_per_network_max: 2,
        ..config()
    })
    .await;
    let first = TcpStream::connect(a.address()).await.unwrap();
    let _second = TcpStream::connect(a.address()).await.unwrap();
    let mut third = TcpStream::connect(a.address()).await.unwrap();
    let mut nothing = [0];
    assert!(matches!(
        patiently(third.read(&mut nothing)).await,
        Ok(0) | Err(_)
    ));
    drop(first);
    a.refused().await;
    let (_raw, _link) = linked(&mut a, &authority).await;
}

#[tokio::test]
async fn a_second_implementation_is_understood() {
    let (mut a, authority) = listening(config()).await;
    let (mut raw, link) = linked(&mut a, &authority).await;
    assert_eq!(link.frame_bytes_max(), 1 << 20);
    raw.frame(DATA, 5, b"hello").await;
    assert_eq!(
        patiently(link.control().recv()).await.as_deref(),
        Some(&b"hello"[..])
    );
    raw.frame(PING, 8, b"12345678").await;
    assert_eq!(raw.read_frame().await, (PONG, b"12345678".to_vec()));
    link.bulk(1).send("large".into()).await.unwrap();
    assert_eq!(raw.read_frame().await, (OPEN, vec![2]));
    let mut bulk = RawNode::connect(&authority, &a.address()).await;
    let answer = bulk
        .greet(Greeting {
            lane: 2,
            ..greeting()
        })
        .await;
    assert_eq!(answer.greeting.unwrap().lane, 2);
    assert_eq!(bulk.read_frame().await, (DATA, b"large".to_vec()));
    link.close("done");
    assert_eq!(raw.read_frame().await, (CLOSE, b"\x01done".to_vec()));
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_link() {
    let (mut a, authority) = listening(config()).await;
    let (mut raw, _link) = linked(&mut a, &authority).await;
    raw.frame(DATA, u32::MAX, b"").await;
    let end = a.link_down().await;
    assert!(
        matches!(&end, LinkEnd::Protocol(text) if text.contains("4294967295")),
        "{end}"
    );
}

#[tokio::test]
async fn frames_that_make_no_sense_end_the_link() {
    for (kind, payload) in [(9, &b""[..]), (PING, b"123"), (OPEN, &[1]), (OPEN, &[])] {
        let (mut a, authority) = listening(config()).await;
        let (mut raw, _link) = linked(&mut a, &authority).await;
        raw.frame(kind, payload.len() as u32, payload).await;
        assert!(matches!(a.link_down().await, LinkEnd::Protocol(_)));
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_taken_for_dead() {
    let (mut a, authority) = listening(EndpointConfig {
        dead_after: Duration::from_millis(300),
        ..config()
    })
    .await;
    let (_raw, _link) = linked(&mut a, &authority).await;
    assert_eq!(
        a.link_down().await,
        LinkEnd::Silent(Duration::from_millis(300))
    );
}

#[tokio::test]
async fn a_peer_that_ends_in_the_middle_of_a_frame_is_lost() {
    let (mut a, authority) = listening(config()).await;
    let (mut raw, link) = linked(&mut a, &authority).await;
    raw.frame(DATA, 100, b"not all of it").await;
    drop(raw);
    assert!(matches!(a.link_down().await, LinkEnd::Lost(_)));
    assert_eq!(patiently(link.control().recv()).await, None);
}

#[tokio::test]
async fn greetings_that_make_no_sense_are_refused() {
    let (mut a, authority) = listening(config()).await;
    let cases = [
        (
            Greeting {
                name: "other".to_owned(),
                ..greeting()
            },
            8,
        ),
        (
            Greeting {
                instance: vec![1; 3],
                ..greeting()
            },
            8,
        ),
        (
            Greeting {
                link: Vec::new(),
                ..greeting()
            },
            8,
        ),
        (
            Greeting {
                version_min: 7,
                version_max: 9,
                ..greeting()
            },
            1,
        ),
        (
            Greeting {
                lane: 1,
                ..greeting()
            },
            7,
        ),
    ];
    for (bad, code) in cases {
        let mut raw = RawNode::connect(&authority, &a.address()).await;
        let answer = patiently(raw.greet(bad)).await;
        assert_eq!(answer.refusal.unwrap().code, code);
        a.refused().await;
    }
}

#[tokio::test]
async fn a_bulk_connection_needs_the_id_of_the_link() {
    let (mut a, authority) = listening(config()).await;
    let (_control, _link) = linked(&mut a, &authority).await;
    for bad in [
        Greeting {
            lane: 1,
            link: vec![9; 16],
            ..greeting()
        },
        Greeting {
            lane: 1,
            instance: vec![9; 16],
            ..greeting()
        },
        Greeting {
            lane: 3,
            ..greeting()
        },
    ] {
        let mut raw = RawNode::connect(&authority, &a.address()).await;
        assert_eq!(raw.greet(bad).await.refusal.unwrap().code, 7);
    }
}

/// A process that takes the name of a connected node is refused, and the connected one is asked
/// whether it still lives.
#[tokio::test]
async fn a_process_that_takes_the_name_of_another_makes_us_look_for_that() {
    let (mut a, authority) = listening(config()).await;
    let (mut first, _link) = linked(&mut a, &authority).await;
    let mut second = RawNode::connect(&authority, &a.address()).await;
    let another = Greeting {
        instance: vec![7; 16],
        ..greeting()
    };
    assert_eq!(second.greet(another).await.refusal.unwrap().code, 3);
    let (kind, nonce) = first.read_frame().await;
    assert_eq!((kind, nonce.len()), (PING, 8));
}

/// The peer lost its link without our noticing, and greets anew: the old link makes way. A greeting
/// that was under way before does not.
#[tokio::test]
async fn a_reconnect_of_the_same_process_replaces_its_link() {
    let (mut a, authority) = listening(config()).await;
    let (_first, _link) = linked(&mut a, &authority).await;
    let mut late = RawNode::connect(&authority, &a.address()).await;
    let answer = late
        .greet(Greeting {
            sequence: 1,
            ..greeting()
        })
        .await;
    assert_eq!(answer.refusal.unwrap().code, 5);
    let mut again = RawNode::connect(&authority, &a.address()).await;
    let answer = again
        .greet(Greeting {
            sequence: 2,
            link: vec![3; 16],
            ..greeting()
        })
        .await;
    assert!(answer.greeting.is_some());
    assert_eq!(a.link_down().await, LinkEnd::Replaced);
    let up = a
        .next(|event| matches!(event, Event::LinkUp(_)).then_some(event))
        .await;
    assert!(matches!(up, Event::LinkUp(_)));
}
