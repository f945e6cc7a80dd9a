//! Files that programs read, upload and remove while a node keeps their folder.

use std::fs;

use replicat_server::control::{self, Command, PathText, Precondition};
use replicat_server::{RelPath, ReplicatServer};

use crate::cluster::{Cluster, until};

/// Whether the folder has been compared with what is known of it.
fn is_open(server: &ReplicatServer) -> bool {
    let probe = control::upload(server, "site", &path("probe"), 0);
    probe.map(control::Upload::abandon).is_ok()
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_replaces_only_what_is_expected() {
    let mut cluster = Cluster::new();
    let a = cluster.start("a", &[]).await.clone();
    assert!(until(|| is_open(&a)).await);
    let put = |at: &str, content: &[u8], precondition| {
        let mut upload = control::upload(&a, "site", &path(at), content.len() as u64).unwrap();
        upload.write(content).unwrap();
        upload.finish(precondition)
    };
    let first = put("docs/list", b"one", Precondition::Nothing).unwrap();
    assert!(first.created);
    assert_eq!(first.content.0, *blake3::hash(b"one").as_bytes());
    assert_eq!(cluster.read("a", "docs/list").unwrap(), b"one");
    let again = put("docs/list", b"two", Precondition::Nothing);
    assert_eq!(again.unwrap_err().kind(), "precondition");
    let second = put("docs/list", b"two", Precondition::Content(first.content)).unwrap();
    assert!(!second.created);
    let stale = put("docs/list", b"three", Precondition::Content(first.content));
    assert_eq!(stale.unwrap_err().kind(), "precondition");
    assert_eq!(cluster.read("a", "docs/list").unwrap(), b"two");
    assert_eq!(
        put("docs", b"x", Precondition::Anything)
            .unwrap_err()
            .kind(),
        "not-a-file"
    );

    let file = control::read(&a, "site", &path("docs/list")).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(1, &mut bytes).unwrap(), 2);
    assert_eq!(&bytes[..2], b"wo");

    let history = Command::History {
        folder: "site".to_owned(),
        path: PathText::Text("docs/list".to_owned()),
    };
    let versions = control::answer(&a, history).unwrap();
    assert!(versions.iter().any(|version| version["keeping"] == "trash"));
    control::remove(
        &a,
        "site",
        &path("docs/list"),
        Precondition::Content(second.content),
    )
    .unwrap();
    assert_eq!(cluster.read("a", "docs/list"), None);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_through_a_link_or_into_the_state() {
    let mut cluster = Cluster::new();
    let a = cluster.start("a", &[]).await.clone();
    assert!(until(|| is_open(&a)).await);
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), cluster.directory("a").join("way")).unwrap();
    let upload = control::upload(&a, "site", &path("way/in"), 1);
    let put = upload.and_then(|mut upload| {
        upload.write(b"x")?;
        Ok(upload.finish(Precondition::Anything)?)
    });
    assert!(put.is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(control::upload(&a, "site", &path(".replicat/x"), 1).is_err());
    assert!(control::remove(&a, "site", &path(".replicat/index"), Precondition::Anything).is_err());
    assert!(control::upload(&a, "site", &path(""), 1).is_err());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_listed_page_by_page() {
    let mut cluster = Cluster::new();
    for name in ["b/below", "a", "c", "d"] {
        cluster.write("a", name, name);
    }
    let a = cluster.start("a", &[]).await.clone();
    assert!(until(|| is_open(&a)).await);
    let page = |after: Option<&str>| {
        let list = Command::List {
            folder: "site".to_owned(),
            path: PathText::Text(String::new()),
            after: after.map(|name| PathText::Text(name.to_owned())),
            limit: 3,
        };
        let rows = control::answer(&a, list).unwrap();
        let names = rows
            .iter()
            .map(|row| row["path"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(page(None), ["a", "b", "c"]);
    assert_eq!(page(Some("c")), ["d"]);
    cluster.end().await;
}
