//! The command as a user runs it: exit codes, what is refused, what programs read.

#![allow(clippy::unwrap_used)] // The helpers of a test may panic as the test itself may.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A place with the directories A and B, and the file `list` in A.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for root in ["A", "B"] {
            fs::create_dir(place.path(root)).unwrap();
        }
        place.write("A/list", "milk");
        place
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: impl AsRef<Path>, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    /// Runs the command with these words, in this place and with no variables of ours.
    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replicat"));
        for (name, _) in std::env::vars_os() {
            if name.as_bytes().starts_with(b"REPLICAT_") {
                command.env_remove(name);
            }
        }
        command.args(words).current_dir(self.0.path());
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Every path of the place with its content, state left out.
    fn files(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut files = BTreeMap::new();
        let mut waiting = vec![self.0.path().to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name() == Some(OsStr::new(".replicat")) {
                    continue;
                }
                if path.is_dir() {
                    waiting.push(path.clone());
                }
                files.insert(path.clone(), fs::read(&path).ok());
            }
        }
        files
    }

    fn has_state(&self) -> bool {
        ["A", "B"]
            .iter()
            .any(|root| self.path(root).join(".replicat").exists())
    }
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn last_object(output: &Output) -> Value {
    serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
}

#[test]
fn a_sync_makes_equal_and_a_second_one_has_nothing_to_do() {
    let place = Place::new();
    let output = place.run(&["sync", "-i", "A", "B"]);
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains(">f+++++++++ B/list\n"));
    assert_eq!(fs::read(place.path("B/list")).unwrap(), b"milk");
    let output = place.run(&["sync", "-i", "A", "B"]);
    assert_code(&output, 0);
    assert!(text(&output.stdout).starts_with("in sync: 2 roots, nothing to do"));
}

#[test]
fn roots_that_cannot_be_meant_are_refused_and_nothing_is_written() {
    let place = Place::new();
    fs::create_dir(place.path("A/inner")).unwrap();
    for (words, problem) in [
        (["sync", "A", "missing"], "does not exist"),
        (["sync", "A", "A/list"], "is not a directory"),
        (["sync", "A", "A/inner"], "lies inside"),
        (["sync", "A", "./A"], "are the same directory"),
    ] {
        let before = place.files();
        let output = place.run(&words);
        assert_code(&output, 2);
        let told = text(&output.stderr);
        assert!(told.contains(problem) && told.contains("hint: "), "{told}");
        assert_eq!(place.files(), before);
        assert!(!place.has_state());
    }
    assert_code(&place.run(&["sync", "A"]), 2);
}

#[test]
fn a_root_is_created_when_that_was_asked_for() {
    let place = Place::new();
    assert_code(&place.run(&["sync", "--create", "A", "new/C"]), 0);
    assert_eq!(fs::read(place.path("new/C/list")).unwrap(), b"milk");
}

#[test]
fn a_dry_run_touches_nothing_not_even_state() {
    let place = Place::new();
    let before = place.files();
    let output = place.run(&["sync", "-n", "-i", "A", "B"]);
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains(">f+++++++++ B/list\n"));
    let mut by_variable = place.command(&["sync", "A", "B"]);
    assert_code(
        &by_variable.env("REPLICAT_DRY_RUN", "1").output().unwrap(),
        0,
    );
    assert_eq!(place.files(), before);
    assert!(!place.has_state());
}

#[test]
fn programs_read_a_summary_as_the_last_line() {
    let place = Place::new();
    let output = place.run(&["sync", "--json", "A", "B"]);
    assert_code(&output, 0);
    for line in text(&output.stdout).lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap()["type"].is_string());
    }
    let summary = last_object(&output);
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["in_sync"], true);
    let output = place.run(&["sync", "--json", "A", "missing"]);
    assert_code(&output, 2);
    let summary = last_object(&output);
    assert_eq!(summary["in_sync"], false);
    assert_eq!(summary["exit_code"], 2);
}

#[test]
fn what_cannot_be_synced_is_listed_with_its_reason() {
    let place = Place::new();
    let pipe = place.path("A/pipe");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let strict = place.run(&["sync", "--strict", "--json", "A", "B"]);
    assert_code(&strict, 3);
    let output = place.run(&["sync", "--json", "A", "B"]);
    assert_code(&output, 0);
    let summary = last_object(&output);
    assert_eq!(summary["in_sync"], true);
    assert_eq!(summary["skipped"][0]["path"], "pipe");
    assert_eq!(summary["skipped"][0]["kind"], "special");
    assert_eq!(fs::read(place.path("B/list")).unwrap(), b"milk");
}

#[test]
fn different_folders_are_united_only_when_that_was_asked_for() {
    let place = Place::new();
    fs::create_dir(place.path("C")).unwrap();
    fs::create_dir(place.path("D")).unwrap();
    place.write("C/other", "tea");
    assert_code(&place.run(&["sync", "A", "B"]), 0);
    assert_code(&place.run(&["sync", "C", "D"]), 0);
    let output = place.run(&["sync", "B", "C"]);
    assert_code(&output, 4);
    assert!(text(&output.stderr).contains("--join"));
    assert!(!place.path("B/other").exists());
    assert_code(&place.run(&["sync", "--join", "B", "C"]), 0);
    assert!(place.path("B/other").exists() && place.path("C/list").exists());
}

#[test]
fn more_deletions_than_allowed_are_held() {
    let place = Place::new();
    for number in 0..4 {
        place.write(format!("A/{number}"), "x");
    }
    assert_code(&place.run(&["sync", "A", "B"]), 0);
    for number in 0..2 {
        fs::remove_file(place.path(format!("A/{number}"))).unwrap();
    }
    let output = place.run(&["sync", "--max-delete", "1", "A", "B"]);
    assert_code(&output, 4);
    assert!(text(&output.stderr).contains("--max-delete 2"));
    assert!(place.path("B/0").exists() && place.path("B/1").exists());
    assert_code(&place.run(&["sync", "--max-delete", "2", "A", "B"]), 0);
    assert!(!place.path("B/0").exists());
}

#[test]
fn names_cannot_speak_to_the_terminal() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"a\x1b[2J\n\xff");
    place.write(Path::new("A").join(name), "x");
    let output = place.run(&["sync", "-i", "A", "B"]);
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains(">f+++++++++ B/a\\x1b[2J\\n\\xff\n"));
    assert!(place.path("B").join(name).exists());
}

#[test]
fn filters_hold_in_the_order_of_the_command_line() {
    let place = Place::new();
    place.write("A/a.jpg", "x");
    let words = ["sync", "--include", "*.jpg", "--exclude", "*", "A", "B"];
    assert_code(&place.run(&words), 0);
    assert!(place.path("B/a.jpg").exists());
    assert!(!place.path("B/list").exists() && place.path("A/list").exists());
}

#[test]
fn commands_that_look_need_a_root() {
    let place = Place::new();
    for words in [&["status", "A"][..], &["tree", "A"], &["why", "A/list"]] {
        let output = place.run(words);
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("hint: "));
    }
    assert_code(&place.run(&["sync", "A", "B"]), 0);
    let output = place.run(&["status", "--json", "A"]);
    assert_code(&output, 0);
    assert_eq!(last_object(&output)["files"], 1);
    let output = place.run(&["tree", "--json", "B"]);
    assert_code(&output, 0);
    assert_eq!(last_object(&output)["path"], "list");
}
