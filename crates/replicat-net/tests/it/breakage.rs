//! A network that breaks connections at random.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use replicat_net::{Event, Lane, Link};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fixture::{TestNode, authority, patiently};

const SEEDS: u64 = 4;
/// How many connections break, and after how many bytes at most.
const BROKEN: usize = 20;
const BYTES_MAX: i64 = 30_000;
/// How many frames go over each lane of each link.
const FRAMES: u32 = 200;

/// Breaks the first connections after a random number of bytes.
async fn breaking_proxy(target: String, seed: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut budgets = (0..BROKEN).map(move |_| random.i64(0..BYTES_MAX));
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&target).await else {
                return;
            };
            let budget = budgets.next().unwrap_or(i64::MAX);
            let (budget, broken) = (Arc::new(AtomicI64::new(budget)), CancellationToken::new());
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = server.into_split();
            tokio::spawn(pass(client_in, server_out, budget.clone(), broken.clone()));
            tokio::spawn(pass(server_in, client_out, budget, broken));
        }
    });
    address
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    budget: Arc<AtomicI64>,
    broken: CancellationToken,
) {
    let mut buffer = vec![0; 1000];
    loop {
        let read = tokio::select! {
            () = broken.cancelled() => return,
            read = from.read(&mut buffer) => read,
        };
        let Ok(read @ 1..) = read else {
            return;
        };
        let left = budget.fetch_sub(read as i64, Ordering::Relaxed);
        if left < read as i64 {
            broken.cancel();
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Links break in every phase of their life and come back by themselves. What arrives on a lane is
/// always the beginning of what was sent on it, each link is reported up and down in turn, and when
/// the network holds, everything arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_come_back_however_connections_break() {
    for seed in 0..SEEDS {
        let authority = authority();
        let a = TestNode::start(&authority, "a").await;
        let b = TestNode::start(&authority, "b").await;
        let to_a = breaking_proxy(a.address(), seed).await;
        b.dial(Some("a"), &to_a.to_string());
        if seed % 2 == 1 {
            let to_b = breaking_proxy(b.address(), !seed).await;
            a.dial(Some("b"), &to_b.to_string());
        }
        let (done, mut all_done) = mpsc::channel(1000);
        let nodes = [("a", a), ("b", b)].map(|(name, node)| {
            let done = done.clone();
            tokio::spawn(live(name, node, done))
        });
        let mut waiting = vec!["a", "b"];
        while !waiting.is_empty() {
            let name = patiently(all_done.recv()).await.expect("both live");
            waiting.retain(|other| *other != name);
        }
        for node in nodes {
            assert!(!node.is_finished(), "seed {seed}: a node failed");
            node.abort();
        }
    }
}

/// Talks on every link that comes up, and says when all arrived on one.
async fn live(name: &'static str, mut node: TestNode, done: mpsc::Sender<&'static str>) {
    let mut up = false;
    while let Some(event) = node.events.recv().await {
        match event {
            Event::LinkUp(link) => {
                assert!(!up, "a second link came up");
                up = true;
                tokio::spawn(talk(name, link, done.clone()));
            }
            Event::LinkDown { .. } => {
                assert!(up, "a link went down that was not up");
                up = false;
            }
            _ => {}
        }
    }
}

async fn talk(name: &'static str, link: Link, done: mpsc::Sender<&'static str>) {
    let lanes = [link.control(), link.bulk(0)];
    for lane in lanes.clone() {
        tokio::spawn(async move {
            for number in 0..FRAMES {
                let frame = number.to_le_bytes().repeat(20);
                if lane.send(frame.into()).await.is_err() {
                    return;
                }
            }
        });
    }
    let [control, bulk] = lanes.map(|lane| tokio::spawn(received(lane)));
    let (control, bulk) = (control.await.unwrap(), bulk.await.unwrap());
    if control == FRAMES && bulk == FRAMES {
        // If nobody listens, the test is over.
        let _ = done.send(name).await;
    }
    link.closed().await;
}

/// How many frames came; each is checked to be the next one.
async fn received(lane: Lane) -> u32 {
    for number in 0..FRAMES {
        match lane.recv().await {
            Some(frame) => assert_eq!(frame[..], number.to_le_bytes().repeat(20)),
            None => return number,
        }
    }
    FRAMES
}
