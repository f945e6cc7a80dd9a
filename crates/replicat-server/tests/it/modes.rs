//! Nodes of which one may only send or receive.

use replicat_server::settings::parse_mode;

use crate::cluster::{Cluster, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receive_only_node_changes_stays_there() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    let mut settings = cluster.settings("b", &["a"]);
    settings.folders[0].mode = parse_mode("receive-only").unwrap();
    cluster.start_with("b", settings).await;
    cluster.write("a", "from-a", "1");
    cluster.holds("b", "from-a", "1").await;
    cluster.write("b", "from-b", "2");
    cluster.write("a", "after", "3");
    cluster.holds("b", "after", "3").await;
    assert_eq!(cluster.read("a", "from-b"), None);
    assert_eq!(cluster.read("b", "from-b").unwrap(), b"2");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_only_node_takes_nothing() {
    let mut cluster = Cluster::new();
    let mut settings = cluster.settings("a", &[]);
    settings.folders[0].mode = parse_mode("send-only").unwrap();
    cluster.start_with("a", settings).await;
    cluster.start("b", &["a"]).await;
    cluster.write("b", "from-b", "2");
    cluster.write("a", "from-a", "1");
    cluster.holds("b", "from-a", "1").await;
    assert_eq!(cluster.read("a", "from-b"), None);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_can_be_paused_and_goes_on() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    cluster.start("b", &["a"]).await;
    cluster.write("a", "one", "1");
    cluster.holds("b", "one", "1").await;
    let b = cluster.nodes["b"].clone();
    b.pause(Some("site")).unwrap();
    assert!(until(|| b.status().to_string() == "Paused").await);
    cluster.write("a", "two", "2");
    b.resume(Some("site")).unwrap();
    cluster.holds("b", "two", "2").await;
    assert!(b.pause(Some("nothing")).is_err());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_nodes_can_change_while_a_node_runs() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    let mut alone = cluster.settings("b", &[]);
    alone.folders.clear();
    let b = cluster.start_with("b", alone).await.clone();
    cluster.write("a", "one", "1");
    b.reload(cluster.settings("b", &["a"])).await.unwrap();
    cluster.holds("b", "one", "1").await;
    let mut without = cluster.settings("b", &["a"]);
    without.folders.clear();
    b.reload(without).await.unwrap();
    assert!(b.folders().is_empty());
    cluster.write("a", "two", "2");
    b.reload(cluster.settings("b", &["a"])).await.unwrap();
    cluster.holds("b", "two", "2").await;
    cluster.end().await;
}
