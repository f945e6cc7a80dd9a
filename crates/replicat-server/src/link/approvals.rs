//! Passing on that a person approved the deletions of a folder.
//!
//! Every node holds back deletions that look like an accident, those of its peers as well. A person who approved them once
//! need not do so at each node: the approval goes along all links, and each node passes it on once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::PeerLink;
use crate::settings::FolderName;

/// How many approvals are remembered, so that none goes round in a circle.
const SEEN_MAX: usize = 256;

/// The links of a node, and the approvals that went along them.
#[derive(Default)]
pub(crate) struct Approvals {
    links: Mutex<Vec<Weak<PeerLink>>>,
    seen: Mutex<VecDeque<u64>>,
}

impl Approvals {
    /// A link has come up.
    pub(super) fn add(&self, link: &Arc<PeerLink>) {
        let mut links = lock(&self.links);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(link));
    }

    /// Notes an approval. Returns whether it is new.
    pub(super) fn note(&self, id: u64) -> bool {
        let mut seen = lock(&self.seen);
        if seen.contains(&id) {
            return false;
        }
        seen.push_back(id);
        if seen.len() > SEEN_MAX {
            seen.pop_front();
        }
        true
    }

    /// Sends an approval to all peers.
    pub(crate) fn send(&self, folder: &FolderName, id: u64) {
        self.note(id);
        let links: Vec<_> = lock(&self.links).iter().filter_map(Weak::upgrade).collect();
        links.iter().for_each(|link| link.approve(folder, id));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
