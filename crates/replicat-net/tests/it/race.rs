//! Both nodes dial each other at the same time.

use replicat_net::{Event, Link};
use tokio::task::JoinSet;

use crate::fixture::{TestNode, authority, patiently};

const ROUNDS: u64 = 60;
const FRAMES: u32 = 20;

/// Of two connections made at once exactly one becomes the link, no link that was up goes down, and
/// every frame that was sent on it arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_dial_at_once() {
    let authority = authority();
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut a = TestNode::start(&authority, "a").await;
        let mut b = TestNode::start(&authority, "b").await;
        let (to_a, to_b) = (a.address(), b.address());
        let named = random.bool();
        let mut dials = [(true, 0), (false, 0)].map(|(first, _)| (first, random.u32(0..50)));
        random.shuffle(&mut dials);
        for (from_a, yields) in dials {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            match from_a {
                true => a.dial(named.then_some("b"), &to_b),
                false => b.dial(named.then_some("a"), &to_a),
            }
        }
        let (link_at_a, link_at_b) = (a.link_up().await, b.link_up().await);
        assert_ne!(link_at_a.side(), link_at_b.side(), "seed {seed}");
        let mut both = JoinSet::new();
        both.spawn(talk(link_at_a.clone(), seed));
        both.spawn(talk(link_at_b.clone(), seed));
        patiently(both.join_all()).await;
        assert_quiet(&mut a, seed);
        assert_quiet(&mut b, seed);
        drop((link_at_a, link_at_b));
    }
}

/// Sends numbers and expects those of the other side.
async fn talk(link: Link, seed: u64) {
    for lane in [link.control(), link.bulk(0)] {
        for number in 0..FRAMES {
            let frame = number.to_le_bytes().to_vec();
            lane.send(frame.into()).await.unwrap();
        }
    }
    for lane in [link.control(), link.bulk(0)] {
        for number in 0..FRAMES {
            let frame = lane.recv().await;
            let expected = number.to_le_bytes();
            assert_eq!(frame.as_deref(), Some(&expected[..]), "seed {seed}");
        }
    }
}

/// Nothing but the one link was reported.
fn assert_quiet(node: &mut TestNode, seed: u64) {
    while let Some(event) = node.events.try_recv() {
        match event {
            Event::LinkUp(_) | Event::LinkDown { .. } | Event::DialFailed { .. } => {
                panic!("seed {seed}: {event:?}")
            }
            _ => {}
        }
    }
}
