//! Nodes that are connected in various ways hold the same.

use std::fs;

use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_exchange_what_they_hold_and_what_changes() {
    let mut cluster = Cluster::new();
    cluster.write("a", "from-a", "1");
    cluster.write("b", "deep/er/from-b", "2");
    cluster.start("a", &[]).await;
    cluster.start("b", &["a"]).await;
    cluster.holds("b", "from-a", "1").await;
    cluster.holds("a", "deep/er/from-b", "2").await;
    cluster.write("a", "edited", "first");
    cluster.holds("b", "edited", "first").await;
    cluster.write("b", "edited", "second, longer");
    cluster.holds("a", "edited", "second, longer").await;
    fs::remove_file(cluster.directory("a").join("from-a")).unwrap();
    cluster.lacks("b", "from-a").await;
    fs::rename(
        cluster.directory("b").join("deep"),
        cluster.directory("b").join("moved"),
    )
    .unwrap();
    cluster.holds("a", "moved/er/from-b", "2").await;
    cluster.lacks("a", "deep").await;
    cluster.equal().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_arrives_whole() {
    let mut cluster = Cluster::new();
    let mut number = 1_u64;
    let large: Vec<u8> = (0..20 << 20)
        .map(|_| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (number >> 33) as u8
        })
        .collect();
    cluster.write("a", "large", &large);
    cluster.start("a", &[]).await;
    cluster.start("b", &["a"]).await;
    cluster.holds("b", "large", &large).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_passes_along_a_chain() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    cluster.start("b", &["a"]).await;
    cluster.start("c", &["b"]).await;
    cluster.write("a", "one", "from a");
    cluster.holds("c", "one", "from a").await;
    cluster.write("c", "two", "from c");
    cluster.holds("a", "two", "from c").await;
    cluster.equal().await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_catches_up() {
    let mut cluster = Cluster::new();
    cluster.start("a", &[]).await;
    cluster.start("b", &["a"]).await;
    cluster.write("a", "one", "1");
    cluster.holds("b", "one", "1").await;
    cluster.stop("b").await;
    cluster.write("a", "one", "while b was away");
    cluster.write("b", "two", "while b was down");
    cluster.start("b", &["a"]).await;
    cluster.holds("b", "one", "while b was away").await;
    cluster.holds("a", "two", "while b was down").await;
    cluster.end().await;
}
