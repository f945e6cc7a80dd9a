//! Connections that this node dials, again and again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::certificate::Certificate;
use crate::error::ConnectError;
use crate::event::Event;
use crate::exchange::{Control, NewLink, describe, greet};
use crate::greeting::{Greeting, Refusal, RefusalCode};
use crate::link::{LinkCore, LinkId, Side};
use crate::name::NodeName;
use crate::registry::Dialling;
use crate::shared::Shared;
use crate::stream::{Stream, dial, peer, refuse, tls_client, tune};

/// A link that lasted this long was a success: the next pause begins at its least again.
const SUCCESS: Duration = Duration::from_secs(10);

/// Where a peer is to be reached, and who it is, if that is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// The name that the peer must prove; `None` takes any.
    pub name: Option<NodeName>,
    /// `host:port`. The host is resolved anew for each attempt.
    pub address: String,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{name}={}", self.address),
            None => formatter.write_str(&self.address),
        }
    }
}

/// Keeps a link to a peer up until the endpoint stops.
pub(crate) async fn keep_dialling(shared: Arc<Shared>, target: PeerAddress) {
    let mut name = target.name.clone();
    let mut failures = 0;
    let mut was_taken = false;
    loop {
        let started = Instant::now();
        if let Some(name) = &name {
            shared.registry.absent(name).await;
        }
        if started.elapsed() >= SUCCESS {
            failures = 0;
        }
        match attempt(&shared, &target).await {
            Ok(core) => {
                name = Some(core.peer.identity.name.clone());
                was_taken = false;
                core.stopped.cancelled().await;
                if core.began.elapsed() >= SUCCESS {
                    failures = 0;
                }
            }
            Err(Failure { peer, error }) => {
                name = target.name.clone().or(peer);
                let is_taken = error.is_name_taken();
                if is_taken && !was_taken {
                    // The peer is finding out whether the other process is gone: soon it is worth asking again.
                    failures = 0;
                }
                was_taken = is_taken;
                report(&shared, &target, error, failures);
            }
        }
        sleep(jittered(pause(&shared, failures))).await;
        failures = failures.saturating_add(1);
    }
}

/// Exponential: each pause is twice the one before.
fn pause(shared: &Shared, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX);
    let pause = shared.config.backoff_min.saturating_mul(factor);
    pause.min(shared.config.backoff_max)
}

/// Half to all of a pause, so that many nodes do not come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn report(shared: &Shared, target: &PeerAddress, reason: ConnectError, failures: u32) {
    if reason.is_duplicate() {
        tracing::debug!(peer = %target, %reason, "one of two connections is given up");
        return;
    }
    let next_attempt = pause(shared, failures);
    tracing::warn!(peer = %target, %reason, ?next_attempt, "cannot connect");
    shared.events.send(Event::DialFailed {
        address: target.address.clone(),
        reason,
        next_attempt,
    });
}

/// Why an attempt failed, and who answered, as far as it was proved.
struct Failure {
    peer: Option<NodeName>,
    error: ConnectError,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self { peer: None, error }
    }
}

async fn attempt(shared: &Arc<Shared>, target: &PeerAddress) -> Result<Arc<LinkCore>, Failure> {
    let deadline = shared.config.handshake_deadline;
    let mut peer = None;
    match timeout(deadline, establish(shared, target, &mut peer)).await {
        Ok(Ok(core)) => Ok(core),
        Ok(Err(error)) => Err(Failure { peer, error }),
        Err(_) => Err(ConnectError::Deadline(deadline).into()),
    }
}

async fn establish(
    shared: &Arc<Shared>,
    target: &PeerAddress,
    who: &mut Option<NodeName>,
) -> Result<Arc<LinkCore>, ConnectError> {
    let stream = open(shared, &target.address).await?;
    let certificate = peer(&stream, &shared.identity.load())?;
    if let Err(refusal) = check(shared, target, &certificate) {
        return Err(refused(shared, stream, refusal));
    }
    let name = &certificate.peer.name;
    *who = Some(name.clone());
    let Some(dialling) = shared.registry.begin_dial(name) else {
        let refusal = Refusal::new(RefusalCode::Duplicate, "the two are connected already");
        return Err(refused(shared, stream, refusal));
    };
    link(shared, stream, &certificate, dialling).await
}

/// Tells the peer without keeping the caller waiting.
fn refused(shared: &Shared, stream: Stream, refusal: Refusal) -> ConnectError {
    let told = refusal.clone();
    shared
        .tasks
        .spawn(async move { refuse(stream, &told).await });
    ConnectError::Refused(refusal)
}

async fn open(shared: &Shared, address: &str) -> Result<Stream, ConnectError> {
    let tcp = dial(address, shared.config.handshake_deadline).await?;
    tune(&tcp).map_err(ConnectError::Broken)?;
    tls_client(tcp, &shared.tls).await
}

/// Whether the one who answers is the one who is wanted.
fn check(shared: &Shared, target: &PeerAddress, certificate: &Certificate) -> Result<(), Refusal> {
    let found = &certificate.peer.name;
    if let Some(wanted) = target.name.as_ref().filter(|wanted| *wanted != found) {
        return Err(Refusal::new(
            RefusalCode::NameMismatch,
            format!("{} is node {found}, not {wanted}", target.address),
        ));
    }
    shared.admit(&certificate.peer)
}

async fn link(
    shared: &Arc<Shared>,
    mut stream: Stream,
    certificate: &Certificate,
    dialling: Dialling<'_>,
) -> Result<Arc<LinkCore>, ConnectError> {
    let id = LinkId(random()?);
    let own = shared.greeting(id, 0, dialling.sequence);
    let greeting = greet(&mut stream, own).await?;
    let settled =
        describe(shared, &stream, certificate, &greeting, certificate.cluster).and_then(|peer| {
            let link = NewLink::new(shared, Side::Dialler, id, peer, &greeting);
            shared
                .registry
                .complete_dial(dialling, link.core.clone())
                .map(|()| link)
        });
    match settled {
        Ok(link) => {
            let core = link.core.clone();
            link.start(shared, Control::Greeted(stream));
            Ok(core)
        }
        Err(refusal) => Err(ConnectError::Refused(refusal)),
    }
}

/// Dials a bulk lane of a link.
pub(crate) async fn open_bulk(
    shared: &Arc<Shared>,
    core: &LinkCore,
    lane: usize,
) -> Result<Stream, ConnectError> {
    let deadline = shared.config.handshake_deadline;
    let opened = timeout(deadline, establish_bulk(shared, core, lane)).await;
    opened.map_err(|_| ConnectError::Deadline(deadline))?
}

async fn establish_bulk(
    shared: &Arc<Shared>,
    core: &LinkCore,
    lane: usize,
) -> Result<Stream, ConnectError> {
    let mut stream = open(shared, &core.peer.address.to_string()).await?;
    let certificate = peer(&stream, &shared.identity.load())?;
    let lane = u32::try_from(lane).unwrap_or_default();
    let greeting: Greeting = greet(&mut stream, shared.greeting(core.id, lane, 0)).await?;
    if certificate.peer.name != core.peer.identity.name || greeting.link[..] != core.id.0 {
        let mismatch = Refusal::new(RefusalCode::UnknownLink, "another node answered");
        return Err(ConnectError::Refused(mismatch));
    }
    Ok(stream)
}

/// 128 random bits.
pub(crate) fn random() -> Result<[u8; 16], ConnectError> {
    let mut bytes = [0; 16];
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    filled.map_err(|_| ConnectError::Broken(std::io::Error::other("no random bytes")))?;
    Ok(bytes)
}
