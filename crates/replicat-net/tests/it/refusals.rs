use std::net::TcpListener;
use std::time::Duration;

use replicat_net::{Endpoint, EndpointConfig, Event, LinkEnd, RefusalCode};

use crate::fixture::{Pair, TestNode, authority, config, identity, name};
use crate::raw::{RawNode, greeting};

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = EndpointConfig {
        listen: Some(address.clone()),
        ..config()
    };
    let Err(error) = Endpoint::bind(identity(&authority(), "a"), config).await else {
        panic!("the address is taken");
    };
    let text = error.to_string();
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn another_node_than_expected_is_told_on_both_sides() {
    let authority = authority();
    let mut c = TestNode::start(&authority, "c").await;
    let mut a = TestNode::start(&authority, "a").await;
    let address = c.address();
    a.dial(Some("b"), &address);
    let expected = format!("{address} is node c, not b");
    assert_eq!(a.dial_failed().await, expected);
    assert_eq!(c.refused().await, format!("the peer refuses: {expected}"));
}

#[tokio::test]
async fn a_node_that_dials_itself_is_told() {
    let mut a = TestNode::start(&authority(), "a").await;
    a.dial(None, &a.address());
    let failed = a.dial_failed().await;
    assert!(failed.contains("node a reached itself"), "{failed}");
}

#[tokio::test]
async fn two_nodes_of_one_name_are_told_on_both_sides() {
    let authority = authority();
    let mut first = TestNode::start(&authority, "a").await;
    let mut second = TestNode::start(&authority, "a").await;
    second.dial(None, &first.address());
    let expected = "both nodes are called a: give each node a name of its own";
    let failed = second.dial_failed().await;
    assert_eq!(failed, format!("the peer refuses: {expected}"));
    assert_eq!(first.refused().await, expected);
}

#[tokio::test]
async fn a_name_is_claimed_once() {
    let authority = authority();
    let mut hub = TestNode::start(&authority, "hub").await;
    let mut first = TestNode::start(&authority, "b").await;
    first.dial(None, &hub.address());
    let to_first = hub.link_up().await;
    let _kept = first.link_up().await;
    let mut second = TestNode::start(&authority, "b").await;
    second.dial(None, &hub.address());
    let failed = second.dial_failed().await;
    assert!(
        failed.contains("another process is connected as node b"),
        "{failed}"
    );
    let refused = hub.refused().await;
    assert!(
        refused.contains("another process is connected as node b"),
        "{refused}"
    );
    drop(first);
    assert!(matches!(
        hub.link_down().await,
        LinkEnd::Lost(_) | LinkEnd::ClosedByPeer(_)
    ));
    assert_ne!(hub.link_up().await.address(), to_first.address());
    second.link_up().await;
}

#[tokio::test]
async fn versions_that_do_not_meet_say_whom_to_update() {
    let authority = authority();
    let newer = EndpointConfig {
        versions: 3..=4,
        ..config()
    };
    let mut a = TestNode::with(identity(&authority, "a"), newer).await;
    let mut b = TestNode::start(&authority, "b").await;
    b.dial(None, &a.address());
    let expected = "node a speaks protocol versions 3 to 4, node b 1 to 1: update node b";
    assert_eq!(
        b.dial_failed().await,
        format!("the peer refuses: {expected}")
    );
    assert_eq!(a.refused().await, expected);
}

#[tokio::test]
async fn a_peer_that_is_not_admitted_is_told_why() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    a.endpoint.set_admission(|peer| match peer.name.as_str() {
        "b" => Err("node b was revoked".to_owned()),
        _ => Ok(()),
    });
    let mut b = TestNode::start(&authority, "b").await;
    b.dial(None, &a.address());
    let code = b
        .next(|event| match event {
            Event::DialFailed {
                reason: replicat_net::ConnectError::RefusedByPeer(refusal),
                ..
            } => Some(refusal.code),
            _ => None,
        })
        .await;
    assert_eq!(code, RefusalCode::NotAdmitted);
    assert_eq!(a.refused().await, "node b was revoked");
    let mut c = TestNode::start(&authority, "c").await;
    c.dial(None, &a.address());
    assert_eq!(a.link_up().await.peer().name, name("c"));
    c.link_up().await;
}

#[tokio::test]
async fn a_peer_is_disconnected_at_once() {
    let mut pair = Pair::new(config()).await;
    pair.a.endpoint.set_admission(|_| Err("revoked".to_owned()));
    pair.a.endpoint.disconnect(&name("b"), "revoked");
    assert_eq!(
        pair.a.link_down().await,
        LinkEnd::Closed("revoked".to_owned())
    );
    pair.b.link_down().await;
    assert_eq!(pair.b.dial_failed().await, "the peer refuses: revoked");
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_reported_with_the_next_attempt() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap().to_string();
    drop(unused);
    let mut b = TestNode::start(&authority(), "b").await;
    b.dial(None, &address);
    let (failed, next) = b
        .next(|event| match event {
            Event::DialFailed {
                address,
                next_attempt,
                ..
            } => Some((address, next_attempt)),
            _ => None,
        })
        .await;
    assert_eq!(failed, address);
    assert!(next <= config().backoff_max);
}

/// As after a loss of power: nothing closes the connection, and nobody answers on it.
#[tokio::test]
async fn a_name_is_free_again_soon_after_its_process_is_gone_without_a_word() {
    let authority = authority();
    let config = EndpointConfig {
        dead_after: Duration::from_secs(24 * 3600),
        challenge_deadline: Duration::from_millis(50),
        ..config()
    };
    let mut hub = TestNode::with(identity(&authority, "hub"), config).await;
    let mut gone = RawNode::connect(&authority, &hub.address()).await;
    assert!(gone.greet(greeting()).await.greeting.is_some());
    let _kept = hub.link_up().await;
    let mut back = TestNode::start(&authority, "raw").await;
    back.dial(None, &hub.address());
    let failed = back.dial_failed().await;
    assert!(failed.contains("another process is connected"), "{failed}");
    assert!(matches!(hub.link_down().await, LinkEnd::Silent(_)));
    let _new = back.link_up().await;
    // Its end of the connection was there all the time.
    drop(gone);
}
