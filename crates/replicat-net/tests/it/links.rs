use bytes::Bytes;
use replicat_net::{EndpointConfig, LinkEnd, SendError, Side};

use crate::fixture::{Pair, TestNode, authority, config, identity, patiently};

#[tokio::test]
async fn frames_arrive_whole_and_in_order_on_every_lane() {
    let pair = Pair::new(config()).await;
    assert_eq!(
        (pair.to_a.side(), pair.to_b.side()),
        (Side::Dialler, Side::Acceptor)
    );
    let lanes = |link: &replicat_net::Link| [link.control(), link.bulk(0), link.bulk(1)];
    for (from, to) in [(&pair.to_a, &pair.to_b), (&pair.to_b, &pair.to_a)] {
        for (sender, receiver) in lanes(from).into_iter().zip(lanes(to)) {
            let sizes = [
                0,
                1,
                5,
                16_383,
                16_384,
                65_536,
                1 << 20,
                3,
                (16 << 20) + 100,
            ];
            let sending = tokio::spawn(async move {
                for (index, size) in sizes.into_iter().enumerate() {
                    let frame = Bytes::from(vec![index as u8; size]);
                    sender.send(frame).await.unwrap();
                }
            });
            for (index, size) in sizes.into_iter().enumerate() {
                let frame = patiently(receiver.recv()).await.unwrap();
                assert_eq!(frame.len(), size);
                assert!(frame.iter().all(|byte| *byte == index as u8));
            }
            sending.await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_sent_before_a_close_is_delivered() {
    let mut pair = Pair::new(config()).await;
    let lanes = [pair.to_b.control(), pair.to_b.bulk(0), pair.to_b.bulk(1)];
    let receivers = [pair.to_a.control(), pair.to_a.bulk(0), pair.to_a.bulk(1)];
    for lane in &lanes {
        for index in 0..1000_u32 {
            let frame = index.to_le_bytes().repeat(100);
            lane.send(frame.into()).await.unwrap();
        }
    }
    pair.to_b.close("all is said");
    let refused = lanes[0].send(Bytes::new()).await.unwrap_err();
    assert!(matches!(refused, SendError::Closed(LinkEnd::Closed(_))));
    for lane in receivers {
        for index in 0..1000_u32 {
            let frame = patiently(lane.recv()).await.unwrap();
            assert_eq!(frame[..4], index.to_le_bytes());
        }
        assert_eq!(patiently(lane.recv()).await, None);
    }
    assert_eq!(
        pair.b.link_down().await,
        LinkEnd::ClosedByPeer("all is said".to_owned())
    );
    assert_eq!(
        pair.a.link_down().await,
        LinkEnd::Closed("all is said".to_owned())
    );
}

#[tokio::test]
async fn both_may_close_at_once() {
    let mut pair = Pair::new(config()).await;
    pair.to_a.close("enough");
    pair.to_b.close("enough");
    assert!(matches!(pair.a.link_down().await, LinkEnd::Closed(_)));
    assert!(matches!(pair.b.link_down().await, LinkEnd::Closed(_)));
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_link() {
    let Pair {
        a,
        mut b,
        to_a,
        to_b,
    } = Pair::new(config()).await;
    let lane = to_b.control();
    drop(to_b);
    lane.send("still up".into()).await.unwrap();
    assert_eq!(
        patiently(to_a.control().recv()).await.as_deref(),
        Some(&b"still up"[..])
    );
    drop(lane);
    assert!(matches!(b.link_down().await, LinkEnd::ClosedByPeer(_)));
    drop(a);
}

#[tokio::test]
async fn closing_an_endpoint_tells_the_peers_why() {
    let mut pair = Pair::new(config()).await;
    pair.to_b.control().send("last words".into()).await.unwrap();
    patiently(pair.a.endpoint.close("the node stops")).await;
    let words = patiently(pair.to_a.control().recv()).await;
    assert_eq!(words.as_deref(), Some(&b"last words"[..]));
    assert_eq!(
        pair.b.link_down().await,
        LinkEnd::ClosedByPeer("the node stops".to_owned())
    );
}

#[tokio::test]
async fn a_link_comes_back_after_the_peer_restarts() {
    let authority = authority();
    let mut a = TestNode::start(&authority, "a").await;
    let address = a.address();
    let mut b = TestNode::start(&authority, "b").await;
    b.dial(Some("a"), &address);
    for _ in 0..3 {
        let to_b = a.link_up().await;
        let to_a = b.link_up().await;
        to_b.control().send("hello".into()).await.unwrap();
        assert!(patiently(to_a.control().recv()).await.is_some());
        drop((to_b, a));
        b.link_down().await;
        let again = EndpointConfig {
            listen: Some(address.clone()),
            ..config()
        };
        a = patiently(async {
            loop {
                let bound =
                    replicat_net::Endpoint::bind(identity(&authority, "a"), again.clone()).await;
                match bound {
                    Ok((endpoint, events)) => break TestNode { endpoint, events },
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn plain_threads_send_and_receive() {
    let pair = Pair::new(config()).await;
    let (sender, receiver) = (pair.to_a.bulk(0), pair.to_b.bulk(0));
    let sending = tokio::task::spawn_blocking(move || {
        for index in 0..2000_u32 {
            let frame = Bytes::from(index.to_le_bytes().repeat(4096));
            sender.blocking_send(frame).unwrap();
        }
    });
    let receiving = tokio::task::spawn_blocking(move || {
        for index in 0..2000_u32 {
            let frame = receiver.blocking_recv().unwrap();
            assert_eq!(frame[..4], index.to_le_bytes());
        }
    });
    patiently(async { (sending.await.unwrap(), receiving.await.unwrap()) }).await;
    let (sent, received) = (pair.to_a.counters(), pair.to_b.counters());
    assert_eq!(sent.payload_sent, 2000 * 16_384);
    assert_eq!(received.payload_received, sent.payload_sent);
    assert!(sent.wire_sent > sent.payload_sent);
}

#[tokio::test]
async fn a_frame_that_is_too_long_is_refused_before_it_is_sent() {
    let pair = Pair::new(EndpointConfig {
        frame_bytes_max: 1000,
        ..config()
    })
    .await;
    let long = pair.to_a.control().send(vec![0; 1001].into()).await;
    assert!(matches!(
        long,
        Err(SendError::TooLong {
            bytes: 1001,
            max: 1000
        })
    ));
    pair.to_a
        .control()
        .send(vec![0; 1000].into())
        .await
        .unwrap();
    assert!(patiently(pair.to_b.control().recv()).await.is_some());
}

#[tokio::test]
async fn pings_measure_the_round_trip() {
    let pair = Pair::new(EndpointConfig {
        ping_interval: std::time::Duration::from_millis(5),
        ..config()
    })
    .await;
    patiently(async {
        while pair.to_a.round_trip().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
