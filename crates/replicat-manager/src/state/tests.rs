//! Every change, and every refusal.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A state, its clock, and the next random number.
struct Stand {
    state: State,
    now: SystemTime,
    next: u64,
}

impl Stand {
    fn new() -> Self {
        Self {
            state: State::default(),
            now: SystemTime::UNIX_EPOCH + 20_000 * DAY,
            next: 1,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn token(&mut self, order: &TokenOrder) -> Result<(TokenId, TokenSecret), Refusal> {
        let id = TokenId(self.number());
        let secret = TokenSecret::generate().unwrap();
        self.state.add_token(id, secret.hash(), order, self.now)?;
        Ok((id, secret))
    }

    fn request(&mut self, name: &str) -> EnrolmentRequest {
        let (token, secret) = self.token(&order(Role::ReadWrite)).unwrap();
        EnrolmentRequest {
            token,
            secret,
            name: name.parse().unwrap(),
            public_key: format!("key of {name}").into_bytes(),
        }
    }

    fn enrol(&mut self, request: &EnrolmentRequest) -> Result<PeerIdentity, Refusal> {
        let enrolment = EnrolmentId(self.number());
        self.state.enrol(request, enrolment, self.validity())
    }

    fn validity(&self) -> Validity {
        Validity {
            now: self.now,
            until: self.now + 30 * DAY,
        }
    }
}

fn order(role: Role) -> TokenOrder {
    TokenOrder {
        role,
        node: None,
        lifetime: HOUR,
    }
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn folder(text: &str) -> FolderName {
    text.parse().unwrap()
}

#[test]
fn a_token_lets_one_node_in() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    let identity = stand.enrol(&request).unwrap();
    assert_eq!(identity.role, Role::ReadWrite);
    assert!(stand.state.roster.member(&identity).is_some());

    let other = EnrolmentRequest {
        name: name("b"),
        ..request.clone()
    };
    let used = Err(Refusal::UsedToken { node: name("a") });
    assert_eq!(stand.enrol(&other), used);
    let other_key = EnrolmentRequest {
        public_key: b"another key".to_vec(),
        ..request
    };
    assert_eq!(stand.enrol(&other_key), used);
    assert_eq!(stand.state.roster.members.len(), 1);
}

#[test]
fn a_request_whose_answer_was_lost_is_answered_again() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    let first = stand.enrol(&request).unwrap();
    stand.now += HOUR / 2;
    assert_eq!(stand.enrol(&request), Ok(first.clone()));
    let member = stand.state.roster.member(&first).unwrap();
    assert_eq!(member.certificate_expires, stand.now + 30 * DAY);

    stand.now += HOUR;
    assert_eq!(stand.enrol(&request), Err(Refusal::ExpiredToken));
}

#[test]
fn a_removed_node_does_not_come_back_by_its_old_token() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    let identity = stand.enrol(&request).unwrap();
    stand.state.remove_node(&name("a"), stand.now).unwrap();
    assert!(stand.state.roster.is_revoked(&identity));
    let revoked = Err(Refusal::Revoked { name: name("a") });
    assert_eq!(stand.enrol(&request), revoked);
}

#[test]
fn a_wrong_secret_is_an_unknown_token() {
    let mut stand = Stand::new();
    let request = EnrolmentRequest {
        secret: TokenSecret::generate().unwrap(),
        ..stand.request("a")
    };
    assert_eq!(stand.enrol(&request), Err(Refusal::UnknownToken));
    let request = EnrolmentRequest {
        token: TokenId(999),
        ..stand.request("a")
    };
    assert_eq!(stand.enrol(&request), Err(Refusal::UnknownToken));
}

#[test]
fn tokens_end_and_are_forgotten() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    stand.now += HOUR;
    assert_eq!(stand.enrol(&request), Err(Refusal::ExpiredToken));
    stand.now += 8 * DAY;
    assert_eq!(stand.enrol(&request), Err(Refusal::UnknownToken));
}

#[test]
fn a_token_may_be_for_one_name_and_taken_back() {
    let mut stand = Stand::new();
    let named = TokenOrder {
        node: Some(name("nas")),
        ..order(Role::ReadOnly)
    };
    let (token, secret) = stand.token(&named).unwrap();
    let mut request = EnrolmentRequest {
        token,
        secret,
        ..stand.request("a")
    };
    let other = Refusal::OtherName {
        wanted: name("nas"),
        found: name("a"),
    };
    assert_eq!(stand.enrol(&request), Err(other));
    request.name = name("nas");
    stand.state.remove_token(token).unwrap();
    assert_eq!(stand.enrol(&request), Err(Refusal::UnknownToken));
    let gone = Err(Refusal::NoToken(token));
    assert_eq!(stand.state.remove_token(token), gone);
}

#[test]
fn tokens_that_cannot_be_are_refused() {
    let mut stand = Stand::new();
    let mut refusal = |order: TokenOrder| stand.token(&order).unwrap_err();
    assert_eq!(refusal(order(Role::Manager)), Refusal::Role);
    for lifetime in [Duration::ZERO, 366 * DAY, Duration::MAX] {
        let order = TokenOrder {
            lifetime,
            ..order(Role::ReadOnly)
        };
        assert!(matches!(refusal(order), Refusal::Lifetime(_)));
    }
}

#[test]
fn a_name_is_given_once_and_is_free_after_removal() {
    let mut stand = Stand::new();
    let first = stand.request("a");
    let before = stand.enrol(&first).unwrap();
    let second = stand.request("a");
    let taken = Err(Refusal::NameTaken { name: name("a") });
    assert_eq!(stand.enrol(&second), taken);

    stand.state.remove_node(&name("a"), stand.now).unwrap();
    let after = stand.enrol(&second).unwrap();
    assert_ne!(before.enrolment, after.enrolment);
    let roster = &stand.state.roster;
    assert!(roster.is_revoked(&before) && !roster.is_revoked(&after));
    assert!(roster.member(&before).is_none() && roster.member(&after).is_some());
}

#[test]
fn a_certificate_is_renewed_for_enrolled_nodes_only() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    let identity = stand.enrol(&request).unwrap();
    let enrolment = identity.enrolment.unwrap();
    stand.now += 10 * DAY;
    let validity = stand.validity();
    let renewed = stand.state.renew(&name("a"), enrolment, validity);
    assert_eq!(renewed, Ok(identity));

    let stranger = stand.state.renew(&name("b"), enrolment, validity);
    assert_eq!(stranger, Err(Refusal::NotEnrolled { name: name("b") }));
    stand.state.remove_node(&name("a"), stand.now).unwrap();
    let removed = stand.state.renew(&name("a"), enrolment, validity);
    assert_eq!(removed, Err(Refusal::Revoked { name: name("a") }));
}

#[test]
fn a_revocation_is_kept_as_long_as_a_certificate_is_valid() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    let identity = stand.enrol(&request).unwrap();
    stand.state.remove_node(&name("a"), stand.now).unwrap();
    stand.now += 30 * DAY;
    stand.request("b");
    assert!(stand.state.roster.is_revoked(&identity));
    stand.now += HOUR;
    stand.request("c");
    assert!(!stand.state.roster.is_revoked(&identity));
}

#[test]
fn folders_are_placed_at_nodes_that_there_are() {
    let mut stand = Stand::new();
    let place =
        |stand: &mut Stand, node: &str, mode| stand.state.place(folder("site"), name(node), mode);
    let missing = Err(Refusal::NotEnrolled { name: name("a") });
    assert_eq!(place(&mut stand, "a", PlacementMode::SendOnly), missing);
    for node in ["a", "b"] {
        let request = stand.request(node);
        stand.enrol(&request).unwrap();
    }
    place(&mut stand, "a", PlacementMode::SendOnly).unwrap();
    place(&mut stand, "b", PlacementMode::ReadWrite).unwrap();
    place(&mut stand, "b", PlacementMode::ReceiveOnly).unwrap();
    let b = name("b");
    let of_b: Vec<_> = stand.state.desired.of_node(&b).collect();
    assert_eq!(of_b, [(&folder("site"), PlacementMode::ReceiveOnly)]);

    stand.state.withdraw(&folder("site"), &name("b")).unwrap();
    let again = stand.state.withdraw(&folder("site"), &name("b"));
    assert!(matches!(again, Err(Refusal::NotPlaced { .. })));
    stand.state.remove_node(&name("a"), stand.now).unwrap();
    assert_eq!(stand.state.desired, DesiredState::default());
}

#[test]
fn an_address_is_noted_for_the_present_enrolment_only() {
    let mut stand = Stand::new();
    let request = stand.request("a");
    let enrolment = stand.enrol(&request).unwrap().enrolment.unwrap();
    let address = Some("10.0.0.1:8787".to_owned());
    let noted = stand
        .state
        .set_address(&name("a"), enrolment, address.clone());
    assert_eq!(noted, Ok(()));
    assert_eq!(stand.state.roster.members[&name("a")].address, address);
    let other = stand.state.set_address(&name("a"), EnrolmentId(999), None);
    assert_eq!(other, Err(Refusal::NotEnrolled { name: name("a") }));
}
