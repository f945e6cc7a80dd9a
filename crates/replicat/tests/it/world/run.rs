//! Running the command.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::World;

/// The command, with no variables of ours around it. `REPLICAT_TEST_COMMAND` names another build of it, for campaigns.
pub(crate) fn command() -> Command {
    let built = OsStr::new(env!("CARGO_BIN_EXE_replicat")).to_owned();
    let mut command = Command::new(std::env::var_os("REPLICAT_TEST_COMMAND").unwrap_or(built));
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"REPLICAT_") {
            command.env_remove(name);
        }
    }
    // What is remembered of this host is of the tests' own.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null());
    command
}

/// The command in a process whose clock is ahead by so many days, or behind.
fn command_ahead(days: i64) -> Command {
    let plain = command();
    let mut command = Command::new("faketime");
    // What waits for a time to pass still does.
    command.args(["-m", "--exclude-monotonic", "-f"]);
    command.arg(format!("{days:+}d")).arg(plain.get_program());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// What a run of `sync --json` came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The objects of standard output.
    pub(crate) lines: Vec<Value>,
}

impl Outcome {
    /// Reads what a run with `--json` printed.
    pub(crate) fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let object = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
        };
        Self {
            code: output.status.code(),
            lines: text.lines().map(object).collect(),
        }
    }

    /// The last line, which is the summary.
    #[track_caller]
    pub(crate) fn summary(&self) -> &Value {
        let last = self.lines.last().unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(last["type"], "summary", "{self:?}");
        last
    }

    /// The error of the last of so many roots. The run ended with `alone` if it was one of two; else the others went on.
    #[track_caller]
    pub(crate) fn failure_of_last(&self, roots: usize, alone: i32) -> &Value {
        let code = if roots > 2 { 3 } else { alone };
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.summary()["exit_code"], code);
        assert!(!self.in_sync());
        let error = self.of_type_one("error");
        if roots > 2 {
            let listed = self.list("roots");
            assert_eq!(listed.len(), roots, "{self:#?}");
            let (last, others) = listed.split_last().unwrap();
            for member in ["kind", "message", "hint"] {
                assert_eq!(last["failure"][member], error[member], "{self:#?}");
            }
            assert_eq!(error["root"], last["root"], "{self:#?}");
            assert!(others.iter().all(|root| root["failure"].is_null()));
        }
        error
    }

    #[track_caller]
    fn of_type_one(&self, kind: &str) -> &Value {
        let mut found = self.lines.iter().filter(|line| line["type"] == kind);
        let first = found.next().unwrap_or_else(|| panic!("{self:#?}"));
        assert_eq!(found.next(), None, "{self:#?}");
        first
    }

    /// Whether all roots were proved equal.
    pub(crate) fn in_sync(&self) -> bool {
        self.summary()["in_sync"] == true
    }

    /// What the summary lists under `member`: conflicts, skipped, brakes, roots.
    pub(crate) fn list(&self, member: &str) -> &[Value] {
        self.summary()[member].as_array().unwrap()
    }

    /// The lines of a type.
    pub(crate) fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    /// The items with this change.
    pub(crate) fn items<'a>(&'a self, change: &'a str) -> Vec<&'a Value> {
        let items = self.of_type("item");
        items.filter(|item| item["change"] == change).collect()
    }

    /// A figure of the statistics.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let figure = &self.summary()["statistics"][name];
        figure
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {self:?}"))
    }

    /// How many paths all roots together changed.
    pub(crate) fn changes(&self) -> u64 {
        let kinds = ["created", "updated", "metadata", "deleted", "moved"];
        kinds.iter().map(|kind| self.figure(kind)).sum()
    }
}

impl World {
    /// Runs `sync --json` over these roots, in this order, without any check.
    pub(crate) fn run(&self, roots: &[usize], options: &[&str]) -> Outcome {
        let roots = roots.iter().map(|root| self.root(*root).as_os_str());
        let all = self.options.iter().map(OsStr::new);
        let given = options.iter().map(OsStr::new);
        let mut command = match self.clock_days.load(Ordering::Relaxed) {
            0 => command(),
            days => command_ahead(days),
        };
        command.arg("sync").arg("--json").args(all).args(given);
        command.arg("--").args(roots);
        Outcome::of(&command.output().unwrap())
    }
}
