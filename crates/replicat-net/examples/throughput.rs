//! Measures a link over loopback: how fast large frames go, and how long a small one takes there and back.
//!
//! `cargo run --release -p replicat-net --example throughput`

use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use replicat_net::{
    ClusterKey, Endpoint, EndpointConfig, Event, Events, Identity, Lane, Link, PeerAddress, Role,
};

const TOTAL_BYTES: usize = 4 << 30;
const FRAME_BYTES: [usize; 4] = [4 << 10, 64 << 10, 256 << 10, 1 << 20];
const ROUND_TRIPS: u32 = 20_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let authority = ClusterKey::generate()?.authority()?;
    let month = Duration::from_secs(30 * 24 * 3600);
    let identity = |name: &str| -> Result<Identity, Box<dyn Error>> {
        let now = SystemTime::now();
        Ok(Identity::issue(
            &authority,
            name.parse()?,
            Role::ReadWrite,
            now,
            month,
        )?)
    };
    let config = EndpointConfig {
        listen: Some("127.0.0.1:0".to_owned()),
        ..EndpointConfig::default()
    };
    let (a, mut events_of_a) = Endpoint::bind(identity("a")?, config.clone()).await?;
    let (b, mut events_of_b) = Endpoint::bind(identity("b")?, config).await?;
    b.dial(PeerAddress {
        name: None,
        address: a.local_address().ok_or("a listens")?.to_string(),
    });
    let (to_b, to_a) = (up(&mut events_of_a).await?, up(&mut events_of_b).await?);
    for bytes in FRAME_BYTES {
        let rate = throughput(to_a.bulk(0), to_b.bulk(0), bytes).await?;
        println!("frames of {:5} KiB: {rate:.2} GB/s", bytes >> 10);
    }
    let micros = round_trip(to_a.control(), to_b.control()).await?;
    println!("a frame of 100 bytes there and back: {micros:.1} us");
    Ok(())
}

async fn up(events: &mut Events) -> Result<Link, Box<dyn Error>> {
    match events.recv().await {
        Some(Event::LinkUp(link)) => Ok(link),
        other => Err(format!("no link: {other:?}").into()),
    }
}

/// In units of 10^9 bytes per second.
async fn throughput(from: Lane, to: Lane, bytes: usize) -> Result<f64, Box<dyn Error>> {
    let frames = TOTAL_BYTES / bytes;
    let started = Instant::now();
    let sending = tokio::spawn(async move {
        let frame = Bytes::from(vec![7; bytes]);
        for _ in 0..frames {
            from.send(frame.clone()).await?;
        }
        Ok::<(), replicat_net::SendError>(())
    });
    for _ in 0..frames {
        to.recv().await.ok_or("the link is down")?;
    }
    sending.await??;
    Ok(TOTAL_BYTES as f64 / started.elapsed().as_secs_f64() / 1e9)
}

/// In microseconds.
async fn round_trip(ours: Lane, theirs: Lane) -> Result<f64, Box<dyn Error>> {
    let echo = tokio::spawn(async move {
        while let Some(frame) = theirs.recv().await {
            if theirs.send(frame).await.is_err() {
                return;
            }
        }
    });
    let frame = Bytes::from(vec![7; 100]);
    let started = Instant::now();
    for _ in 0..ROUND_TRIPS {
        ours.send(frame.clone()).await?;
        ours.recv().await.ok_or("the link is down")?;
    }
    let elapsed = started.elapsed();
    echo.abort();
    Ok(elapsed.as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS))
}
