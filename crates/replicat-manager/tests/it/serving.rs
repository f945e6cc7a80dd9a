//! A manager that nodes are connected to, and nodes that do nothing but talk to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use replicat_manager::{
    Assignment, EnrolmentAnswer, EnrolmentRequest, Manager, ManagerMessage, NodeMessage,
    NodeReport, PlacementMode, Service, TokenOrder,
};
use replicat_net::{
    Endpoint, EndpointConfig, Event, Events, Identity, Link, NodeKey, NodeName, PeerAddress, Role,
    ask_manager,
};
use tokio::time::{sleep, timeout};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

struct Stand {
    store: Arc<dyn ObjectStore>,
    service: Service,
}

/// A node: what it was given, and its link to the manager.
struct Node {
    name: NodeName,
    endpoint: Endpoint,
    events: Events,
    link: Link,
}

impl Stand {
    async fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let service = serve(&store).await;
        Self { store, service }
    }

    fn address(&self) -> String {
        self.service.address().unwrap().to_string()
    }

    /// The answer to a request with a new token.
    async fn ask(&self, name: &str, key: &NodeKey) -> EnrolmentAnswer {
        let order = TokenOrder {
            role: Role::ReadOnly,
            node: None,
            lifetime: Duration::from_secs(60),
        };
        let manager = self.service.manager();
        let token = manager.create_token(&order, SystemTime::now()).await;
        let token = token.unwrap();
        let request = EnrolmentRequest {
            token: token.id,
            secret: token.secret,
            name: name.parse().unwrap(),
            public_key: key.public_key(),
        };
        let (address, question) = (self.address(), request.encode());
        let asked = ask_manager(&address, &token.authority, &question, PATIENCE);
        EnrolmentAnswer::decode(asked.await.unwrap()).unwrap()
    }

    async fn enrol(&self, name: &str) -> Identity {
        let key = NodeKey::generate().unwrap();
        match self.ask(name, &key).await {
            EnrolmentAnswer::Granted {
                certificate,
                authority,
            } => Identity::from_parts(vec![certificate], key.to_der(), authority).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn connect(&self, name: &str) -> Node {
        let identity = self.enrol(name).await;
        let (endpoint, mut events) = dial(identity, &self.address()).await;
        let link = up(&mut events).await;
        Node {
            name: name.parse().unwrap(),
            endpoint,
            events,
            link,
        }
    }
}

async fn serve(store: &Arc<dyn ObjectStore>) -> Service {
    let manager = Manager::open(Arc::clone(store), None).await.unwrap();
    let started = Service::start(Arc::new(manager), "127.0.0.1:0").await;
    started.unwrap()
}

async fn dial(identity: Identity, address: &str) -> (Endpoint, Events) {
    let config = EndpointConfig::default();
    let (endpoint, events) = Endpoint::bind(identity, config).await.unwrap();
    endpoint.dial(PeerAddress {
        name: Some("manager".parse().unwrap()),
        address: address.to_owned(),
    });
    (endpoint, events)
}

async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

async fn up(events: &mut Events) -> Link {
    loop {
        match next(events).await {
            Event::LinkUp(link) => return link,
            Event::DialFailed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

impl Node {
    async fn hear(&self) -> ManagerMessage {
        let frame = timeout(PATIENCE, self.link.control().recv()).await;
        ManagerMessage::decode(frame.unwrap().unwrap()).unwrap()
    }

    /// The next assignment that fulfils a condition.
    async fn assigned(&self, is_it: impl Fn(&Assignment) -> bool) -> Assignment {
        loop {
            match self.hear().await {
                ManagerMessage::Assignment(assignment) if is_it(&assignment) => return assignment,
                _ => {}
            }
        }
    }

    async fn say(&self, message: NodeMessage) {
        let sent = self.link.control().send(message.encode()).await;
        sent.unwrap();
    }

    /// Why the link to the manager went down.
    async fn down(&mut self) -> String {
        loop {
            if let Event::LinkDown { reason, .. } = next(&mut self.events).await {
                return reason.to_string();
            }
        }
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("it does not come about that {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_reaches_the_nodes() {
    let stand = Stand::new().await;
    let a = stand.connect("a").await;
    let first = a.assigned(|_| true).await;
    assert!(first.peers.is_empty() && first.folders.is_empty());

    let b = stand.connect("b").await;
    let address = Some("0.0.0.0:4321".to_owned());
    b.say(NodeMessage::Hello { address }).await;
    let told = a.assigned(|assignment| !assignment.peers.is_empty()).await;
    assert_eq!(told.peers[&b.name], "127.0.0.1:4321");

    let manager = stand.service.manager();
    let folder = "site".parse().unwrap();
    let placed = manager.place(&folder, &a.name, PlacementMode::SendOnly);
    placed.await.unwrap();
    let told = a
        .assigned(|assignment| !assignment.folders.is_empty())
        .await;
    assert_eq!(told.folders[&folder], PlacementMode::SendOnly);
    assert!(told.generation > first.generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_manager_decides_reaches_the_nodes_too() {
    let stand = Stand::new().await;
    let a = stand.connect("a").await;
    let other = Manager::open(Arc::clone(&stand.store), None).await.unwrap();
    let folder = "site".parse().unwrap();
    let placed = other.place(&folder, &a.name, PlacementMode::default());
    placed.await.unwrap();
    a.assigned(|assignment| assignment.folders.contains_key(&folder))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_cut_off_and_the_others_are_told() {
    let stand = Stand::new().await;
    let (a, mut b) = (stand.connect("a").await, stand.connect("b").await);
    let enrolment = b.endpoint.identity().enrolment().unwrap();
    let manager = stand.service.manager();
    manager
        .remove_node(&b.name, SystemTime::now())
        .await
        .unwrap();
    assert!(b.down().await.contains("removed from the cluster"));
    a.assigned(|assignment| assignment.revoked.contains(&enrolment))
        .await;
    loop {
        if let Event::DialFailed { reason, .. } = next(&mut b.events).await {
            assert!(reason.to_string().contains("was removed"), "{reason}");
            break;
        }
    }
    let sightings = || async { stand.service.sightings().nodes.contains_key(&b.name) };
    until("the node is forgotten", async || !sightings().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_report_and_it_survives_the_manager() {
    let stand = Stand::new().await;
    let a = stand.connect("a").await;
    let report = NodeReport {
        status: "Online".to_owned(),
        ..NodeReport::default()
    };
    a.say(NodeMessage::Report(report.clone())).await;
    until("the report is seen", async || {
        let sightings = stand.service.sightings();
        sightings.nodes[&a.name].report == report
    })
    .await;

    stand.service.stop().await;
    let again = serve(&stand.store).await;
    let sighting = &again.sightings().nodes[&a.name];
    assert!(!sighting.is_connected);
    assert_eq!(sighting.report, report);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_over_the_link() {
    let stand = Stand::new().await;
    let a = stand.connect("a").await;
    let key = NodeKey::generate().unwrap();
    a.say(NodeMessage::Renew(key.public_key())).await;
    let certificate = loop {
        if let ManagerMessage::Certificate(certificate) = a.hear().await {
            break certificate;
        }
    };
    let authority = stand.service.manager().authority().certificate();
    let renewed = Identity::from_parts(vec![certificate], key.to_der(), authority).unwrap();
    assert_eq!(renewed.enrolment(), a.endpoint.identity().enrolment());
    a.endpoint.set_identity(renewed).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_makes_no_sense_is_told_so() {
    let stand = Stand::new().await;
    let mut a = stand.connect("a").await;
    let sent = a.link.control().send(Bytes::from_static(&[0xff; 16])).await;
    sent.unwrap();
    assert!(a.down().await.contains("does not decode"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_who_asked() {
    let stand = Stand::new().await;
    let key = NodeKey::generate().unwrap();
    stand.enrol("a").await;
    let EnrolmentAnswer::Refused(reason) = stand.ask("a", &key).await else {
        panic!("the name is taken");
    };
    assert!(
        reason.contains("a node named a is enrolled already"),
        "{reason}"
    );

    let pin = stand.service.manager().authority().pin().unwrap();
    let garbage = ask_manager(&stand.address(), &pin, b"\xff\xff", PATIENCE).await;
    let answer = EnrolmentAnswer::decode(garbage.unwrap()).unwrap();
    assert!(matches!(answer, EnrolmentAnswer::Refused(_)), "{answer:?}");

    // A node by the cluster key is none that a manager can steer.
    let authority = stand.service.manager().authority();
    let (name, hour) = ("k".parse().unwrap(), Duration::from_secs(3600));
    let own = Identity::issue(authority, name, Role::ReadWrite, SystemTime::now(), hour);
    let (_endpoint, mut events) = dial(own.unwrap(), &stand.address()).await;
    let Event::DialFailed { reason, .. } = next(&mut events).await else {
        panic!("it is not admitted");
    };
    assert!(
        reason.to_string().contains("is not enrolled here"),
        "{reason}"
    );
}
