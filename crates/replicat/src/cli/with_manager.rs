//! A manager in the process of a node, which it is the first to let in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use replicat::http::{CertificateFiles, HttpService, ManagerSubject, ServedCertificate, Subject};
use replicat::manager::{Manager, Service, TokenOrder};
use replicat::{Role, Settings};

use super::failure::Failure;
use super::live_arguments::{HttpArguments, ServeArguments};
use super::teller::Teller;
use super::{manager, manager_text, state};

/// How long the token lasts that the own node is let in with.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The manager, and what shows it.
pub(crate) struct OwnManager {
    service: Service,
    http: Option<(SocketAddr, HttpService)>,
    certificate: Option<(ServedCertificate, CertificateFiles)>,
}

impl OwnManager {
    /// Starts the manager, and has the node of these arguments, which make these settings, be one of its nodes.
    pub(crate) async fn start(
        given: &mut ServeArguments,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let service = start(given, settings).await?;
        let arguments = HttpArguments {
            http: given.with_manager.manager_http.clone(),
            ..given.http.clone()
        };
        let listener = match arguments.http {
            Some(_) => manager::http(&arguments, &place(given)?).await?,
            None => None,
        };
        let certificate = listener
            .as_ref()
            .and_then(|listener| Some((listener.certificate()?, listener.files()?.clone())));
        let subject = ManagerSubject::of(&service);
        let http = listener.map(|listener| {
            let address = listener.address();
            (address, listener.serve(Subject::Manager(subject)))
        });
        Ok(Self {
            service,
            http,
            certificate,
        })
    }

    /// The certificate that its HTTP API shows, and the files that it is from.
    pub(crate) fn certificate(&self) -> Option<(ServedCertificate, CertificateFiles)> {
        self.certificate.clone()
    }

    /// Tells that it has started.
    pub(crate) fn tell(&self, teller: &Teller) -> std::io::Result<()> {
        let http = self.http.as_ref().map(|(address, _)| *address);
        manager_text::tell_started(teller, &self.service, http)
    }

    /// Stops it, in good order.
    pub(crate) async fn stop(self) {
        if let Some((_, http)) = self.http {
            http.stop().await;
        }
        self.service.stop().await;
    }
}

fn place(given: &ServeArguments) -> Result<PathBuf, Failure> {
    let place = given.with_manager.manager_state.clone();
    let place = place.or_else(state::of_manager);
    place.ok_or(Failure::NoStatePlace("--manager-state"))
}

async fn start(given: &mut ServeArguments, settings: &Settings) -> Result<Service, Failure> {
    let place = place(given)?;
    // A cluster that began with a key goes on with it, and the manager holds it from now on.
    let has_key = settings.cluster_key.is_some() || settings.cluster_key_file.is_some();
    let key = has_key.then(|| settings.load_cluster_key()).transpose()?;
    let manager = Arc::new(Manager::open_directory(&place, key).await?);
    let service = Service::start(Arc::clone(&manager), &given.with_manager.manager_listen).await?;
    let name = settings.node_name();
    if !manager.snapshot().state.roster.members.contains_key(&name) {
        let order = TokenOrder {
            node: Some(name),
            lifetime: TOKEN_LIFETIME,
            role: Role::ReadWrite,
        };
        let token = manager.create_token(&order, SystemTime::now()).await?;
        given.node.manager_credentials = Some(token.to_text().to_string());
    }
    given.node.manager = service.address().map(|address| local(address).to_string());
    Ok(service)
}

/// The address by which this host reaches what listens at `address`.
fn local(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(host, address.port())
}
