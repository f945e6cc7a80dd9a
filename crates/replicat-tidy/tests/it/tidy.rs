//! Rules of form: lengths, leftovers, machine paths, headers, lists that must be complete.

use std::collections::BTreeSet;

use crate::repository::{self, TextFile};
use crate::source::Source;

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;

/// What is left from work in progress, or panics where an error is due. Cut in two, so that this file passes.
const LEFTOVERS: [&str; 6] = [
    concat!(".unw", "rap()"),
    concat!("tod", "o!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
];

/// Places that exist on one machine only.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Use", "rs/"),
];

/// Code in a directory of tests, or named as such beside what it tests.
fn is_test_path(path: &str) -> bool {
    let placed = ["/tests/", "/benches/"]
        .iter()
        .any(|part| path.contains(part));
    placed || path.starts_with("fuzz/") || path.ends_with("_tests.rs")
}

/// The files that are tests whole, by their directory or by what declares them.
fn test_files(files: &[(TextFile, Source)]) -> BTreeSet<String> {
    let declared = files.iter().flat_map(|(file, source)| {
        let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let inner = match name {
            "lib.rs" | "main.rs" | "mod.rs" => directory.to_owned(),
            _ => file.path.trim_end_matches(".rs").to_owned(),
        };
        let modules = source.test_modules.iter();
        modules.map(move |module| format!("{inner}/{module}.rs"))
    });
    let placed = files.iter().map(|(file, _)| file.path.clone());
    declared
        .chain(placed.filter(|path| is_test_path(path)))
        .collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Rust files with their parsed source.
fn rust_files() -> Vec<(TextFile, Source)> {
    repository::text_files()
        .into_iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| {
            let source = Source::parse(&file.text)
                .unwrap_or_else(|| panic!("{} is not valid Rust", file.path));
            (file, source)
        })
        .collect()
}

#[track_caller]
fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n{}", breaches.join("\n"));
}

#[test]
fn no_function_is_long() {
    let mut breaches = Vec::new();
    for (file, source) in rust_files() {
        for function in &source.functions {
            if function.line_count > FUNCTION_LINES_MAX {
                breaches.push(format!(
                    "{}:{}: {} has {} lines",
                    file.path, function.line, function.name, function.line_count
                ));
            }
        }
    }
    assert_none(
        &format!("a function does one thing, in at most {FUNCTION_LINES_MAX} lines"),
        &breaches,
    );
}

#[test]
fn no_file_is_long() {
    let mut breaches = Vec::new();
    for (file, source) in rust_files() {
        let line_count = source.line_count(&file.text);
        if line_count > FILE_LINES_MAX {
            breaches.push(format!("{}: {line_count} lines", file.path));
        }
    }
    assert_none(
        &format!("a file has at most {FILE_LINES_MAX} lines beside its tests: split it"),
        &breaches,
    );
}

#[test]
fn no_leftovers_outside_tests() {
    let files = rust_files();
    let tests = test_files(&files);
    let mut breaches = Vec::new();
    for (file, source) in files {
        if tests.contains(&file.path) {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            let left = LEFTOVERS.iter().find(|left| line.contains(**left));
            // A documentation example is a test.
            let excused = source.is_test(at + 1) || is_comment(line) && line.contains(LEFTOVERS[0]);
            if let (Some(left), false) = (left, excused) {
                breaches.push(format!("{}:{}: {left}", file.path, at + 1));
            }
        }
    }
    assert_none("return a typed error, or finish the work", &breaches);
}

#[test]
fn no_machine_paths() {
    let mut breaches = Vec::new();
    for file in repository::text_files() {
        for (at, line) in file.text.lines().enumerate() {
            if MACHINE_PATHS.iter().any(|path| line.contains(path)) {
                breaches.push(format!("{}:{}: {}", file.path, at + 1, line.trim()));
            }
        }
    }
    assert_none("a path of one machine means nothing on another", &breaches);
}

#[test]
fn no_tabs_and_no_trailing_blanks() {
    let mut breaches = Vec::new();
    for file in repository::text_files() {
        // A patch has the blanks of what it changes.
        if file.path == "LICENSE" || file.path.ends_with(".patch") {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            if line.contains('\t') || line.ends_with(' ') {
                breaches.push(format!("{}:{}", file.path, at + 1));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            breaches.push(format!("{}: no newline at the end", file.path));
        }
    }
    assert_none("indent by spaces, end lines where they end", &breaches);
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut breaches = Vec::new();
    for (file, _) in rust_files() {
        if file.path.contains("/src/") && !file.text.starts_with("//!") {
            breaches.push(file.path);
        }
    }
    assert_none("a source file starts with its `//!` header", &breaches);
}

#[test]
fn every_crate_states_its_goals() {
    let mut breaches = Vec::new();
    for file in repository::text_files() {
        if file.path.ends_with("/src/lib.rs") && !file.text.contains("Goals:") {
            breaches.push(file.path);
        }
    }
    assert_none("a crate's header gives its goals and non-goals", &breaches);
}

#[test]
fn every_decision_is_listed() {
    let files = repository::text_files();
    let list = files.iter().find(|file| file.path == "docs/adr/README.md");
    let list = list.map_or("", |file| file.text.as_str());
    let breaches: Vec<_> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("docs/adr/"))
        .filter(|name| *name != "README.md" && !list.contains(&format!("({name})")))
        .map(ToOwned::to_owned)
        .collect();
    assert_none("docs/adr/README.md links every decision", &breaches);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut breaches = Vec::new();
    for file in repository::text_files() {
        if !file.path.ends_with(".md") {
            continue;
        }
        let directory = repository::root().join(&file.path);
        let directory = directory.parent().expect("a file lies in a directory");
        for target in file.text.split("](").skip(1) {
            let target = target.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !directory.join(target).exists() {
                breaches.push(format!("{}: {target}", file.path));
            }
        }
    }
    assert_none("a link leads to a file of the repository", &breaches);
}
