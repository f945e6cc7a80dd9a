//! Which folders two nodes share, and the sessions that follow from it.
//!
//! Both ends offer the folders that they keep; where both offer one, there is a session. Each offer of a folder has an
//! epoch, and a message names the epoch of the offer that it answers: what belongs to a session that is over is told
//! from what belongs to the next one, though both travel on one lane.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use replicat_core::id::FolderId;
use replicat_engine::live::{FolderMode, PeerNumber};
use replicat_net::Role;

use crate::settings::FolderName;
use crate::wire::FolderOffer;

/// Numbers of peers are never given twice in the life of a process.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// What follows from an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A session begins.
    Connect {
        folder: FolderId,
        number: PeerNumber,
        /// The epoch that messages to the peer name.
        epoch: u64,
        hearing: Hearing,
    },
    /// A session is over.
    Disconnect {
        folder: FolderId,
        number: PeerNumber,
    },
    /// The peer has not got this folder.
    Lacking { name: FolderName },
    /// The peer has a folder that is not here.
    Unknown { name: FolderName },
}

/// Whether a peer's changes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// They are.
    Open,
    /// They are not: it may only receive, or this side only sends.
    Deaf,
}

/// A session of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    number: PeerNumber,
    own_epoch: u64,
    their_epoch: u64,
    hearing: Hearing,
}

/// What both ends of a link offer, and the sessions between them.
#[derive(Debug)]
pub(crate) struct Sessions {
    role: Role,
    own: BTreeMap<FolderId, FolderOffer>,
    theirs: Option<BTreeMap<FolderId, FolderOffer>>,
    open: BTreeMap<FolderId, Open>,
    next_epoch: u64,
    told: Vec<FolderName>,
}

impl Sessions {
    /// No session yet, with a peer of this role.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            own: BTreeMap::new(),
            theirs: None,
            open: BTreeMap::new(),
            next_epoch: 1,
            told: Vec::new(),
        }
    }

    /// This node offers these folders from now on, and no others. One that it offers already keeps its session.
    pub(crate) fn offer(&mut self, folders: &[(FolderId, FolderName, FolderMode)]) -> Vec<Step> {
        self.own
            .retain(|id, _| folders.iter().any(|(folder, _, _)| folder == id));
        for (folder, name, mode) in folders {
            let kept = self.own.get(folder);
            if kept.is_none_or(|offer| offer.mode != *mode) {
                self.own.insert(
                    *folder,
                    FolderOffer {
                        folder: *folder,
                        name: name.clone(),
                        mode: *mode,
                        epoch: self.next_epoch,
                    },
                );
                self.next_epoch += 1;
            }
        }
        self.settle()
    }

    /// This node ends a session, and offers the folder no more until it is offered anew.
    pub(crate) fn withdraw(&mut self, folder: FolderId) -> Vec<Step> {
        self.own.remove(&folder);
        self.settle()
    }

    /// The peer offers these folders, and no others.
    pub(crate) fn take_offer(&mut self, folders: Vec<FolderOffer>) -> Vec<Step> {
        let offered = folders.into_iter().map(|offer| (offer.folder, offer));
        self.theirs = Some(offered.collect());
        self.settle()
    }

    /// The peer ends a session, and offers the folder no more until it is offered anew.
    pub(crate) fn take_close(&mut self, folder: FolderId) -> Vec<Step> {
        if let Some(theirs) = &mut self.theirs {
            theirs.remove(&folder);
        }
        self.settle()
    }

    /// What this node offers now.
    pub(crate) fn offered(&self) -> Vec<FolderOffer> {
        self.own.values().cloned().collect()
    }

    /// The names of the folders that the peer offers; `None` before it said so.
    pub(crate) fn their_names(&self) -> Option<Vec<FolderName>> {
        let theirs = self.theirs.as_ref()?;
        Some(theirs.values().map(|offer| offer.name.clone()).collect())
    }

    /// The session that a message belongs to, if it is not over.
    pub(crate) fn session(&self, folder: FolderId, epoch: u64) -> Option<PeerNumber> {
        let open = self.open.get(&folder)?;
        (open.own_epoch == epoch).then_some(open.number)
    }

    /// Whether there is a session of a folder in which the changes of the peer are taken.
    pub(crate) fn is_heard(&self, folder: FolderId) -> bool {
        let open = self.open.get(&folder);
        open.is_some_and(|open| open.hearing == Hearing::Open)
    }

    /// Whether this is the session of the folder.
    pub(crate) fn is_current(&self, folder: FolderId, number: PeerNumber) -> bool {
        let open = self.open.get(&folder);
        open.is_some_and(|open| open.number == number)
    }

    /// Ends all sessions.
    pub(crate) fn end(&mut self) -> Vec<Step> {
        self.own.clear();
        self.settle()
    }

    /// Makes the sessions follow from the offers.
    fn settle(&mut self) -> Vec<Step> {
        let Some(theirs) = &self.theirs else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        let wanted = |folder: &FolderId| {
            let (own, their) = (self.own.get(folder)?, theirs.get(folder)?);
            Some((own.epoch, their.epoch, hearing(own, their, self.role)))
        };
        self.open.retain(|folder, open| {
            let now = Some((open.own_epoch, open.their_epoch, open.hearing));
            let stays = wanted(folder) == now;
            if !stays {
                steps.push(Step::Disconnect {
                    folder: *folder,
                    number: open.number,
                });
            }
            stays
        });
        for folder in self.own.keys() {
            let Some((own_epoch, their_epoch, hearing)) = wanted(folder) else {
                continue;
            };
            if self.open.contains_key(folder) {
                continue;
            }
            let number = PeerNumber(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed));
            let open = Open {
                number,
                own_epoch,
                their_epoch,
                hearing,
            };
            self.open.insert(*folder, open);
            steps.push(Step::Connect {
                folder: *folder,
                number,
                epoch: their_epoch,
                hearing,
            });
        }
        steps.extend(absences(&self.own, theirs, &mut self.told));
        steps
    }
}

/// Whether the changes of a peer are taken.
fn hearing(own: &FolderOffer, their: &FolderOffer, role: Role) -> Hearing {
    let may_not_send = their.mode == FolderMode::ReceiveOnly || role != Role::ReadWrite;
    match may_not_send || own.mode == FolderMode::SendOnly {
        true => Hearing::Deaf,
        false => Hearing::Open,
    }
}

/// The folders that only one side has, each told once.
fn absences(
    own: &BTreeMap<FolderId, FolderOffer>,
    theirs: &BTreeMap<FolderId, FolderOffer>,
    told: &mut Vec<FolderName>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let lacking = own.values().filter(|own| !theirs.contains_key(&own.folder));
    let lacking = lacking.map(|own| Step::Lacking {
        name: own.name.clone(),
    });
    let unknown = theirs
        .values()
        .filter(|their| !own.contains_key(&their.folder));
    let unknown = unknown.map(|their| Step::Unknown {
        name: their.name.clone(),
    });
    for step in lacking.chain(unknown) {
        if let Step::Lacking { name } | Step::Unknown { name } = &step
            && !told.contains(name)
        {
            told.push(name.clone());
            steps.push(step);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: FolderId = FolderId(1);

    fn own(mode: FolderMode) -> Vec<(FolderId, FolderName, FolderMode)> {
        vec![(SITE, "site".parse().unwrap(), mode)]
    }

    fn theirs(mode: FolderMode, epoch: u64) -> Vec<FolderOffer> {
        vec![FolderOffer {
            folder: SITE,
            name: "site".parse().unwrap(),
            mode,
            epoch,
        }]
    }

    fn connected(steps: &[Step]) -> (PeerNumber, u64, Hearing) {
        match steps {
            [
                Step::Connect {
                    number,
                    epoch,
                    hearing,
                    ..
                },
            ] => (*number, *epoch, *hearing),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn where_both_offer_there_is_a_session() {
        let mut sessions = Sessions::new(Role::ReadWrite);
        assert_eq!(sessions.offer(&own(FolderMode::ReadWrite)), []);
        let steps = sessions.take_offer(theirs(FolderMode::ReadWrite, 9));
        let (number, epoch, hearing) = connected(&steps);
        assert_eq!((epoch, hearing), (9, Hearing::Open));
        let own_epoch = sessions.offered()[0].epoch;
        assert_eq!(sessions.session(SITE, own_epoch), Some(number));
        assert_eq!(sessions.session(SITE, own_epoch + 1), None);
        // The same again changes nothing.
        assert_eq!(sessions.offer(&own(FolderMode::ReadWrite)), []);
        assert_eq!(sessions.take_offer(theirs(FolderMode::ReadWrite, 9)), []);
    }

    #[test]
    fn a_session_that_is_closed_begins_anew_and_old_messages_are_told_apart() {
        let mut sessions = Sessions::new(Role::ReadWrite);
        sessions.offer(&own(FolderMode::ReadWrite));
        sessions.take_offer(theirs(FolderMode::ReadWrite, 9));
        let old = sessions.offered()[0].epoch;
        assert!(matches!(
            sessions.withdraw(SITE)[..],
            [Step::Disconnect { .. }, ..]
        ));
        let steps = sessions.offer(&own(FolderMode::ReadWrite));
        connected(&steps);
        assert_eq!(sessions.session(SITE, old), None);
        assert!(matches!(
            sessions.take_close(SITE)[..],
            [Step::Disconnect { .. }, ..]
        ));
        connected(&sessions.take_offer(theirs(FolderMode::ReadWrite, 10)));
    }

    #[test]
    fn who_may_only_receive_is_not_heard() {
        for (own_mode, their_mode, role, expected) in [
            (
                FolderMode::ReadWrite,
                FolderMode::ReceiveOnly,
                Role::ReadWrite,
                Hearing::Deaf,
            ),
            (
                FolderMode::ReadWrite,
                FolderMode::ReadWrite,
                Role::ReadOnly,
                Hearing::Deaf,
            ),
            (
                FolderMode::SendOnly,
                FolderMode::ReadWrite,
                Role::ReadWrite,
                Hearing::Deaf,
            ),
            (
                FolderMode::ReceiveOnly,
                FolderMode::SendOnly,
                Role::ReadWrite,
                Hearing::Open,
            ),
        ] {
            let mut sessions = Sessions::new(role);
            sessions.offer(&own(own_mode));
            let steps = sessions.take_offer(theirs(their_mode, 1));
            assert_eq!(connected(&steps).2, expected);
        }
    }

    #[test]
    fn a_folder_that_one_side_lacks_is_told_once() {
        let mut sessions = Sessions::new(Role::ReadWrite);
        sessions.offer(&own(FolderMode::ReadWrite));
        assert!(matches!(
            sessions.take_offer(Vec::new())[..],
            [Step::Lacking { .. }]
        ));
        assert_eq!(sessions.take_offer(Vec::new()), []);
        let mut other = Sessions::new(Role::ReadWrite);
        other.offer(&[]);
        let steps = other.take_offer(theirs(FolderMode::ReadWrite, 1));
        assert!(matches!(steps[..], [Step::Unknown { .. }]));
    }
}
