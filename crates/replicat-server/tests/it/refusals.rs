//! What is refused, with what words, and that all else goes on.

use std::fs;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rcgen::PublicKeyData;
use replicat_net::{
    Endpoint, EndpointConfig, Event, Identity, PeerAddress, PeerIdentity, PrivateKeyDer, Role,
};
use replicat_server::{
    ClusterKey, NodeSettings, NodeStatus, ReplicatServer, ServerError, ServerStatus,
};

use crate::cluster::{Cluster, until};

/// Waits until the only peer of a node is refused, and gives the reason.
async fn refused(server: &ReplicatServer) -> String {
    let mut found = None;
    let came = until(|| {
        found = server
            .nodes()
            .into_iter()
            .find_map(|node| match node.status {
                NodeStatus::Refused { reason } => Some(reason),
                _ => None,
            });
        found.is_some()
    });
    assert!(came.await, "{:#?}", server.nodes());
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_key_gets_nothing_and_both_are_told() {
    let mut cluster = Cluster::new();
    cluster.write("a", "secret", "s");
    cluster.start("a", &[]).await;
    let mut settings = cluster.settings("b", &["a"]);
    settings.cluster_key = Some(ClusterKey::generate().unwrap());
    let b = cluster.start_with("b", settings).await.clone();
    assert!(refused(&b).await.contains("cluster keys differ"));
    let a = &cluster.nodes["a"];
    assert!(
        until(|| a
            .last_refused()
            .is_some_and(|why| why.contains("cluster keys differ")))
        .await
    );
    assert_eq!(cluster.read("b", "secret"), None);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    let long_ago = SystemTime::now() - Duration::from_secs(48 * 3600);
    let authority = cluster.key.authority().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let who = PeerIdentity {
        name: "b".parse().unwrap(),
        role: Role::ReadWrite,
        enrolment: None,
    };
    let hour = Duration::from_secs(3600);
    let certificate = authority.certify(&key.subject_public_key_info(), &who, long_ago, hour);
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let chain = vec![certificate.unwrap()];
    let identity = Identity::from_parts(chain, private, authority.certificate());
    let b = ReplicatServer::builder()
        .settings(cluster.settings("b", &["a"]))
        .identity(identity.unwrap());
    let b = b.start().await.unwrap();
    assert!(
        until(|| {
            let why = cluster.nodes["a"].last_refused();
            why.is_some_and(|why| why.contains("expired"))
        })
        .await
    );
    b.shutdown().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_another_than_expected_is_refused() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    let mut settings = cluster.settings("b", &["a"]);
    settings.nodes = vec![NodeSettings {
        name: Some("c".parse().unwrap()),
        address: settings.nodes[0].address.clone(),
    }];
    let b = cluster.start_with("b", settings).await.clone();
    assert!(refused(&b).await.contains('c'));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_of_one_name_are_refused() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    cluster.start("b", &["a"]).await;
    cluster.write("a", "one", "1");
    cluster.holds("b", "one", "1").await;
    let mut settings = cluster.settings("b", &["a"]);
    settings.folders[0].directory = cluster.directory("other");
    let impostor = ReplicatServer::builder()
        .settings(settings)
        .start()
        .await
        .unwrap();
    let reason = refused(&impostor).await;
    assert!(reason.contains('b'), "{reason}");
    cluster.write("a", "two", "2");
    cluster.holds("b", "two", "2").await;
    impostor.shutdown().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_named_and_nothing_is_left_behind() {
    let mut cluster = Cluster::new();
    let address = cluster.start("a", &[]).await.address().unwrap();
    let mut settings = cluster.settings("b", &[]);
    settings.address = Some(address.to_string());
    let failed = ReplicatServer::builder().settings(settings).start().await;
    let error = failed.err().unwrap();
    assert!(
        error.to_string().contains("the address is in use"),
        "{error}"
    );
    assert!(!cluster.directory("b").exists());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_directory_is_not_created_unless_that_is_wanted() {
    let cluster = Cluster::new();
    let mut settings = cluster.settings("a", &[]);
    settings.folders[0].create = false;
    let failed = ReplicatServer::builder().settings(settings).start().await;
    let error = failed.err().unwrap();
    assert!(matches!(error, ServerError::Folder { .. }), "{error}");
    assert!(!cluster.directory("a").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_another_folder_is_refused_with_a_hint() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    cluster.stop("a").await;
    let mut settings = cluster.settings("a", &[]);
    settings.folders[0].name = "other".parse().unwrap();
    let failed = ReplicatServer::builder()
        .settings(settings.clone())
        .start()
        .await;
    let hint = failed.err().unwrap().hint().unwrap();
    assert!(hint.contains("--join"), "{hint}");
    settings.folders[0].join = true;
    cluster.start_with("a", settings).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_directory_halts_its_folder_alone() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    let mut settings = cluster.settings("b", &["a"]);
    let mut second = settings.folders[0].clone();
    second.name = "second".parse().unwrap();
    second.directory = cluster.directory("second");
    settings.folders.push(second);
    let b = cluster.start_with("b", settings).await.clone();
    cluster.write("a", "one", "1");
    cluster.holds("b", "one", "1").await;
    fs::rename(cluster.directory("second"), cluster.directory("gone")).unwrap();
    assert!(until(|| b.status() == ServerStatus::Halted).await);
    cluster.write("a", "two", "2");
    cluster.holds("b", "two", "2").await;
    assert!(!cluster.directory("second").exists());
    fs::rename(cluster.directory("gone"), cluster.directory("second")).unwrap();
    b.resume(Some("second")).unwrap();
    assert!(
        until(|| b.status() == ServerStatus::Online).await,
        "{:#?}",
        b.report()
    );
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_the_other_has_not_got_disturbs_nobody() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    let mut settings = cluster.settings("b", &["a"]);
    let mut second = settings.folders[0].clone();
    second.name = "second".parse().unwrap();
    second.directory = cluster.directory("second");
    settings.folders.push(second);
    cluster.start_with("b", settings).await;
    cluster.write("a", "one", "1");
    cluster.holds("b", "one", "1").await;
    assert!(!cluster.directory("a").join("second").exists());
    cluster.end().await;
}

/// A peer that holds the key and says what no node says.
async fn rude(cluster: &Cluster, frame: &'static [u8]) -> String {
    let identity = Identity::issue(
        &cluster.key.authority().unwrap(),
        "rude".parse().unwrap(),
        Role::ReadWrite,
        SystemTime::now(),
        Duration::from_secs(3600),
    );
    let config = EndpointConfig::default();
    let (endpoint, mut events) = Endpoint::bind(identity.unwrap(), config).await.unwrap();
    endpoint.dial(PeerAddress {
        name: None,
        address: cluster.nodes["a"].address().unwrap().to_string(),
    });
    // The node may not have noticed yet that the one before, of the same name, is gone.
    let link = loop {
        match events.recv().await {
            Some(Event::LinkUp(link)) => break link,
            Some(_) => {}
            None => panic!("no link"),
        }
    };
    link.control()
        .send(Bytes::from_static(frame))
        .await
        .unwrap();
    let end = link.closed().await;
    endpoint.close("done").await;
    end.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_protocol_is_told_which_and_the_node_goes_on() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    // Offer { protocol: 2 } in a control frame.
    let end = rude(&cluster, &[0x0a, 0x02, 0x08, 0x02]).await;
    assert!(
        end.contains("different protocols, 1 here and 2 there"),
        "{end}"
    );
    let end = rude(&cluster, &[0xff, 0xff, 0xff]).await;
    assert!(end.contains("does not decode"), "{end}");
    cluster.start("b", &["a"]).await;
    cluster.write("a", "one", "1");
    cluster.holds("b", "one", "1").await;
    cluster.end().await;
}
