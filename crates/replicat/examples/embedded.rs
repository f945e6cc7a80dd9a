//! Two servers in one process: what happens in a directory of one is told by a handler of the other, and an event is
//! sent by hand. `cargo run --example embedded`

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use replicat::{ChangeHandler, ClusterKey, Event, EventName, RelPath, ReplicatServer, send_event};

/// Passes on which files came into being.
struct Arrivals(Sender<RelPath>);

impl ChangeHandler for Arrivals {
    fn folder_created(&self, _path: &RelPath) {}
    fn folder_updated(&self, _path: &RelPath) {}
    fn folder_deleted(&self, _path: &RelPath) {}
    fn file_created(&self, path: &RelPath) {
        // The example may be over already.
        let _ = self.0.send(path.clone());
    }
    fn file_updated(&self, _path: &RelPath) {}
    fn file_deleted(&self, _path: &RelPath) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let (office, home) = (place.path().join("office"), place.path().join("home"));
    fs::create_dir(&office)?;
    fs::create_dir(&home)?;
    let key = ClusterKey::generate()?;

    let first = ReplicatServer::builder()
        .name("office".parse()?)
        .address("127.0.0.1:0")
        .cluster_key(key.clone())
        .folder("letters".parse()?, &office)
        .start()
        .await?;
    let (sender, arrivals) = channel();
    let address = first.address().ok_or("the server listens")?;
    let second = ReplicatServer::builder()
        .name("home".parse()?)
        .cluster_key(key)
        .folder("letters".parse()?, &home)
        .node("office".parse()?, address.to_string())
        .change_handler(Arc::new(Arrivals(sender)))
        .start()
        .await?;

    // The watch would see it as well; the event says so at once.
    fs::write(office.join("one.txt"), "Dear reader")?;
    let event = Event::here("office", EventName::Create, RelPath::new(b"one.txt")?);
    send_event(&event, &office.join("one.txt"))?;

    let arrived = tokio::task::spawn_blocking(move || {
        let patience = Duration::from_secs(30);
        arrivals.recv_timeout(patience)
    });
    let path = arrived.await??;
    println!("{} of {} arrived at {}", path, first.name(), second.name());
    println!("it says: {}", fs::read_to_string(home.join("one.txt"))?);
    println!("{} is {}", second.name(), second.status());

    second.shutdown().await;
    first.shutdown().await;
    Ok(())
}
