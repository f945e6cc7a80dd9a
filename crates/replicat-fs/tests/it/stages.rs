//! Staging of large files: holes, copies, resumption; and stable reads of them.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use replicat_core::entry::{Metadata, Xattr};
use replicat_fs::apply::Action;
use replicat_fs::apply::calls::Calls;
use replicat_fs::metadata::Aspect;
use replicat_fs::read::{Extent, ReadError, StableFile};
use replicat_fs::recover::recover;
use replicat_fs::root::Root;
use replicat_fs::state::{StateDirectory, StateError};

use crate::stand::{Ground, Stand, content, path, places, plain};

const MEBIBYTE: usize = 1024 * 1024;

#[test]
fn zeros_become_holes_and_are_read_as_such() {
    for place in places() {
        let ground = Ground::new(&place);
        let stand = Stand::new(&ground);
        let mut bytes = vec![7; 4 * MEBIBYTE];
        bytes[MEBIBYTE..3 * MEBIBYTE].fill(0);
        let staged = stand.staging.begin(content(1), bytes.len() as u64).unwrap();
        for (number, chunk) in bytes.chunks(100_000).enumerate() {
            staged.write_at(number as u64 * 100_000, chunk).unwrap();
        }
        let put = Action::Put(Box::new(staged.finish(&plain()).unwrap()));
        stand.commit_one(stand.change("sparse", put)).unwrap();
        assert_eq!(fs::read(ground.full("sparse")).unwrap(), bytes);
        let blocks = fs::metadata(ground.full("sparse")).unwrap().blocks();
        assert!(blocks * 512 < 3 * MEBIBYTE as u64, "{blocks} blocks");

        let file = StableFile::open(&stand.root, &path("sparse")).unwrap();
        let (mut read, mut zeros) = (Vec::new(), 0);
        let fingerprint = file.read_all(|extent| match extent {
            Extent::Data(data) => read.extend_from_slice(data),
            Extent::Zeros(length) => {
                zeros += length;
                read.resize(read.len() + usize::try_from(length).unwrap(), 0);
            }
        });
        assert_eq!(fingerprint.unwrap(), stand.print("sparse"));
        assert!(read == bytes && zeros > MEBIBYTE as u64, "{zeros} zeros");
    }
}

#[test]
fn zeros_overwrite_what_was_written_before() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let staged = stand.staging.begin(content(1), MEBIBYTE as u64).unwrap();
    staged.write_at(0, &vec![1; MEBIBYTE]).unwrap();
    staged.write_at(0, &vec![0; MEBIBYTE]).unwrap();
    let mut found = vec![9; MEBIBYTE];
    assert_eq!(staged.read_at(0, &mut found).unwrap(), MEBIBYTE);
    assert!(found.iter().all(|&byte| byte == 0));
}

#[test]
fn a_download_is_resumed_after_a_restart() {
    let ground = Ground::usual();
    let size = 8 * MEBIBYTE as u64;
    let written = vec![3; MEBIBYTE];
    {
        let stand = Stand::new(&ground);
        let staged = stand.staging.begin(content(1), size).unwrap();
        staged.write_at(2 * MEBIBYTE as u64, &written).unwrap();
        assert!(stand.staging.resume(content(1), size).unwrap().is_none());
    }
    assert_eq!(Stand::recover(&ground).resumable, 1);
    let stand = Stand::new(&ground);
    assert!(stand.staging.resume(content(2), size).unwrap().is_none());
    let staged = stand.staging.resume(content(1), size).unwrap().unwrap();
    let start = 2 * MEBIBYTE as u64;
    let present = staged.present().unwrap();
    assert_eq!(present.len(), 1);
    assert_eq!(present[0], start..start + MEBIBYTE as u64);
    let mut found = vec![0; MEBIBYTE];
    staged.read_at(start, &mut found).unwrap();
    assert!(found == written);
    drop(staged.finish(&plain()).unwrap());
    drop(stand);
    assert_eq!(
        Stand::recover(&ground).resumable,
        1,
        "complete but not placed"
    );
}

#[test]
fn old_downloads_are_removed() {
    let ground = Ground::usual();
    drop(Stand::new(&ground).staging.begin(content(1), 10).unwrap());
    let root = Root::open(ground.directory.path()).unwrap();
    let state = StateDirectory::open(&root, None).unwrap();
    let old = ground.full(".replicat/staging/partial/left-by-nobody");
    fs::write(old, "x").unwrap();
    let recovery = recover(&root, &state, &Calls::default(), Duration::MAX).unwrap();
    assert_eq!((recovery.resumable, ground.staged_names().len()), (1, 1));
}

#[test]
fn the_same_content_can_be_staged_twice_at_once() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let one = stand.staging.begin(content(1), 3).unwrap();
    let two = stand.staging.begin(content(1), 3).unwrap();
    one.write_at(0, b"abc").unwrap();
    two.write_at(0, b"abc").unwrap();
    for (text, staged) in [("one", one), ("two", two)] {
        let put = Action::Put(Box::new(staged.finish(&plain()).unwrap()));
        stand.commit_one(stand.change(text, put)).unwrap();
        assert_eq!(ground.read(text).as_deref(), Some("abc"));
    }
    assert!(ground.staged_names().is_empty());
}

#[test]
fn ranges_are_copied_from_files_of_the_root_and_from_elsewhere() {
    for place in places() {
        let ground = Ground::new(&place);
        let bytes: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
        fs::write(ground.full("source"), &bytes).unwrap();
        let stand = Stand::new(&ground);
        let source = stand.root.open_file(&path("source")).unwrap();
        let staged = stand.staging.begin(content(1), 200_000).unwrap();
        staged.copy_range(&source, 100_000, 200_000, 0).unwrap();
        let mut found = vec![0; 200_000];
        staged.read_at(0, &mut found).unwrap();
        assert!(found == bytes[100_000..]);
        assert!(
            staged.copy_range(&source, 250_000, 100_000, 0).is_err(),
            "it ends before"
        );
        for elsewhere in places() {
            let other = tempfile::tempfile_in(elsewhere).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&other, b"other", 0).unwrap();
            staged.copy_range(&other, 1, 3, 7).unwrap();
            staged.read_at(7, &mut found[..3]).unwrap();
            assert_eq!(&found[..3], b"the");
        }
        staged.clone_whole(&source.as_fd()).unwrap();
        staged.abandon().unwrap();
        assert!(ground.staged_names().is_empty());
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_noticed() {
    let ground = Ground::usual();
    ground.write("a", "before");
    let stand = Stand::new(&ground);
    let file = StableFile::open_expected(&stand.root, &path("a"), &stand.print("a")).unwrap();
    let result = file.read_all(|_| ground.write("a", "and after"));
    assert!(matches!(result, Err(ReadError::Changed(_))), "{result:?}");
    assert!(matches!(file.verify(), Err(ReadError::Changed(_))));
    let directory = StableFile::open(&stand.root, &path(".replicat"));
    assert!(matches!(directory, Err(ReadError::NotAFile(_))));
}

#[test]
fn attributes_are_set_exactly_and_what_cannot_be_set_is_told() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let xattr = |name: &str, value: &str| Xattr {
        name: name.into(),
        value: value.into(),
    };
    let described = |xattrs| Metadata {
        xattrs: Some(xattrs),
        ..plain()
    };
    let first = described(vec![xattr("user.a", "1"), xattr("user.b", "2")]);
    let staged = stand.staging.small(b"x", &first).unwrap();
    assert_eq!(staged.unapplied(), []);
    stand
        .commit_one(stand.change("a", Action::Put(Box::new(staged))))
        .unwrap();
    let second = described(vec![xattr("nowhere.c", "3"), xattr("user.b", "4")]);
    let applied = stand
        .commit_one(stand.change("a", Action::SetMetadata(second)))
        .unwrap();
    let aspects: Vec<_> = applied
        .unapplied
        .into_iter()
        .map(|one| one.aspect)
        .collect();
    assert_eq!(aspects, [Aspect::Xattr(b"nowhere.c".to_vec())]);
    let file = stand.root.open_file(&path("a")).unwrap();
    let tracking = replicat_fs::observe::Tracking::of_process();
    let found = replicat_fs::xattrs::read(file.as_fd(), tracking).unwrap();
    assert_eq!(found, Some(vec![xattr("user.b", "4")]));
}

#[test]
fn one_root_has_one_worker() {
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let again = StateDirectory::open(&stand.root, None).unwrap_err();
    let StateError::Locked { holder, .. } = &again else {
        panic!("{again}");
    };
    assert_eq!(holder.process, Some(std::process::id()));
    assert!(holder.since.is_some());
    let elsewhere = Ground::usual();
    let again = StateDirectory::open(&stand.root, Some(&elsewhere.full("state")));
    assert!(matches!(again, Err(StateError::Locked { .. })));
}

#[test]
fn state_elsewhere_keeps_staging_on_the_filesystem_of_the_root() {
    for place in places() {
        let ground = Ground::usual();
        let elsewhere = Ground::new(&place);
        let root = Root::open(ground.directory.path()).unwrap();
        let directory = elsewhere.full("state");
        let state = StateDirectory::open(&root, Some(&directory)).unwrap();
        assert_eq!(state.index_path(), directory.join("index.redb"));
        let device = |path| fs::metadata(path).unwrap().dev();
        assert_eq!(device(state.trash_path()), device(ground.full(".")));
        assert_eq!(state.path(), directory);
        assert_eq!(
            state.trash_path() == directory.join("trash"),
            device(directory) == device(ground.full("."))
        );
    }
}

#[test]
fn the_state_inherits_no_group_and_is_private() {
    let ground = Ground::usual();
    let shared = std::os::unix::fs::PermissionsExt::from_mode(0o2777);
    fs::set_permissions(ground.full("."), shared).unwrap();
    let stand = Stand::new(&ground);
    let mode = |text| fs::metadata(ground.full(text)).unwrap().mode() & 0o7777;
    assert_eq!(
        (mode(".replicat"), mode(".replicat/staging/ready")),
        (0o700, 0o700)
    );
    assert!(stand.state.path().ends_with(".replicat"));
}
