use std::time::{Duration, SystemTime};

use replicat_net::{
    Authority, CertificateDer, ClusterKey, Identity, IdentityError, PeerIdentity, PrivateKeyDer,
    Role,
};

use crate::fixture::{MONTH, Pair, TestNode, authority, config, identity, name};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A key of its own with a certificate of the authority, as a manager would enrol a node.
pub(crate) fn enrolled(
    authority: &Authority,
    node: &str,
    now: SystemTime,
    lifetime: Duration,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let peer = PeerIdentity {
        name: name(node),
        role: Role::ReadOnly,
        enrolment: None,
    };
    let public_key = rcgen::PublicKeyData::subject_public_key_info(&key);
    let certificate = authority
        .certify(&public_key, &peer, now, lifetime)
        .unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![certificate], key)
}

/// An identity that does not renew itself.
fn fixed(authority: &Authority, node: &str, now: SystemTime, lifetime: Duration) -> Identity {
    let (chain, key) = enrolled(authority, node, now, lifetime);
    Identity::from_parts(chain, key, authority.certificate()).unwrap()
}

#[tokio::test]
async fn an_enrolled_node_is_verified_like_any_other() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let enrolled = fixed(&authority, "b", SystemTime::now(), MONTH);
    let mut b = TestNode::with(enrolled, config()).await;
    b.dial(Some("a"), &a.address());
    let (to_b, to_a) = (a.link_up().await, b.link_up().await);
    assert_eq!(to_b.peer().name, name("b"));
    assert_eq!(to_b.peer().role, Role::ReadOnly);
    assert_eq!(to_a.peer().role, Role::ReadWrite);
}

#[test]
fn the_key_must_be_that_of_the_certificate() {
    let authority = authority();
    let (chain, _) = enrolled(&authority, "b", SystemTime::now(), MONTH);
    let (_, other_key) = enrolled(&authority, "b", SystemTime::now(), MONTH);
    let mixed = Identity::from_parts(chain, other_key, authority.certificate());
    assert!(matches!(mixed, Err(IdentityError::Key { .. })));
}

#[test]
fn the_authority_must_be_that_of_the_certificate() {
    let (chain, key) = enrolled(&authority(), "b", SystemTime::now(), MONTH);
    let foreign = Identity::from_parts(chain, key, authority().certificate());
    let error = foreign.unwrap_err();
    assert!(matches!(error, IdentityError::Certificate(_)), "{error}");
}

#[tokio::test]
async fn nodes_of_other_clusters_are_told_so_on_both_sides() {
    let mut a = TestNode::start(&authority(), "a").await;
    let mut b = TestNode::start(&authority(), "b").await;
    b.dial(Some("a"), &a.address());
    let expected = "the nodes are of different clusters: their cluster keys differ";
    assert_eq!(b.dial_failed().await, expected);
    assert_eq!(a.refused().await, expected);
}

/// An authority of another key that took the name of the cluster, and a node of it.
#[tokio::test]
async fn a_forged_authority_is_refused_on_both_sides() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let forger = forged(&authority);
    let mut b = TestNode::with(forger, config()).await;
    b.dial(None, &a.address());
    let expected = "the nodes are of different clusters: their cluster keys differ";
    assert_eq!(b.dial_failed().await, expected);
    assert_eq!(a.refused().await, expected);
    b.endpoint.close("the test turns round").await;
    let mut b = TestNode::with(forged(&authority), config()).await;
    a.dial(None, &b.address());
    assert_eq!(a.dial_failed().await, expected);
    assert_eq!(b.refused().await, expected);
}

fn forged(authority: &Authority) -> Identity {
    let cluster = authority.cluster_id();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(
        rcgen::DnType::CommonName,
        format!("replicat cluster {cluster}"),
    );
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let mut params = rcgen::CertificateParams::default();
    let uri = format!("replicat://{cluster}/node/b?role=read-write");
    params.subject_alt_names = vec![
        rcgen::SanType::DnsName(format!("{cluster}.replicat.invalid").try_into().unwrap()),
        rcgen::SanType::URI(uri.try_into().unwrap()),
    ];
    let node_key = rcgen::KeyPair::generate().unwrap();
    let node = params.signed_by(&node_key, &issuer).unwrap();
    let private_key = PrivateKeyDer::try_from(node_key.serialize_der()).unwrap();
    Identity::from_parts(
        vec![node.der().clone()],
        private_key,
        certificate.der().clone(),
    )
    .unwrap()
}

#[tokio::test]
async fn an_expired_dialler_is_told_so_on_both_sides() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let then = SystemTime::now() - 10 * DAY;
    let mut b = TestNode::with(fixed(&authority, "b", then, DAY), config()).await;
    b.dial(Some("a"), &a.address());
    let failed = b.dial_failed().await;
    assert!(
        failed.starts_with("the certificate of this node has expired"),
        "{failed}"
    );
    let refused = a.refused().await;
    assert!(
        refused.starts_with("the certificate of the peer has expired"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_expired_acceptor_is_told_so_on_both_sides() {
    let authority = authority();
    let then = SystemTime::now() - 10 * DAY;
    let mut a = TestNode::with(fixed(&authority, "a", then, DAY), config()).await;
    let mut b = TestNode::start(&authority, "b").await;
    b.dial(Some("a"), &a.address());
    let failed = b.dial_failed().await;
    assert!(
        failed.starts_with("the certificate of the peer has expired"),
        "{failed}"
    );
    let refused = a.refused().await;
    assert!(
        refused.starts_with("the certificate of this node has expired"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_late_clock_accepts_a_new_certificate() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let ahead = SystemTime::now() + DAY / 2;
    let mut b = TestNode::with(fixed(&authority, "b", ahead, MONTH), config()).await;
    b.dial(Some("a"), &a.address());
    b.link_up().await;
    a.link_up().await;
}

#[tokio::test]
async fn a_link_ends_when_the_certificate_of_the_peer_does() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let short = fixed(
        &authority,
        "b",
        SystemTime::now(),
        Duration::from_millis(2500),
    );
    let mut b = TestNode::with(short, config()).await;
    b.dial(Some("a"), &a.address());
    let _to_a = b.link_up().await;
    let _to_b = a.link_up().await;
    assert_eq!(a.link_down().await, replicat_net::LinkEnd::Expired);
}

#[tokio::test]
async fn another_node_is_not_put_in_place_of_this_one() {
    let authority = authority();
    let node = TestNode::start(&authority, "a").await;
    let same = identity(&authority, "a");
    assert!(node.endpoint.set_identity(same).is_ok());
    let other = identity(&authority, "b");
    assert!(node.endpoint.set_identity(other).is_err());
    let foreign = identity(&ClusterKey::generate().unwrap().authority().unwrap(), "a");
    assert!(node.endpoint.set_identity(foreign).is_err());
}

#[tokio::test]
async fn peers_learn_what_the_greeting_says() {
    let pair = Pair::new(replicat_net::EndpointConfig {
        advertised: Some("nas.example:8787".to_owned()),
        features: "some features".into(),
        ..config()
    })
    .await;
    for link in [&pair.to_a, &pair.to_b] {
        assert_eq!(link.advertised(), Some("nas.example:8787"));
        assert_eq!(link.features(), "some features");
        assert!(link.software().starts_with("replicat "));
        assert_eq!(link.version(), 1);
    }
}

/// A node of two clusters, the first of which it shows.
fn accepting(own: &Authority, other: &Authority, node: &str) -> Identity {
    identity(own, node).accepting(vec![identity(other, node)])
}

/// Each pair of neighbouring steps of a change of the key is connected, whoever dials.
#[tokio::test]
async fn nodes_connect_while_the_key_is_changed() {
    let (old, new) = (authority(), authority());
    let steps = |node: &str| {
        [
            identity(&old, node),
            accepting(&old, &new, node),
            accepting(&new, &old, node),
            identity(&new, node),
        ]
    };
    for (one, other) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2), (2, 2)] {
        let mut a = TestNode::with(steps("a")[one].clone(), config()).await;
        let mut b = TestNode::with(steps("b")[other].clone(), config()).await;
        b.dial(Some("a"), &a.address());
        let (to_b, to_a) = (a.link_up().await, b.link_up().await);
        let cluster = steps("a")[one].cluster_id();
        assert_eq!((to_b.cluster(), to_a.cluster()), (cluster, cluster));
        assert_eq!(to_a.peer_cluster(), cluster);
        // A bulk lane is a connection of its own.
        to_a.bulk(0)
            .send(bytes::Bytes::from_static(b"x"))
            .await
            .unwrap();
        assert_eq!(to_b.bulk(0).recv().await.unwrap(), &b"x"[..]);
    }
}

#[tokio::test]
async fn a_key_that_was_dropped_is_refused() {
    let (old, new) = (authority(), authority());
    let mut a = TestNode::with(identity(&new, "a"), config()).await;
    let mut b = TestNode::with(accepting(&old, &old, "b"), config()).await;
    b.dial(Some("a"), &a.address());
    let refused = b.dial_failed().await;
    assert!(refused.contains("their cluster keys differ"), "{refused}");
    a.dial(Some("b"), &b.address());
    let refused = a.dial_failed().await;
    assert!(refused.contains("their cluster keys differ"), "{refused}");
}
