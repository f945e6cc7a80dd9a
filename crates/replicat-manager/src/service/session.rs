//! What is said with one node while it is connected.

use std::time::SystemTime;

use replicat_net::{Link, PeerIdentity};

use super::board::Board;
use crate::assignment::Assignment;
use crate::error::ManagerError;
use crate::manager::Manager;
use crate::wire::{ManagerMessage, MessageError, NodeMessage};

/// Why a session ends that is not over by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionEnd {
    /// What the node said makes no sense.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It was removed.
    #[error("the node was removed from the cluster")]
    Removed,
    /// What it asks for is not to be had.
    #[error(transparent)]
    Manager(#[from] ManagerError),
}

/// Tells a node what to go by, and hears it, until its link is down.
pub(super) async fn run(manager: &Manager, board: &Board, link: &Link) -> Result<(), SessionEnd> {
    // A node that takes nothing holds up what it is told, but not that it is cut off.
    tokio::select! {
        end = removed(manager, link.peer()) => Err(end),
        _ = link.closed() => Ok(()),
        told = tell(manager, link) => told,
        heard = hear(manager, board, link) => heard,
    }
}

async fn removed(manager: &Manager, peer: &PeerIdentity) -> SessionEnd {
    let mut newest = manager.subscribe();
    let is_gone = newest.wait_for(|snapshot| snapshot.state.roster.member(peer).is_none());
    // The manager lives as long as the session, so that there is no error.
    let _ = is_gone.await;
    SessionEnd::Removed
}

async fn tell(manager: &Manager, link: &Link) -> Result<(), SessionEnd> {
    let mut newest = manager.subscribe();
    let lane = link.control();
    let mut told: Option<Assignment> = None;
    loop {
        let assignment = Assignment::of(&newest.borrow_and_update(), &link.peer().name);
        let is_news = told.as_ref().is_none_or(|told| !told.says_as(&assignment));
        if is_news {
            let message = ManagerMessage::Assignment(assignment.clone()).encode();
            if lane.send(message).await.is_err() {
                return Ok(());
            }
            told = Some(assignment);
        }
        if newest.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn hear(manager: &Manager, board: &Board, link: &Link) -> Result<(), SessionEnd> {
    let lane = link.control();
    while let Some(frame) = lane.recv().await {
        match NodeMessage::decode(frame)? {
            NodeMessage::Hello { address } => {
                let address = address.map(|address| reachable(&address, link));
                let known = manager.snapshot();
                let member = known.state.roster.member(link.peer());
                if member.is_some_and(|member| member.address != address) {
                    manager.set_address(link.peer(), address).await?;
                }
            }
            NodeMessage::Report(report) => board.reported(&link.peer().name, report),
            NodeMessage::Renew(public_key) => {
                let renewed = manager.renew(link.peer(), &public_key, SystemTime::now());
                let certificate = renewed.await?.certificate;
                tracing::info!(node = %link.peer().name, "a node is given another certificate");
                let message = ManagerMessage::Certificate(certificate).encode();
                if lane.send(message).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// A node that listens on any address is reached where it dials from.
fn reachable(address: &str, link: &Link) -> String {
    let Some((host, port)) = address.rsplit_once(':') else {
        return address.to_owned();
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_any = bare
        .parse::<std::net::IpAddr>()
        .is_ok_and(|host| host.is_unspecified());
    match (is_any, link.address().ip().to_canonical()) {
        (false, _) => address.to_owned(),
        (true, std::net::IpAddr::V4(host)) => format!("{host}:{port}"),
        (true, std::net::IpAddr::V6(host)) => format!("[{host}]:{port}"),
    }
}
