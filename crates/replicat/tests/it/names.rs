//! Names that are hard to carry.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::world::{World, walk};

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
