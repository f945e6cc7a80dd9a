//! All that a manager decides on, and every way in which it changes.
//!
//! The changes are pure: they are told the time, and either make the whole change or refuse and make none. They run again
//! on the newer state if somebody else was faster.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use blake3::Hash;
use replicat_core::name::FolderName;
use replicat_net::{EnrolmentId, NodeName, PeerIdentity, Role};

use crate::desired::{DesiredState, PlacementMode};
use crate::error::Refusal;
use crate::roster::{Member, Revocation, Roster};
use crate::token::{TokenId, TokenRecord, TokenSecret, TokenUse};

/// The most nodes, tokens and folders that a manager keeps.
pub const ROWS_MAX: usize = 10_000;
/// How long a token may last.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a token that has ended is kept, so that it can be said that it has.
const TOKEN_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a manager decides on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The tokens, by id.
    pub tokens: BTreeMap<TokenId, TokenRecord>,
    /// Who takes part.
    pub roster: Roster,
    /// Who keeps what.
    pub desired: DesiredState,
}

/// What a token is to be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOrder {
    /// What the node may do: read-write or read-only.
    pub role: Role,
    /// The only name that a node may take with it, if there is to be one.
    pub node: Option<NodeName>,
    /// How long it lasts.
    pub lifetime: Duration,
}

/// Somebody who holds a token asks to become a node.
#[derive(Clone, Debug)]
pub struct EnrolmentRequest {
    /// The token.
    pub token: TokenId,
    /// Its secret.
    pub secret: TokenSecret,
    /// The name that the node wants.
    pub name: NodeName,
    /// Its public key, as a DER SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

/// When something is certified, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The time now.
    pub now: SystemTime,
    /// When the certificate expires that will be given.
    pub until: SystemTime,
}

impl State {
    /// Keeps a new token.
    ///
    /// # Errors
    /// If its role or its lifetime cannot be, or there are too many.
    pub fn add_token(
        &mut self,
        id: TokenId,
        secret_hash: Hash,
        order: &TokenOrder,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        self.forget(now);
        let lifetimes = Duration::from_secs(1)..=TOKEN_LIFETIME_MAX;
        let too_long = || Refusal::Lifetime(TOKEN_LIFETIME_MAX.as_secs());
        let expires = now.checked_add(order.lifetime).ok_or_else(too_long)?;
        if !lifetimes.contains(&order.lifetime) {
            return Err(too_long());
        }
        if order.role == Role::Manager {
            return Err(Refusal::Role);
        }
        bounded("tokens", self.tokens.len())?;
        let record = TokenRecord {
            id,
            secret_hash,
            role: order.role,
            node: order.node.clone(),
            created: now,
            expires,
            used: None,
        };
        self.tokens.insert(id, record);
        Ok(())
    }

    /// Takes a token back. A node that it let in stays.
    ///
    /// # Errors
    /// If there is none.
    pub fn remove_token(&mut self, id: TokenId) -> Result<(), Refusal> {
        let removed = self.tokens.remove(&id);
        removed.map(|_| ()).ok_or(Refusal::NoToken(id))
    }

    /// Lets a node in, whose new enrolment is to be `enrolment`: who it is from now on. The same request once more is given
    /// what it was given before.
    ///
    /// # Errors
    /// If the token is not good for it, or its name is taken.
    pub fn enrol(
        &mut self,
        request: &EnrolmentRequest,
        enrolment: EnrolmentId,
        validity: Validity,
    ) -> Result<PeerIdentity, Refusal> {
        let Validity { now, until } = validity;
        self.forget(now);
        let members = self.roster.members.len();
        let token = self.tokens.get_mut(&request.token);
        let token = token.ok_or(Refusal::UnknownToken)?;
        if token.secret_hash != request.secret.hash() {
            return Err(Refusal::UnknownToken);
        }
        if token.expires <= now {
            return Err(Refusal::ExpiredToken);
        }
        if let Some(wanted) = token.node.as_ref().filter(|name| **name != request.name) {
            return Err(Refusal::OtherName {
                wanted: wanted.clone(),
                found: request.name.clone(),
            });
        }
        let public_key_hash = blake3::hash(&request.public_key);
        let (role, name) = (token.role, request.name.clone());
        if let Some(used) = &token.used {
            let is_repeated = used.node == name && used.public_key_hash == public_key_hash;
            return match is_repeated {
                true => {
                    let enrolment = used.enrolment;
                    self.renew(&name, enrolment, validity)
                }
                false => Err(Refusal::UsedToken {
                    node: used.node.clone(),
                }),
            };
        }
        if self.roster.members.contains_key(&name) {
            return Err(Refusal::NameTaken { name });
        }
        bounded("nodes", members)?;
        token.used = Some(TokenUse {
            node: name.clone(),
            enrolment,
            public_key_hash,
            time: now,
        });
        let member = Member {
            role,
            enrolment,
            address: None,
            enrolled: now,
            certificate_expires: until,
        };
        self.roster.members.insert(name.clone(), member);
        Ok(identity(name, role, enrolment))
    }

    /// Notes that an enrolled node is given another certificate, and for whom that is.
    ///
    /// # Errors
    /// If the node is not enrolled any more.
    pub fn renew(
        &mut self,
        name: &NodeName,
        enrolment: EnrolmentId,
        validity: Validity,
    ) -> Result<PeerIdentity, Refusal> {
        let name = name.clone();
        if self.roster.revoked.contains_key(&enrolment) {
            return Err(Refusal::Revoked { name });
        }
        match self.roster.members.get_mut(&name) {
            Some(member) if member.enrolment == enrolment => {
                // The last one to expire counts, should the clock have been set back.
                member.certificate_expires = member.certificate_expires.max(validity.until);
                let role = member.role;
                Ok(identity(name, role, enrolment))
            }
            _ => Err(Refusal::NotEnrolled { name }),
        }
    }

    /// Notes where others reach a node.
    ///
    /// # Errors
    /// If it is not enrolled.
    pub fn set_address(
        &mut self,
        name: &NodeName,
        enrolment: EnrolmentId,
        address: Option<String>,
    ) -> Result<(), Refusal> {
        match self.roster.members.get_mut(name) {
            Some(member) if member.enrolment == enrolment => {
                member.address = address;
                Ok(())
            }
            _ => Err(Refusal::NotEnrolled { name: name.clone() }),
        }
    }

    /// Removes a node: its certificates are not good any more, and no folder is placed there.
    ///
    /// # Errors
    /// If it is not enrolled.
    pub fn remove_node(&mut self, name: &NodeName, now: SystemTime) -> Result<(), Refusal> {
        self.forget(now);
        let removed = self.roster.members.remove(name);
        let member = removed.ok_or_else(|| Refusal::NotEnrolled { name: name.clone() })?;
        self.desired.withdraw_all(name);
        let revocation = Revocation {
            node: name.clone(),
            time: now,
            until: member.certificate_expires,
        };
        self.roster.revoked.insert(member.enrolment, revocation);
        Ok(())
    }

    /// Has a node keep a folder.
    ///
    /// # Errors
    /// If it is not enrolled, or there are too many folders.
    pub fn place(
        &mut self,
        folder: FolderName,
        node: NodeName,
        mode: PlacementMode,
    ) -> Result<(), Refusal> {
        if !self.roster.members.contains_key(&node) {
            return Err(Refusal::NotEnrolled { name: node });
        }
        if !self.desired.folders.contains_key(&folder) {
            bounded("folders", self.desired.folders.len())?;
        }
        self.desired.place(folder, node, mode);
        Ok(())
    }

    /// Has a node keep a folder no more; its files stay where they are.
    ///
    /// # Errors
    /// If it was not to keep it.
    pub fn withdraw(&mut self, folder: &FolderName, node: &NodeName) -> Result<(), Refusal> {
        match self.desired.withdraw(folder, node) {
            true => Ok(()),
            false => Err(Refusal::NotPlaced {
                folder: folder.clone(),
                node: node.clone(),
            }),
        }
    }

    /// Forgets tokens that ended long ago, and revocations that have done their work.
    fn forget(&mut self, now: SystemTime) {
        let is_past = |time: SystemTime, kept: Duration| {
            now.duration_since(time).is_ok_and(|passed| passed > kept)
        };
        self.tokens
            .retain(|_, token| !is_past(token.expires, TOKEN_REMEMBERED));
        self.roster
            .revoked
            .retain(|_, revocation| !is_past(revocation.until, Duration::ZERO));
    }
}

fn identity(name: NodeName, role: Role, enrolment: EnrolmentId) -> PeerIdentity {
    PeerIdentity {
        name,
        role,
        enrolment: Some(enrolment),
    }
}

fn bounded(what: &'static str, count: usize) -> Result<(), Refusal> {
    match count < ROWS_MAX {
        true => Ok(()),
        false => Err(Refusal::Full {
            what,
            max: ROWS_MAX,
        }),
    }
}

#[cfg(test)]
mod tests;
