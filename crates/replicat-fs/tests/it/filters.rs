//! What is out of scope.

use std::fs;
use std::os::unix::fs::symlink;

use replicat_fs::filter::{
    Action, Exclusion, ExclusionReason, Filter, IGNORE_FILE_LINES_MAX, Rule, RuleSource, Selection,
};
use replicat_fs::scan::ScanItem;

use crate::scenery::{Scenery, path, shown};

fn excludes(scenery: &Scenery, name: &str) -> bool {
    let is_directory = name.ends_with('/');
    let at = path(name.trim_end_matches('/'));
    let filter = &scenery.filter;
    let excluded = filter.excludes_path(&scenery.root, &at, is_directory);
    let explained = filter.explain(&scenery.root, &at, is_directory);
    assert_eq!(*excluded.as_ref().unwrap(), explained.unwrap().is_some());
    excluded.unwrap()
}

/// What leaves a path out: what was matched, by which pattern, written where.
fn explained(scenery: &Scenery, name: &str) -> String {
    let found = scenery.filter.explain(&scenery.root, &path(name), false);
    let Some(Exclusion { matched, reason }) = found.unwrap() else {
        return "in scope".to_owned();
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match reason {
        ExclusionReason::State => format!("{matched}: state"),
        ExclusionReason::Deselected => format!("{matched}: not selected"),
        ExclusionReason::Rule { pattern, source } => {
            let source = source.map(|source| source.to_string());
            format!("{matched}: {} {}", text(&pattern), source.unwrap())
        }
        ExclusionReason::IgnoreFile { file, line } => {
            let (line, pattern) = line.unwrap();
            format!("{matched}: {} {file}:{line}", text(&pattern))
        }
    }
}

/// Each row: the ignore file of the root, a path (a directory if it ends with a slash), whether git leaves it out.
const GITIGNORE: &[(&str, &str, bool)] = &[
    ("", "a", false),
    ("*.o", "a.o", true),
    ("*.o", "deep/er/a.o", true),
    ("*.o", "a.c", false),
    ("# a", "a", false),
    ("# a", "# a", false),
    (r"\# a", "# a", true),
    (r"\!a", "!a", true),
    ("a/", "a", false),
    ("a/", "a/", true),
    ("a/", "x/a/", true),
    ("a/", "a/held", true),
    ("/a", "a", true),
    ("/a", "x/a", false),
    ("a/b", "a/b", true),
    ("a/b", "x/a/b", false),
    ("**/a", "x/y/a", true),
    ("a/**", "a/x/y", true),
    ("a/**", "a/", false),
    ("a/**/b", "a/b", true),
    ("a/**/b", "a/x/y/b", true),
    ("*", "anything", true),
    ("*\n!*.c", "a.c", false),
    ("*.o\n!keep.o", "keep.o", false),
    ("*.o\n!keep.o", "other.o", true),
    ("!keep.o\n*.o", "keep.o", true),
    // A file below an excluded directory cannot be taken back in.
    ("a/\n!a/keep", "a/keep", true),
    ("a/*\n!a/keep", "a/keep", false),
    ("a?c", "abc", true),
    ("a?c", "a/c", false),
    ("[ab]x", "bx", true),
    ("[!ab]x", "bx", false),
    ("a ", "a", true),
    (r"a\ ", "a ", true),
    ("a\r", "a", true),
    ("\u{feff}a", "a", true),
    ("gr\u{fc}n", "gr\u{fc}n", true),
    ("new*line", "new\nline", true),
    ("*.{a,b}", "x.a", false),
    ("*.{a,b}", "x.{a,b}", true),
    (r"\{a}", "{a}", true),
    ("[{]a", "{a", true),
    ("a**b", "axyb", true),
    ("a**b", "a/b", false),
    ("[^a]x", "bx", true),
    (r"a\*", "a*", true),
    (r"a\*", "ab", false),
];

#[test]
fn ignore_files_mean_what_git_means() {
    for (text, name, expected) in GITIGNORE {
        let scenery = Scenery::new();
        scenery.write(".replicatignore", text);
        assert_eq!(excludes(&scenery, name), *expected, "{text:?} on {name:?}");
    }
}

#[test]
fn a_nested_ignore_file_applies_below_its_directory_and_overrides_those_above() {
    let scenery = Scenery::new();
    scenery.write(".replicatignore", "*.log\n/only-top\n");
    scenery.write("a/.replicatignore", "!keep.log\n/here\nb/deep\n");
    for (name, expected) in [
        ("x.log", true),
        ("keep.log", true),
        ("a/x.log", true),
        ("a/keep.log", false),
        ("a/b/keep.log", false),
        ("only-top", true),
        ("a/only-top", false),
        ("a/here", true),
        ("here", false),
        ("a/b/here", false),
        ("a/b/deep", true),
        ("b/deep", false),
        ("a/.replicatignore", false),
        ("absent/x.log", true),
    ] {
        assert_eq!(excludes(&scenery, name), expected, "{name}");
    }
}

#[test]
fn the_command_line_comes_first_and_its_first_match_wins() {
    let mut scenery = Scenery::new();
    scenery.write(".replicatignore", "*.log\n");
    let rules = Rule::list(
        Action::Exclude,
        b"# comment\n+ keep.log\n- *.tmp\n\n+ *.tmp\n/build/\n",
    );
    scenery.filter = Filter::new(rules.unwrap());
    for (name, expected) in [
        ("keep.log", false),
        ("x.log", true),
        ("x.tmp", true),
        ("build/", true),
        ("build/x", true),
        ("build", false),
        ("x/build/", false),
    ] {
        assert_eq!(excludes(&scenery, name), expected, "{name}");
    }
}

#[test]
fn explanation_names_pattern_and_place() {
    let mut scenery = Scenery::new();
    scenery.write(".replicatignore", "# built\n*.o\n!keep.o\nout/\n");
    scenery.write("a/.replicatignore", "b/*.c\r\n");
    let option = Rule::new(Action::Exclude, b"*.tmp").unwrap();
    let option = option.from_source(RuleSource::Named("--exclude".into()));
    let file = Rule::list_of_file(
        Action::Exclude,
        b"# mine\n\n+ /photos/keep\n/photos/\n",
        "/etc/patterns".as_ref(),
    );
    let mut rules = vec![option];
    rules.extend(file.unwrap());
    scenery.filter = Filter::new(rules);
    let told = [
        "x.tmp",
        "a/x.tmp",
        "photos/1/2",
        "x.o",
        "keep.o",
        "out/deep/x",
        "a/b/x.c",
        ".replicat/y",
        "x",
    ]
    .map(|name| explained(&scenery, name));
    let expected = [
        "x.tmp: *.tmp --exclude",
        "a/x.tmp: *.tmp --exclude",
        "photos: /photos/ /etc/patterns:4",
        "x.o: *.o .replicatignore:2",
        "in scope",
        "out: out/ .replicatignore:4",
        "a/b/x.c: b/*.c a/.replicatignore:1",
        ".replicat: state",
        "in scope",
    ];
    assert_eq!(told, expected);
}

#[test]
fn only_state_directories_are_left_out_by_themselves() {
    let scenery = Scenery::new();
    for (name, expected) in [
        (".replicat/", true),
        (".replicat/index", true),
        ("a/.replicat/", true),
        (".git/", false),
        (".DS_Store", false),
        ("a.tmp", false),
        (".replicatignore", false),
    ] {
        assert_eq!(excludes(&scenery, name), expected, "{name}");
    }
}

#[test]
fn only_what_is_selected_is_in_scope() {
    let mut scenery = Scenery::new();
    scenery.filter = Filter::new(vec![Rule::new(Action::Exclude, b"*.o").unwrap()])
        .within(Selection::only([path("a/b"), path("c")]));
    for inside in ["a/", "a/b/", "a/b/x", "a/b/x/y", "c", "a/.replicatignore"] {
        assert!(!excludes(&scenery, inside), "{inside}");
    }
    for outside in ["a/x", "a/bb/", "b/", "b/x", "x", "a/b/x.o", ".replicat/"] {
        assert!(excludes(&scenery, outside), "{outside}");
    }
    assert_eq!(explained(&scenery, "b/x"), "b: not selected");
    assert_eq!(explained(&scenery, "a/b/x"), "in scope");
}

#[test]
fn deselected_directory_is_out_of_scope_in_a_scan() {
    let mut scenery = Scenery::new();
    for file in ["a/b/kept", "a/c/left", "d/e"] {
        scenery.write(file, "content");
    }
    scenery.learn();
    let mut selection = Selection::default();
    selection.mark(path("a/c"), false);
    scenery.filter = Filter::default().within(selection);
    assert_eq!(scenery.told(), ["oa/c", "oa/c/left"]);
}

#[test]
fn what_leaves_the_scope_is_never_told_as_missing() {
    let mut scenery = Scenery::new();
    scenery.write("a/b/c", "1");
    scenery.write("x.log", "1");
    scenery.write("gone.log", "1");
    scenery.write("kept", "1");
    scenery.learn();
    scenery.filter = Filter::new(vec![Rule::new(Action::Exclude, b"a/").unwrap()]);
    scenery.write(".replicatignore", "*.log\n");
    fs::remove_file(scenery.at("gone.log")).unwrap();
    let expected = [
        "+.replicatignore",
        "oa",
        "oa/b",
        "oa/b/c",
        "ogone.log",
        "ox.log",
    ];
    assert_eq!(scenery.told(), expected);
    scenery.learn();
    assert!(scenery.told().is_empty());
    scenery.filter = Filter::default();
    scenery.write(".replicatignore", "");
    assert_eq!(
        scenery.told(),
        ["+.replicatignore", "+a", "+a/b", "+a/b/c", "+x.log"]
    );
}

#[test]
fn an_excluded_file_of_a_vanished_directory_was_not_deleted_here() {
    let mut scenery = Scenery::new();
    scenery.write("a/b.o", "1");
    scenery.write("a/b.c", "1");
    scenery.learn();
    fs::remove_dir_all(scenery.at("a")).unwrap();
    scenery.filter = Filter::new(vec![Rule::new(Action::Exclude, b"*.o").unwrap()]);
    assert_eq!(scenery.told(), ["-a", "-a/b.c", "oa/b.o"]);
}

#[test]
fn scans_apply_nested_ignore_files() {
    let scenery = Scenery::new();
    scenery.write("a/.replicatignore", "*.o\nsub/\n");
    for name in ["a/x.o", "a/x.c", "a/sub/x.c", "a/b/x.o", "x.o"] {
        scenery.write(name, "1");
    }
    let expected = ["+a", "+a/.replicatignore", "+a/b", "+a/x.c", "+x.o"];
    assert_eq!(scenery.told(), expected);
    let (items, _) = scenery.scan_paths(&["a/x.o", "a/sub/x.c", "x.o"]);
    assert_eq!(shown(&items), ["+a", "+x.o"]);
}

#[test]
fn a_line_that_is_no_pattern_is_reported() {
    let scenery = Scenery::new();
    fs::write(scenery.at(".replicatignore"), b"good\n[z-a]\n\xff\xfe\n").unwrap();
    scenery.write("good", "1");
    let (items, report) = scenery.scan();
    assert_eq!(shown(&items), ["+.replicatignore"]);
    let lines: Vec<_> = report.warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [2, 3]);
}

#[test]
fn an_ignore_file_of_too_many_lines_is_refused() {
    let scenery = Scenery::new();
    scenery.write("a/.replicatignore", &"*a*b\n".repeat(IGNORE_FILE_LINES_MAX));
    scenery.write("a/x", "1");
    let told = scenery.told();
    assert!(
        told.iter().any(|line| line.starts_with("!a: cannot")),
        "{told:?}"
    );
}

#[test]
fn a_directory_whose_ignore_file_cannot_be_read_is_skipped_whole() {
    let mut scenery = Scenery::new();
    scenery.write("a/secret.o", "1");
    scenery.write("b", "1");
    scenery.learn();
    symlink("/etc/passwd", scenery.at("a/.replicatignore")).unwrap();
    scenery.write("a/new.o", "1");
    let (items, _) = scenery.scan();
    let skipped = |item: &&ScanItem| matches!(item, ScanItem::Skipped { .. });
    assert_eq!(items.iter().filter(skipped).count(), 1, "{items:?}");
    assert_eq!(shown(&items).last().unwrap(), "+a");
    scenery.write("c/.replicatignore", &"x\n".repeat(600_000));
    assert!(
        scenery
            .told()
            .iter()
            .any(|line| line.starts_with("!c: cannot"))
    );
}
