//! Bounds on connections that have not said who they are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections that are not authenticated yet, in all and by network.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    max: usize,
    per_network_max: usize,
    inside: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one connection; dropping it makes room.
pub(crate) struct Pass {
    gate: Gate,
    network: IpAddr,
}

impl Gate {
    pub(crate) fn new(max: usize, per_network_max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            per_network_max,
            inside: Mutex::default(),
        }))
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Pass> {
        let network = network(address);
        let mut inside = self.inside();
        let total: usize = inside.values().sum();
        let here = inside.get(&network).copied().unwrap_or_default();
        if total >= self.0.max || here >= self.0.per_network_max {
            return None;
        }
        inside.insert(network, here + 1);
        Some(Pass {
            gate: self.clone(),
            network,
        })
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        match inside.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                inside.remove(&self.network);
            }
        }
    }
}

/// One subscriber of IPv6 has a /64 network of addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_by_network_and_in_all() {
        let gate = Gate::new(3, 2);
        let enter = |text: &str| gate.enter(text.parse().unwrap());
        let first = enter("2001:db8::1");
        let second = enter("2001:db8::2");
        assert!(first.is_some() && second.is_some());
        assert!(enter("2001:db8::3").is_none(), "the network has two");
        let third = enter("10.0.0.1");
        assert!(third.is_some());
        assert!(enter("10.0.0.2").is_none(), "there are three in all");
        drop(first);
        assert!(enter("2001:db8::3").is_some());
    }
}
