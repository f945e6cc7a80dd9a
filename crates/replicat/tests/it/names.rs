//! Names that are hard to carry.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::machine::{Mount, has, has_program, has_root};
use crate::world::{Kind, Node, Outcome, World, command, walk};

/// Files, directories and links of these names are created, edited, renamed and deleted.
fn carry(names: &[&[u8]]) {
    World::each(|world| {
        let name = |name: &[u8]| OsStr::from_bytes(name).to_owned();
        let joined = |parts: &[&[u8]]| OsString::from(OsStr::from_bytes(&parts.concat()));
        for one in names {
            world.write(0, name(one), b"first");
            world.write(0, joined(&[b"d/", one, b"/", one]), one);
            // So many stay that no safety brake holds what is deleted below.
            for stays in ["kept", "kept2"] {
                world.write(0, joined(&[stays.as_bytes(), b"/", one]), one);
            }
            world.mkdir(0, "links");
            world.symlink(0, OsStr::from_bytes(one), joined(&[b"links/", one]));
        }
        world.settle();
        assert_eq!(world.tree().len(), 5 + 6 * names.len());
        for one in names {
            world.write(world.last(), name(one), b"second");
            let (from, to) = (joined(&[b"d/", one]), joined(&[b"links/", one, b"2"]));
            if one.len() < 255 {
                world.rename(world.last(), from, to);
            }
        }
        world.settle();
        for one in names {
            assert_eq!(world.read(0, name(one)), "second");
            world.remove(world.last(), joined(&[b"links/", one]));
            world.remove(0, name(one));
        }
        world.settle();
        for one in names {
            assert!(!world.exists(0, name(one)) && !world.exists(world.last(), name(one)));
        }
    });
}

#[test]
fn s38_characters_that_speak_to_shells_and_terminals() {
    carry(&[
        b"new\nline",
        b"tab\tname",
        b"back\\slash",
        b"-dash",
        b"--delete",
        b"trailing space ",
        b" leading space",
        b"quote\"s'",
        b"*?[a-z]",
        b"$(touch x)`y`",
        b"...",
        b".hidden",
        b"\x01\x1b[31m\x7f",
        "\u{202e}right\u{feff}".as_bytes(),
        b"%41%00",
        b"name.conflict-alpha-20200101-000000",
        &[b'n'; 255],
    ]);
}

#[test]
fn s39_names_that_are_not_utf8() {
    carry(&[
        b"caf\xe9",
        b"\xff\xfe",
        b"\xc0\xaf",
        b"half \xf0\x9f",
        b"\xed\xa0\x80",
    ]);
}

#[test]
fn s39_a_program_reads_the_bytes_of_a_name_that_is_no_text() {
    let world = World::new(2);
    world.write(0, OsStr::from_bytes(b"caf\xe9"), b"x");
    let outcome = world.settle();
    let item = outcome
        .of_type("item")
        .find(|item| item["path_hex"] == "636166e9");
    assert_eq!(item.unwrap()["path"], "caf\u{fffd}");
}

#[test]
fn s40_names_that_windows_reserves_are_ordinary_here() {
    carry(&[
        b"CON",
        b"nul.txt",
        b"COM1",
        b"LPT9.log",
        b"ends with dot.",
        b"a<b>c|d",
        b"time 12:30",
        b"README",
        b"readme",
        b"Readme",
    ]);
}

/// Opens the directory at the end of `names`, one step at a time, and creates what is missing.
fn descend(root: &std::path::Path, names: &[String]) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = openat(CWD, root, flags, Mode::empty()).unwrap();
    for name in names {
        let _ = mkdirat(&directory, name.as_str(), Mode::RWXU);
        directory = openat(&directory, name.as_str(), flags, Mode::empty()).unwrap();
    }
    directory
}

#[test]
fn s41_a_path_longer_than_path_max() {
    World::each(|world| {
        let names: Vec<String> = (0..30).map(|level| format!("{level:0200}")).collect();
        assert!(names.len() * 201 > 4096);
        let write = |root: usize, content: &[u8]| {
            let directory = descend(world.root(root), &names);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
            let file = openat(&directory, "deep", flags, Mode::RUSR | Mode::WUSR).unwrap();
            assert_eq!(rustix::io::write(file, content).unwrap(), content.len());
        };
        let read = |root: usize| {
            let directory = descend(world.root(root), &names);
            let file = openat(&directory, "deep", OFlags::RDONLY, Mode::empty()).unwrap();
            let mut content = vec![0; 64];
            let length = rustix::io::read(file, &mut content).unwrap();
            content.truncate(length);
            content
        };
        let all: Vec<usize> = (0..world.count()).collect();
        write(0, b"far down");
        let outcome = world.run(&all, &[]);
        assert!(outcome.in_sync(), "{outcome:#?}");
        assert_eq!(read(world.last()), b"far down");
        write(world.last(), b"edited far down");
        assert!(world.run(&all, &[]).in_sync());
        assert_eq!(read(0), b"edited far down");
        let again = world.run(&all, &[]);
        assert!(again.in_sync());
        world.assert_idle(&again);
        world.remove(0, &names[0]);
        assert!(world.run(&all, &[]).in_sync());
        assert_eq!(walk(world.root(world.last())).len(), 1);
    });
}

/// A world of two roots, of which the second is on an exFAT stick; `None` if that cannot be made here.
fn with_stick() -> Option<(World, Mount)> {
    let has_device = std::path::Path::new("/dev/fuse").exists();
    let tools = has_program("mkfs.exfat") && has_program("mount.exfat-fuse");
    if !has_root() || !tools || !has("/dev/fuse", has_device) {
        return None;
    }
    let world = World::new(2);
    let stick = Mount::exfat(&world.beside("stick"), world.root(1));
    Some((world, stick))
}

/// Syncs both roots; the code, and the paths whose names cannot exist somewhere.
fn refused_names(world: &World) -> (Option<i32>, Vec<String>) {
    let mut sync = command();
    sync.args(["sync", "--json"]).args(world.roots());
    let outcome = Outcome::of(&sync.output().unwrap());
    let summary = outcome.of_type("summary").next().unwrap();
    let rows = summary["skipped"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["kind"] == "name");
    let paths = rows.map(|row| row["path"].as_str().unwrap().to_owned());
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    (outcome.code, paths)
}

/// What the files of a root hold, by their paths.
fn texts(world: &World, root: usize) -> Vec<(String, String)> {
    let files = walk(world.root(root)).into_iter();
    let text = |(path, node): (Vec<u8>, Node)| match node.kind {
        Kind::File(content) => Some((
            String::from_utf8(path).unwrap(),
            String::from_utf8(content).unwrap(),
        )),
        _ => None,
    };
    files.filter_map(text).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    all.iter().map(pair).collect()
}

#[test]
fn names_that_a_stick_takes_for_one_are_kept_apart() {
    let Some((world, _stick)) = with_stick() else {
        return;
    };
    let all = [
        ("Case", "upper"),
        ("Dir/file", "1"),
        ("case", "lower"),
        ("dir/file", "2"),
    ];
    for (path, text) in all {
        world.write(0, path, text);
    }
    for _ in 0..2 {
        let (code, refused) = refused_names(&world);
        assert_eq!(
            (code, refused),
            (Some(3), vec!["case".to_owned(), "dir".to_owned()])
        );
        assert_eq!(texts(&world, 0), pairs(&all));
        assert_eq!(texts(&world, 1), pairs(&all[..2]));
    }
    // An edit on the stick is one of the file that is there.
    world.write(1, "Case", "upper, edited");
    assert_eq!(refused_names(&world).0, Some(3));
    assert_eq!(world.read(0, "Case"), "upper, edited");
    assert_eq!(world.read(0, "case"), "lower");
    // When the one is gone, the other has room.
    world.remove(0, "Case");
    world.rename(0, "dir", "other");
    for _ in 0..2 {
        refused_names(&world);
    }
    assert_eq!(refused_names(&world), (Some(0), Vec::new()));
    assert_eq!(
        texts(&world, 1),
        pairs(&[("Dir/file", "1"), ("case", "lower"), ("other/file", "2")])
    );
}

#[test]
fn name_that_is_spelled_anew_is_renamed_on_a_stick() {
    let Some((world, _stick)) = with_stick() else {
        return;
    };
    world.write(0, "readme", "text");
    assert_eq!(refused_names(&world), (Some(0), Vec::new()));
    world.rename(0, "readme", "README");
    refused_names(&world);
    assert_eq!(refused_names(&world), (Some(0), Vec::new()));
    assert_eq!(texts(&world, 0), pairs(&[("README", "text")]));
    assert_eq!(texts(&world, 1), pairs(&[("README", "text")]));
}

#[test]
fn names_that_a_stick_does_not_take_are_listed() {
    let Some((world, _stick)) = with_stick() else {
        return;
    };
    for path in ["a:b", "q?", "usual"] {
        world.write(0, path, path);
    }
    let listed = vec!["a:b".to_owned(), "q?".to_owned()];
    for _ in 0..2 {
        assert_eq!(refused_names(&world), (Some(3), listed.clone()));
        assert_eq!(texts(&world, 0).len(), 3);
        assert_eq!(texts(&world, 1), pairs(&[("usual", "usual")]));
    }
}
