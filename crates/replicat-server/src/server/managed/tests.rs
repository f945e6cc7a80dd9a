//! What becomes of the owner's settings and the manager's assignment together.

use replicat_net::{EnrolmentId, Role};
use tempfile::TempDir;

use super::*;

fn managed(own: &str) -> (Managed, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let managed = Managed {
        address: "127.0.0.1:1".to_owned(),
        cache: Cache::open(place.path().join("state")).unwrap(),
        folders: place.path().join("folders"),
        state: Mutex::new(State {
            own: Settings::from_toml(own).unwrap(),
            assignment: Assignment::default(),
        }),
    };
    (managed, place)
}

fn assignment() -> Assignment {
    Assignment {
        generation: 1,
        peers: [
            ("a".parse().unwrap(), "10.0.0.1:8787".to_owned()),
            ("b".parse().unwrap(), "10.0.0.2:8787".to_owned()),
        ]
        .into(),
        revoked: [EnrolmentId(9)].into(),
        folders: [
            ("docs".parse().unwrap(), PlacementMode::ReadWrite),
            ("site".parse().unwrap(), PlacementMode::SendOnly),
        ]
        .into(),
    }
}

#[test]
fn the_owner_says_where_and_the_manager_what() {
    let own = "[[nodes]]\nname = 'b'\naddress = 'b.example:1'\n\
        [[folders]]\nname = 'site'\ndirectory = '/srv/site'\nmode = 'receive-only'\n\
        [[folders]]\nname = 'own'\ndirectory = '/srv/own'\n";
    let (managed, _place) = managed(own);
    let settings = managed.replace_assignment(assignment()).unwrap();
    let nodes: Vec<_> = settings
        .nodes
        .iter()
        .map(|node| &node.address[..])
        .collect();
    assert_eq!(nodes, ["b.example:1", "10.0.0.1:8787"]);
    let folder = |name: &str| {
        let mut folders = settings.folders.iter();
        folders.find(|folder| folder.name.as_str() == name).unwrap()
    };
    assert_eq!(folder("site").directory, PathBuf::from("/srv/site"));
    assert_eq!(folder("site").mode, FolderMode::SendOnly);
    assert_eq!(folder("own").mode, FolderMode::ReadWrite);
    assert_eq!(folder("docs").directory, managed.folders.join("docs"));
    assert!(
        !folder("docs").create,
        "a disk that is missing is not replaced"
    );

    let settings = managed.replace_own(Settings::default()).unwrap();
    assert_eq!(settings.folders.len(), 2, "the assignment holds still");
    let settings = managed.replace_assignment(Assignment::default()).unwrap();
    assert_eq!(settings, Settings::default());
}

#[test]
fn a_removed_peer_is_not_admitted_and_its_successor_is() {
    let (managed, _place) = managed("");
    let peer = |enrolment| PeerIdentity {
        name: "c".parse().unwrap(),
        role: Role::ReadWrite,
        enrolment,
    };
    assert!(managed.admit(&peer(Some(EnrolmentId(9)))).is_ok());
    managed.replace_assignment(assignment()).unwrap();
    let refused = managed.admit(&peer(Some(EnrolmentId(9)))).unwrap_err();
    assert_eq!(refused, "node c was removed from the cluster");
    assert!(managed.admit(&peer(Some(EnrolmentId(10)))).is_ok());
}

#[test]
fn an_assignment_that_cannot_be_done_still_cuts_off() {
    let (managed, place) = managed("");
    let inside = place.path().join("folders/docs/inside");
    let own = format!(
        "[[folders]]\nname = 'own'\ndirectory = '{}'\n",
        inside.display()
    );
    let own = Settings::from_toml(&own).unwrap();
    managed.replace_own(own).unwrap();
    let refused = managed.replace_assignment(assignment());
    assert!(matches!(refused, Err(SettingsError::DirectoryTwice { .. })));
    let removed = PeerIdentity {
        name: "c".parse().unwrap(),
        role: Role::ReadWrite,
        enrolment: Some(EnrolmentId(9)),
    };
    assert!(managed.admit(&removed).is_err());
}

#[test]
fn the_directory_of_a_folder_is_created_when_it_is_placed_and_never_again() {
    let own = "[[folders]]\nname = 'site'\ndirectory = '/srv/site'\n";
    let (managed, _place) = managed(own);
    managed.create_directories(&assignment()).unwrap();
    let docs = managed.folders.join("docs");
    assert!(docs.is_dir());
    assert!(!managed.folders.join("site").exists());
    managed.replace_assignment(assignment()).unwrap();
    fs::remove_dir(&docs).unwrap();
    managed.create_directories(&assignment()).unwrap();
    assert!(!docs.exists());
}
