//! Extended attributes.

use std::fs::File;

use replicat_fs::observe::Tracking;
use replicat_fs::xattrs::is_tracked;
use rustix::fs::XattrFlags;

use crate::scenery::{Scenery, TRACKING, path};

fn set(file: &File, name: &str, value: &[u8]) {
    rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()).unwrap();
}

#[test]
fn observes_them_sorted_and_whole() {
    let scenery = Scenery::new();
    scenery.write("a", "1");
    let file = File::open(scenery.at("a")).unwrap();
    let long = vec![b'x'; 1500];
    set(&file, "user.b", &long);
    set(&file, "user.a", b"");
    let seen = scenery.root.observe(&path("a"), TRACKING).unwrap().unwrap();
    let xattrs = seen.metadata.xattrs.unwrap();
    let shown: Vec<_> = xattrs
        .iter()
        .map(|xattr| (xattr.name.as_slice(), xattr.value.len()))
        .collect();
    assert_eq!(shown, [(&b"user.a"[..], 0), (&b"user.b"[..], 1500)]);
}

#[test]
fn leaves_them_alone_where_they_are_not_tracked() {
    let scenery = Scenery::new();
    scenery.write("a", "1");
    let file = File::open(scenery.at("a")).unwrap();
    set(&file, "user.a", b"1");
    let untracked = Tracking {
        xattrs: false,
        ..TRACKING
    };
    let seen = scenery
        .root
        .observe(&path("a"), untracked)
        .unwrap()
        .unwrap();
    assert_eq!(seen.metadata.xattrs, None);
}

#[test]
fn a_change_of_one_is_a_change_of_the_file() {
    let mut scenery = Scenery::new();
    scenery.write("a", "1");
    scenery.learn();
    set(&File::open(scenery.at("a")).unwrap(), "user.a", b"1");
    assert_eq!(scenery.told(), ["+a"]);
}

#[test]
fn labels_of_security_modules_stay_on_their_machine() {
    let privileged = Tracking {
        privileged_xattrs: true,
        ..TRACKING
    };
    for (name, by_user, by_superuser) in [
        ("user.any", true, true),
        ("system.posix_acl_access", true, true),
        ("system.posix_acl_default", true, true),
        ("trusted.any", false, true),
        ("security.capability", false, true),
        ("security.selinux", false, false),
        ("trusted.overlay.opaque", false, false),
        ("system.nfs4_acl", false, false),
    ] {
        assert_eq!(is_tracked(name.as_bytes(), TRACKING), by_user, "{name}");
        assert_eq!(
            is_tracked(name.as_bytes(), privileged),
            by_superuser,
            "{name}"
        );
    }
}
