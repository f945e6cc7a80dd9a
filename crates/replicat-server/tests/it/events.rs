//! Which events a node tells of.

use std::fs;
use std::time::Duration;

use replicat_server::{Event, EventName, ReplicatServer};

use crate::cluster::{Cluster, until};

/// The events of a node until now that have this name.
fn events(node: &ReplicatServer, name: EventName) -> Vec<Event> {
    let (records, _) = node.events_since(0, Duration::ZERO).unwrap();
    let events = records.into_iter().map(|record| record.event);
    events.filter(|event| event.name == name).collect()
}

/// Waits for an event, and gives its path, the path before, its source, and the node that it came through.
async fn first(node: &ReplicatServer, name: EventName) -> [Option<String>; 4] {
    let came = until(|| !events(node, name).is_empty()).await;
    assert!(came, "{}: no {name}", node.name());
    let event = events(node, name).remove(0);
    let text = |path: &replicat_server::RelPath| path.to_string();
    [
        Some(text(&event.path)),
        event.source_path.as_ref().map(text),
        Some(event.source),
        event.network_source,
    ]
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_is_told_as_seen_where_it_was_made_and_as_replicated_elsewhere() {
    let mut cluster = Cluster::new();
    cluster.write("a", "old", "1");
    cluster.write("a", "leaves", "2");
    let a = cluster.start("a", &[]).await.clone();
    let b = cluster.start("b", &["a"]).await.clone();
    cluster.holds("b", "old", "1").await;
    cluster.holds("b", "leaves", "2").await;
    // A comparison of everything that is under way might see that a path is gone before the watch tells how.
    let is_in_sync = |node: &ReplicatServer| {
        let folder = node.folders().remove(0).detail.unwrap();
        folder.in_sync && !folder.peers.is_empty()
    };
    assert!(until(|| is_in_sync(&a) && is_in_sync(&b)).await);
    let in_a = |name: &str| cluster.directory("a").join(name);
    fs::rename(in_a("leaves"), cluster.place.path().join("elsewhere")).unwrap();
    cluster.lacks("b", "leaves").await;
    let expected = [some("leaves"), None, some("a"), None];
    assert_eq!(first(&a, EventName::Rename).await, expected);
    let expected = [some("leaves"), None, some("a"), some("a")];
    assert_eq!(first(&b, EventName::Remove).await, expected);
    fs::rename(in_a("old"), in_a("new")).unwrap();
    cluster.holds("b", "new", "1").await;
    let expected = [some("new"), some("old"), some("a"), some("a")];
    assert_eq!(first(&b, EventName::TrackerRename).await, expected);
    let is_whole = |event: &Event| {
        event.path.to_string() == "new"
            && event
                .source_path
                .as_ref()
                .is_some_and(|from| from.to_string() == "old")
    };
    assert!(events(&a, EventName::Rename).iter().any(is_whole));
    assert_eq!(events(&a, EventName::TrackerRename), []);
    assert_eq!(events(&b, EventName::Rename), []);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_met_and_which_files_it_asks_for_is_told() {
    let mut cluster = Cluster::new();
    let large = vec![7; 3 << 20];
    cluster.write("a", "large", &large);
    let a = cluster.start("a", &[]).await.clone();
    cluster.start("b", &["a"]).await;
    cluster.holds("b", "large", &large).await;
    let [_, _, source, through] = first(&a, EventName::Catalog).await;
    assert_eq!((source, through), (some("a"), some("b")));
    let expected = [some("large"), None, some("b"), some("b")];
    assert_eq!(first(&a, EventName::FileRequest).await, expected);
    // Once for each time that it was asked for, and not for each of its pieces.
    assert!(events(&a, EventName::FileRequest).len() < 3);
    cluster.end().await;
}
