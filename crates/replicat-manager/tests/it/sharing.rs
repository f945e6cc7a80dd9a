//! Several managers that share a state: what one decides, no other decides otherwise.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use replicat_manager::{
    EnrolmentRequest, EnrolmentToken, Manager, ManagerError, Refusal, TokenOrder,
};
use replicat_net::{NodeKey, Role};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The stores that a state can be in.
fn stores() -> (Vec<Arc<dyn ObjectStore>>, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let local = LocalFileSystem::new_with_prefix(place.path()).unwrap();
    (vec![Arc::new(InMemory::new()), Arc::new(local)], place)
}

/// Managers that share a state.
async fn managers(store: &Arc<dyn ObjectStore>, count: usize) -> Vec<Arc<Manager>> {
    let mut managers = Vec::new();
    for _ in 0..count {
        let manager = Manager::open(Arc::clone(store), None).await.unwrap();
        managers.push(Arc::new(manager));
    }
    managers
}

async fn token(manager: &Manager) -> EnrolmentToken {
    let order = TokenOrder {
        role: Role::ReadWrite,
        node: None,
        lifetime: Duration::from_secs(3600),
    };
    let made = manager.create_token(&order, SystemTime::now()).await;
    made.unwrap()
}

fn request(token: &EnrolmentToken, name: &str) -> EnrolmentRequest {
    EnrolmentRequest {
        token: token.id,
        secret: token.secret.clone(),
        name: name.parse().unwrap(),
        public_key: NodeKey::generate().unwrap().public_key(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_that_start_at_once_have_one_authority() {
    let (stores, _place) = stores();
    for store in stores {
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            let store = Arc::clone(&store);
            opening.spawn(async move { Manager::open(store, None).await.unwrap() });
        }
        let managers = opening.join_all().await;
        let clusters = managers.iter().map(|one| one.authority().cluster_id());
        let first = managers[0].authority().cluster_id();
        assert!(clusters.into_iter().all(|cluster| cluster == first));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_once_among_all_managers() {
    let (stores, _place) = stores();
    for store in stores {
        let managers = managers(&store, 8).await;
        let token = token(&managers[0]).await;
        let mut enrolling = JoinSet::new();
        for (number, manager) in managers.iter().enumerate() {
            let manager = Arc::clone(manager);
            let request = request(&token, &format!("n{number}"));
            enrolling.spawn(async move { manager.enrol(&request, SystemTime::now()).await });
        }
        let outcomes = enrolling.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for outcome in lost {
            let used = matches!(
                outcome,
                Err(ManagerError::Refused(Refusal::UsedToken { .. }))
            );
            assert!(used, "{outcome:?}");
        }
        let snapshot = managers[0].refresh().await.unwrap();
        assert_eq!(snapshot.state.roster.members.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_among_managers() {
    let (stores, _place) = stores();
    for store in stores {
        let managers = managers(&store, 4).await;
        let mut making = JoinSet::new();
        for manager in &managers {
            let manager = Arc::clone(manager);
            making.spawn(async move {
                for _ in 0..5 {
                    token(&manager).await;
                }
            });
        }
        making.join_all().await;
        for manager in &managers {
            let snapshot = manager.refresh().await.unwrap();
            assert_eq!(snapshot.generation, 20);
            assert_eq!(snapshot.state.tokens.len(), 20);
        }
    }
}

#[tokio::test]
async fn what_another_manager_changes_becomes_known() {
    let (stores, _place) = stores();
    for store in stores {
        let managers = managers(&store, 2).await;
        let mut known = managers[1].subscribe();
        let token = token(&managers[0]).await;
        managers[1].refresh().await.unwrap();
        assert!(known.has_changed().unwrap());
        assert!(
            known
                .borrow_and_update()
                .state
                .tokens
                .contains_key(&token.id)
        );
        managers[1].refresh().await.unwrap();
        assert!(!known.has_changed().unwrap(), "nothing is new");
    }
}
