//! What all tasks of an endpoint share.

use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::EndpointConfig;
use crate::event::EventSender;
use crate::gate::Gate;
use crate::greeting::{Greeting, Refusal, RefusalCode};
use crate::identity::Identity;
use crate::link::{Instance, LinkId};
use crate::name::PeerIdentity;
use crate::reception::Reception;
use crate::registry::Registry;
use crate::tls::Tls;

/// Decides whether a peer that proved its identity may connect; if not, it says why.
pub(crate) type Admission = dyn Fn(&PeerIdentity) -> Result<(), String> + Send + Sync;

pub(crate) struct Shared {
    pub(crate) config: EndpointConfig,
    /// Where others reach this node, as far as it knows.
    pub(crate) advertised: String,
    pub(crate) identity: ArcSwap<Identity>,
    pub(crate) tls: Tls,
    pub(crate) instance: Instance,
    pub(crate) registry: Registry,
    pub(crate) events: EventSender,
    pub(crate) admission: RwLock<Arc<Admission>>,
    pub(crate) reception: RwLock<Option<Arc<Reception>>>,
    pub(crate) gate: Gate,
    pub(crate) runtime: Handle,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Shared {
    /// Asks whether a peer may connect.
    pub(crate) fn admit(&self, peer: &PeerIdentity) -> Result<(), Refusal> {
        let admission = self
            .admission
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        admission(peer).map_err(|reason| Refusal::new(RefusalCode::NotAdmitted, reason))
    }

    /// Who answers strangers, if anybody does.
    pub(crate) fn reception(&self) -> Option<Arc<Reception>> {
        let reception = self.reception.read();
        reception.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows this identity from now on.
    pub(crate) fn present(&self, identity: Identity) {
        tracing::info!(name = %identity.name(), "a new certificate is in use");
        self.tls.present(&identity);
        self.identity.store(Arc::new(identity));
    }

    /// The greeting of this node. The sequence counts for control connections alone.
    pub(crate) fn greeting(&self, link: LinkId, lane: u32, sequence: u64) -> Greeting {
        Greeting {
            version_min: *self.config.versions.start(),
            version_max: *self.config.versions.end(),
            software: concat!("replicat ", env!("CARGO_PKG_VERSION")).to_owned(),
            name: self.identity.load().name().to_string(),
            instance: self.instance.0.to_vec().into(),
            sequence,
            link: link.0.to_vec().into(),
            lane,
            bulk_lanes: u32::from(self.config.bulk_lanes),
            frame_bytes_max: self.config.frame_bytes_max,
            address: self.advertised.clone(),
            features: self.config.features.clone(),
        }
    }
}
