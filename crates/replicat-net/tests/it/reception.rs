//! Strangers who ask a manager, and those who only say that they are one.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use replicat_net::{
    ANSWER_BYTES_MAX, Authority, ConnectError, EndpointConfig, Identity, QUESTION_BYTES_MAX, Role,
    ask_manager,
};

use crate::fixture::{MONTH, TestNode, authority, config, name};

const DEADLINE: Duration = Duration::from_secs(30);

async fn answering(authority: &Authority, role: Role, config: EndpointConfig) -> TestNode {
    let now = SystemTime::now();
    let identity = Identity::issue(authority, name("manager"), role, now, MONTH).unwrap();
    let node = TestNode::with(identity, config).await;
    node.endpoint.set_reception(|question| async move {
        let mut answer = b"you said ".to_vec();
        answer.extend(question);
        answer.into()
    });
    node
}

async fn ask(node: &TestNode, authority: &Authority, question: &[u8]) -> Result<Bytes, String> {
    let pin = authority.pin().unwrap();
    let answer = ask_manager(&node.address(), &pin, question, DEADLINE).await;
    answer.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_stranger_is_answered_and_nodes_are_linked_as_ever() {
    let authority = authority();
    let mut manager = answering(&authority, Role::Manager, config()).await;
    assert_eq!(
        &ask(&manager, &authority, b"hello").await.unwrap()[..],
        b"you said hello"
    );
    let longest = vec![7; QUESTION_BYTES_MAX];
    assert_eq!(
        ask(&manager, &authority, &longest).await.unwrap().len(),
        9 + longest.len()
    );

    let mut node = TestNode::start(&authority, "a").await;
    node.dial(None, &manager.address());
    assert_eq!(node.link_up().await.peer().role, Role::Manager);
    assert_eq!(manager.link_up().await.peer().name, name("a"));
}

#[tokio::test]
async fn a_node_that_receives_nobody_answers_no_stranger() {
    let authority = authority();
    let mut node = TestNode::start(&authority, "a").await;
    let refused = ask(&node, &authority, b"hello").await.unwrap_err();
    assert!(
        refused.contains("not a replicat node, or speaks another"),
        "{refused}"
    );
    let seen = node.refused().await;
    assert!(seen.contains("not a replicat node"), "{seen}");
}

#[tokio::test]
async fn a_secret_is_told_to_no_other_node_and_no_other_cluster() {
    let authority = authority();
    let node = answering(&authority, Role::ReadWrite, config()).await;
    let refused = ask(&node, &authority, b"secret").await.unwrap_err();
    assert!(refused.contains("the address of no manager"), "{refused}");

    let other = crate::fixture::authority();
    let foreign = answering(&other, Role::Manager, config()).await;
    let pin = authority.pin().unwrap();
    let refused = ask_manager(&foreign.address(), &pin, b"secret", DEADLINE).await;
    assert!(refused.is_err(), "{refused:?}");

    // The id of the cluster is public: it takes the authority's key to be a manager of it.
    let mut forged = other.pin().unwrap();
    forged.public_key = authority.pin().unwrap().public_key;
    let refused = ask_manager(&foreign.address(), &forged, b"secret", DEADLINE).await;
    assert!(
        matches!(refused, Err(ConnectError::OtherCluster)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn questions_and_answers_are_bounded() {
    let authority = authority();
    let manager = answering(&authority, Role::Manager, config()).await;
    let too_long = vec![7; QUESTION_BYTES_MAX + 1];
    let refused = ask(&manager, &authority, &too_long).await.unwrap_err();
    assert!(refused.contains("16385 bytes"), "{refused}");

    manager
        .endpoint
        .set_reception(|_| async { vec![7; ANSWER_BYTES_MAX + 1].into() });
    ask(&manager, &authority, b"hello").await.unwrap_err();
    manager
        .endpoint
        .set_reception(|_| async { vec![7; ANSWER_BYTES_MAX].into() });
    let answer = ask(&manager, &authority, b"hello").await.unwrap();
    assert_eq!(answer.len(), ANSWER_BYTES_MAX);
}

#[tokio::test]
async fn strangers_are_given_no_more_time_than_anybody() {
    let authority = authority();
    let config = EndpointConfig {
        handshake_deadline: Duration::from_millis(200),
        ..config()
    };
    let mut manager = answering(&authority, Role::Manager, config).await;
    manager
        .endpoint
        .set_reception(|_| std::future::pending::<Bytes>());
    ask(&manager, &authority, b"hello").await.unwrap_err();
    assert_eq!(manager.refused().await, "no connection within 0.2 s");
}
