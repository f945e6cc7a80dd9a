//! Connections that others dial.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::certificate::Certificate;
use crate::error::ConnectError;
use crate::event::Event;
use crate::exchange::{Control, NewLink, await_greeting, describe, instance, link_id};
use crate::gate::Pass;
use crate::greeting::{Greeting, Refusal, RefusalCode, write_greeting};
use crate::link::{LinkCore, LinkId, Order, Side};
use crate::meter::Metered;
use crate::name::PeerIdentity;
use crate::reception::receive_stranger;
use crate::shared::Shared;
use crate::stream::{Dialled, Stream, TlsFailure, linger, peer, refuse, tls_server, tune};

/// How long accepting rests when the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the endpoint stops.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, address)) => admit(&shared, tcp, address),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Turns a connection away at once if there are too many that have not said who they are.
fn admit(shared: &Arc<Shared>, tcp: TcpStream, address: SocketAddr) {
    let Some(pass) = shared.gate.enter(address.ip()) else {
        tracing::debug!(%address, "too many unauthenticated connections: one is turned away");
        return;
    };
    let (task, stopping) = (shared.clone(), shared.stopping.clone());
    shared.tasks.spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = receive(task, tcp, address, pass) => {}
        }
    });
}

async fn receive(shared: Arc<Shared>, tcp: TcpStream, address: SocketAddr, pass: Pass) {
    let deadline = shared.config.handshake_deadline;
    let mut who = None;
    let outcome = timeout(deadline, handshake(&shared, tcp, &mut who)).await;
    let failure = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::Failed(ConnectError::Deadline(deadline)),
    };
    let report = |reason| report(&shared, address, who, reason);
    match failure {
        Failure::Refusing(stream, refusal) => {
            drop(pass);
            report(ConnectError::Refused(refusal.clone()));
            refuse(*stream, &refusal).await;
        }
        Failure::Lingering(connection, error) => {
            report(error);
            linger(*connection).await;
        }
        Failure::Failed(error) => report(error),
    }
}

/// Why an accepted connection is of no use.
enum Failure {
    /// The peer has yet to be told.
    Refusing(Box<Stream>, Refusal),
    /// TLS failed, and the peer has yet to read the alert. It still counts as a stranger.
    Lingering(Box<Metered>, ConnectError),
    /// There is no one to tell.
    Failed(ConnectError),
}

impl Failure {
    fn from_tls((error, connection): TlsFailure) -> Self {
        match connection {
            Some(connection) => Self::Lingering(connection, error),
            None => Self::Failed(error),
        }
    }
}

impl<E: Into<ConnectError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn handshake(
    shared: &Arc<Shared>,
    tcp: TcpStream,
    who: &mut Option<PeerIdentity>,
) -> Result<(), Failure> {
    tune(&tcp).map_err(ConnectError::Broken)?;
    let reception = shared.reception();
    let mut stream = match tls_server(tcp, &shared.tls, reception.is_some())
        .await
        .map_err(Failure::from_tls)?
    {
        Dialled::Node(stream) => stream,
        Dialled::Stranger(stream) => return Ok(receive_stranger(stream, reception).await?),
    };
    let certificate = peer(&stream, &shared.identity.load()).map_err(ConnectError::from)?;
    *who = Some(certificate.peer.clone());
    if let Err(refusal) = shared.admit(&certificate.peer) {
        return Err(Failure::Refusing(Box::new(stream), refusal));
    }
    let greeting = await_greeting(&mut stream).await?;
    match greeting.lane {
        0 => control(shared, stream, &certificate, &greeting),
        _ => bulk(shared, stream, &certificate, &greeting).await,
    }
}

/// A connection that is to become a link.
fn control(
    shared: &Arc<Shared>,
    stream: Stream,
    certificate: &Certificate,
    greeting: &Greeting,
) -> Result<(), Failure> {
    match settle(shared, &stream, certificate, greeting) {
        Ok((link, reply)) => link.start(shared, Control::Greeting(stream, reply)),
        Err(refusal) => return Err(Failure::Refusing(Box::new(stream), refusal)),
    }
    Ok(())
}

fn settle(
    shared: &Arc<Shared>,
    stream: &Stream,
    certificate: &Certificate,
    greeting: &Greeting,
) -> Result<(NewLink, Greeting), Refusal> {
    // The acceptor shows the certificate of its own key.
    let cluster = shared.identity.load().cluster_id();
    let peer = describe(shared, stream, certificate, greeting, cluster)?;
    let id = link_id(greeting).ok_or_else(|| malformed("the greeting has no link"))?;
    let link = NewLink::new(shared, Side::Acceptor, id, peer, greeting);
    let own = shared.identity.load();
    let sequence = shared.registry.accept(own.name(), link.core.clone())?;
    Ok((link, shared.greeting(id, 0, sequence)))
}

/// A connection that is to become a bulk lane of a link.
async fn bulk(
    shared: &Arc<Shared>,
    mut stream: Stream,
    certificate: &Certificate,
    greeting: &Greeting,
) -> Result<(), Failure> {
    let (core, lane, id) = match find(shared, certificate, greeting) {
        Ok(found) => found,
        Err(refusal) => return Err(Failure::Refusing(Box::new(stream), refusal)),
    };
    let reply = shared.greeting(id, greeting.lane, 0);
    write_greeting(&mut stream, reply)
        .await
        .map_err(ConnectError::Broken)?;
    core.lanes[lane].want();
    let stream = Box::new(stream);
    // If nobody takes the order, the link is over.
    let _ = core.orders.send(Order::Attach { lane, stream });
    Ok(())
}

fn find(
    shared: &Shared,
    certificate: &Certificate,
    greeting: &Greeting,
) -> Result<(Arc<LinkCore>, usize, LinkId), Refusal> {
    let unknown = || Refusal::new(RefusalCode::UnknownLink, "there is no such link or lane");
    let instance = instance(greeting).ok_or_else(unknown)?;
    let id = link_id(greeting).ok_or_else(unknown)?;
    let found = shared.registry.find(&certificate.peer.name, instance, id);
    let core = found.ok_or_else(unknown)?;
    let lane = greeting.lane as usize;
    if core.side != Side::Acceptor || lane >= core.lanes.len() {
        return Err(unknown());
    }
    Ok((core, lane, id))
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(RefusalCode::Malformed, what)
}

/// Tells of a refusal; that two nodes dialled each other at once is none.
fn report(shared: &Shared, address: SocketAddr, peer: Option<PeerIdentity>, reason: ConnectError) {
    if reason.is_duplicate() {
        tracing::debug!(%address, %reason, "one of two connections is given up");
        return;
    }
    match &peer {
        Some(peer) => tracing::warn!(%address, peer = %peer.name, %reason, "refused a connection"),
        None => tracing::info!(%address, %reason, "refused a connection"),
    }
    shared.events.send(Event::Refused {
        address,
        peer,
        reason,
    });
}
