//! Nodes for tests, on loopback.

use std::time::{Duration, SystemTime};

use replicat_net::{
    Authority, ClusterKey, Endpoint, EndpointConfig, Event, Events, Identity, Link, NodeName,
    PeerAddress, Role,
};
use tokio::time::timeout;

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) fn authority() -> Authority {
    ClusterKey::generate().unwrap().authority().unwrap()
}

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(crate) fn identity(authority: &Authority, node: &str) -> Identity {
    Identity::issue(
        authority,
        name(node),
        Role::ReadWrite,
        SystemTime::now(),
        MONTH,
    )
    .unwrap()
}

/// Listens on loopback, and tries again soon.
pub(crate) fn config() -> EndpointConfig {
    EndpointConfig {
        listen: Some("127.0.0.1:0".to_owned()),
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(100),
        ..EndpointConfig::default()
    }
}

/// A node with its events.
pub(crate) struct TestNode {
    pub(crate) endpoint: Endpoint,
    pub(crate) events: Events,
}

impl TestNode {
    pub(crate) async fn start(authority: &Authority, node: &str) -> Self {
        Self::with(identity(authority, node), config()).await
    }

    pub(crate) async fn with(identity: Identity, config: EndpointConfig) -> Self {
        let (endpoint, events) = Endpoint::bind(identity, config).await.unwrap();
        Self { endpoint, events }
    }

    pub(crate) fn address(&self) -> String {
        self.endpoint.local_address().unwrap().to_string()
    }

    pub(crate) fn dial(&self, node: Option<&str>, address: &str) {
        self.endpoint.dial(PeerAddress {
            name: node.map(name),
            address: address.to_owned(),
        });
    }

    /// The next event for which `pick` has an answer; others are passed over.
    pub(crate) async fn next<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the endpoint is open");
                let shown = format!("{event:?}");
                match pick(event) {
                    Some(found) => return found,
                    None => eprintln!("passed over: {shown}"),
                }
            }
        };
        patiently(found).await
    }

    pub(crate) async fn link_up(&mut self) -> Link {
        self.next(|event| match event {
            Event::LinkUp(link) => Some(link),
            _ => None,
        })
        .await
    }

    /// Why the link went down.
    pub(crate) async fn link_down(&mut self) -> replicat_net::LinkEnd {
        self.next(|event| match event {
            Event::LinkDown { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    /// Why a dial failed, as the log says it.
    pub(crate) async fn dial_failed(&mut self) -> String {
        self.next(|event| match event {
            Event::DialFailed { reason, .. } => Some(reason.to_string()),
            _ => None,
        })
        .await
    }

    /// Why a connection was refused, as the log says it.
    pub(crate) async fn refused(&mut self) -> String {
        self.next(|event| match event {
            Event::Refused { reason, .. } => Some(reason.to_string()),
            _ => None,
        })
        .await
    }
}

/// Waits for what must happen, but not for ever.
pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Two nodes and the link between them, as each sees it: `a` listens and `b` dials.
pub(crate) struct Pair {
    pub(crate) a: TestNode,
    pub(crate) b: TestNode,
    pub(crate) to_b: Link,
    pub(crate) to_a: Link,
}

impl Pair {
    pub(crate) async fn new(config: EndpointConfig) -> Self {
        let authority = authority();
        let mut a = TestNode::with(identity(&authority, "a"), config.clone()).await;
        let mut b = TestNode::with(identity(&authority, "b"), config).await;
        b.dial(Some("a"), &a.address());
        let (to_b, to_a) = (a.link_up().await, b.link_up().await);
        Self { a, b, to_b, to_a }
    }
}
