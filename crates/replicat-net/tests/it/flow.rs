//! Back-pressure, and the independence of lanes.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replicat_net::{EndpointConfig, RateLimiter, TrySendError};

use crate::fixture::{Pair, config, patiently};

const FRAME_BYTES: usize = 64 << 10;
const FRAMES: usize = 4000;
const QUEUE_BYTES: u32 = 256 << 10;
/// Both queues, and what the kernel and TLS may hold between them.
const IN_FLIGHT_MAX: u64 = 32 << 20;

/// A receiver that takes nothing stops its sender, and the control lane goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_waits_stops_the_sender_and_no_other_lane() {
    let pair = Pair::new(EndpointConfig {
        queue_bytes_max: QUEUE_BYTES,
        ..config()
    })
    .await;
    let bulk = pair.to_a.bulk(0);
    let sending = tokio::spawn(async move {
        let frame = Bytes::from(vec![7; FRAME_BYTES]);
        for _ in 0..FRAMES {
            bulk.send(frame.clone()).await.unwrap();
        }
    });
    let (ours, theirs) = (pair.to_a.control(), pair.to_b.control());
    patiently(async {
        for _ in 0..2000 {
            ours.send("ping".into()).await.unwrap();
            theirs.recv().await.unwrap();
            theirs.send("pong".into()).await.unwrap();
            ours.recv().await.unwrap();
        }
    })
    .await;
    assert!(!sending.is_finished());
    assert!(pair.to_a.counters().payload_sent < IN_FLIGHT_MAX);
    let receiver = pair.to_b.bulk(0);
    for _ in 0..FRAMES {
        let frame = patiently(receiver.recv()).await.unwrap();
        assert_eq!(frame.len(), FRAME_BYTES);
    }
    sending.await.unwrap();
}

/// A peer that takes nothing for longer than a silent one is endured is busy, not dead. The timeout of
/// the operating system for unacknowledged data, which we set once, could not tell the two apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_may_wait_longer_than_a_silent_peer_may() {
    let dead_after = Duration::from_millis(500);
    let mut pair = Pair::new(EndpointConfig {
        queue_bytes_max: QUEUE_BYTES,
        ping_interval: Duration::from_millis(50),
        dead_after,
        ..config()
    })
    .await;
    let bulk = pair.to_a.bulk(0);
    let sending = tokio::spawn(async move {
        let frame = Bytes::from(vec![7; FRAME_BYTES]);
        for _ in 0..FRAMES {
            bulk.send(frame.clone()).await.unwrap();
        }
    });
    let (ours, theirs) = (pair.to_a.control(), pair.to_b.control());
    let started = Instant::now();
    while started.elapsed() < 5 * dead_after {
        ours.send("ping".into()).await.unwrap();
        patiently(theirs.recv()).await.unwrap();
    }
    let receiver = pair.to_b.bulk(0);
    for _ in 0..FRAMES {
        patiently(receiver.recv()).await.unwrap();
    }
    sending.await.unwrap();
    assert!(pair.a.events.try_recv().is_none());
}

/// A connection that the network holds up holds at most a queue of frames.
#[tokio::test]
async fn a_full_queue_says_so_at_once() {
    let slow = RateLimiter::new(NonZeroU64::new(1024).unwrap());
    let pair = Pair::new(EndpointConfig {
        queue_bytes_max: QUEUE_BYTES,
        close_deadline: Duration::from_millis(10),
        limiter: slow.clone(),
        ..config()
    })
    .await;
    let bulk = pair.to_a.bulk(0);
    let frame = Bytes::from(vec![7; 1000]);
    let mut taken = 0;
    let full = loop {
        match bulk.try_send(frame.clone()) {
            Ok(()) => taken += frame.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, TrySendError::Full(same) if same == frame));
    assert!(taken <= QUEUE_BYTES as usize);
    // The limit is for bulk alone, and when it is lifted all arrives.
    pair.to_a.control().send("urgent".into()).await.unwrap();
    assert!(patiently(pair.to_b.control().recv()).await.is_some());
    slow.set(None);
    let receiver = pair.to_b.bulk(0);
    for _ in 0..taken / frame.len() {
        assert_eq!(patiently(receiver.recv()).await, Some(frame.clone()));
    }
}

/// One frame may be larger than the queue.
#[tokio::test]
async fn a_frame_larger_than_the_queue_passes() {
    let pair = Pair::new(EndpointConfig {
        queue_bytes_max: 1000,
        ..config()
    })
    .await;
    let frame = Bytes::from(vec![1; 1 << 20]);
    for _ in 0..3 {
        pair.to_a.bulk(1).send(frame.clone()).await.unwrap();
        assert_eq!(
            patiently(pair.to_b.bulk(1).recv()).await,
            Some(frame.clone())
        );
    }
}
