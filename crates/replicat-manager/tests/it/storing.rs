//! What is kept, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use replicat_manager::{
    EnrolmentRequest, EnrolmentToken, Manager, ManagerError, PlacementMode, Refusal, TokenOrder,
};
use replicat_net::{ClusterKey, Identity, NodeKey, Role};

async fn open(path: &Path) -> Manager {
    Manager::open_directory(path, None).await.unwrap()
}

async fn token(manager: &Manager, role: Role) -> EnrolmentToken {
    let order = TokenOrder {
        role,
        node: None,
        lifetime: Duration::from_secs(3600),
    };
    let made = manager.create_token(&order, SystemTime::now()).await;
    // As its user gets it.
    made.unwrap().to_text().parse().unwrap()
}

fn request(token: &EnrolmentToken, name: &str, key: &NodeKey) -> EnrolmentRequest {
    EnrolmentRequest {
        token: token.id,
        secret: token.secret.clone(),
        name: name.parse().unwrap(),
        public_key: key.public_key(),
    }
}

#[tokio::test]
async fn everything_survives_a_new_start() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("manager");
    let manager = open(&path).await;
    let now = SystemTime::now();
    let one = token(&manager, Role::ReadOnly).await;
    let (key, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let a = manager.enrol(&request(&one, "a", &key), now).await.unwrap();
    let address = Some("10.0.0.7:8787".to_owned());
    manager.set_address(&a.identity, address).await.unwrap();
    let two = token(&manager, Role::ReadWrite).await;
    manager
        .enrol(&request(&two, "b", &other), now)
        .await
        .unwrap();
    manager
        .remove_node(&"b".parse().unwrap(), now)
        .await
        .unwrap();
    token(&manager, Role::ReadWrite).await;
    let (folder, node) = ("site".parse().unwrap(), "a".parse().unwrap());
    let placed = manager.place(&folder, &node, PlacementMode::SendOnly).await;
    placed.unwrap();

    let before = manager.snapshot();
    assert_eq!(before.generation, 8);
    let after = open(&path).await;
    // Times are kept to the second.
    let kept = after.snapshot();
    assert_eq!(kept.generation, before.generation);
    let (kept, before) = (&kept.state, &before.state);
    assert_eq!(kept.desired, before.desired);
    assert_eq!(kept.tokens.len(), 3);
    assert!(kept.tokens[&one.id].used.is_some());
    let (member, same) = (&kept.roster.members[&node], &before.roster.members[&node]);
    assert_eq!((member.enrolment, member.role), (same.enrolment, same.role));
    assert_eq!(member.address, same.address);
    assert!(kept.roster.revoked.keys().eq(before.roster.revoked.keys()));
    assert_eq!(
        after.authority().certificate(),
        manager.authority().certificate()
    );
}

#[tokio::test]
async fn a_certificate_that_was_given_is_good_for_its_key() {
    let place = tempfile::tempdir().unwrap();
    let manager = open(&place.path().join("manager")).await;
    let now = SystemTime::now();
    let token = token(&manager, Role::ReadOnly).await;
    assert_eq!(token.authority, manager.authority().pin().unwrap());
    let key = NodeKey::generate().unwrap();
    let certified = manager.enrol(&request(&token, "a", &key), now).await;
    let certified = certified.unwrap();
    let authority = manager.authority().certificate();
    let chain = vec![certified.certificate];
    let identity = Identity::from_parts(chain, key.to_der(), authority.clone()).unwrap();
    assert_eq!(identity.role(), Role::ReadOnly);
    assert_eq!(identity.enrolment(), certified.identity.enrolment);

    let next = NodeKey::generate().unwrap();
    let renewed = manager
        .renew(&certified.identity, &next.public_key(), now)
        .await;
    let renewed = renewed.unwrap();
    assert_eq!(renewed.identity, certified.identity);
    Identity::from_parts(vec![renewed.certificate], next.to_der(), authority).unwrap();
}

#[tokio::test]
async fn a_key_that_cannot_be_certified_uses_up_no_token() {
    let place = tempfile::tempdir().unwrap();
    let manager = open(&place.path().join("manager")).await;
    let now = SystemTime::now();
    let token = token(&manager, Role::ReadOnly).await;
    let key = NodeKey::generate().unwrap();
    let broken = EnrolmentRequest {
        public_key: b"no key".to_vec(),
        ..request(&token, "a", &key)
    };
    let refused = manager.enrol(&broken, now).await;
    assert!(matches!(refused, Err(ManagerError::Authority(_))));
    manager
        .enrol(&request(&token, "a", &key), now)
        .await
        .unwrap();
}

#[tokio::test]
async fn no_node_takes_the_name_of_the_manager() {
    let place = tempfile::tempdir().unwrap();
    let manager = open(&place.path().join("manager")).await;
    let token = token(&manager, Role::ReadWrite).await;
    let key = NodeKey::generate().unwrap();
    let refused = manager
        .enrol(&request(&token, "manager", &key), SystemTime::now())
        .await;
    assert!(matches!(
        refused,
        Err(ManagerError::Refused(Refusal::NameTaken { .. }))
    ));
}

#[tokio::test]
async fn the_state_is_its_owners_alone_and_holds_no_secret_of_a_token() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep/manager");
    let manager = open(&path).await;
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let token = token(&manager, Role::ReadOnly).await;
    let state = fs::read_to_string(path.join("state/00000000000000000001")).unwrap();
    let secret: String = token
        .secret
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(state.contains(&token.id.to_string()));
    assert!(!state.contains(&secret) && !state.contains(&*token.to_text()));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Manager::open_directory(&path, None).await.unwrap_err();
    assert!(refused.to_string().contains("chmod 700"), "{refused}");
}

#[tokio::test]
async fn a_key_of_another_cluster_and_a_damaged_state_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("manager");
    let key = ClusterKey::generate().unwrap();
    let manager = Manager::open_directory(&path, Some(key.clone()))
        .await
        .unwrap();
    token(&manager, Role::ReadOnly).await;
    Manager::open_directory(&path, Some(key)).await.unwrap();
    let other = ClusterKey::generate().unwrap();
    let refused = Manager::open_directory(&path, Some(other)).await;
    assert!(matches!(refused, Err(ManagerError::OtherCluster { .. })));

    let newest = path.join("state/00000000000000000001");
    let text = fs::read_to_string(&newest).unwrap();
    fs::write(&newest, &text[..text.len() / 2]).unwrap();
    let refused = Manager::open_directory(&path, None).await;
    assert!(matches!(refused, Err(ManagerError::Damaged { .. })));
    fs::write(&newest, r#"{"format": 2}"#).unwrap();
    let refused = Manager::open_directory(&path, None).await;
    assert!(matches!(refused, Err(ManagerError::NewerFormat { .. })));
}

#[tokio::test]
async fn old_generations_go_when_they_are_old_and_many() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("manager");
    let manager = open(&path).await;
    for _ in 0..20 {
        token(&manager, Role::ReadOnly).await;
    }
    let kept = || {
        let files = fs::read_dir(path.join("state")).unwrap();
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(kept().len(), 20, "all are young");
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    for name in kept() {
        let file = fs::File::options()
            .write(true)
            .open(path.join("state").join(name));
        file.unwrap().set_modified(long_ago).unwrap();
    }
    token(&manager, Role::ReadOnly).await;
    let names = kept();
    assert_eq!(names.len(), 16);
    assert_eq!(names[0], "00000000000000000006");
    assert_eq!(open(&path).await.snapshot().generation, 21);
}
