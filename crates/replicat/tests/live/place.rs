//! A place of its own for each test, and the processes that run there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A place with a cluster key in the file `key`.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        assert_code(&place.run(&["keygen", "--output", "key"]), 0);
        place
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replicat"));
        for (name, _) in std::env::vars_os() {
            if name.as_bytes().starts_with(b"REPLICAT_") {
                command.env_remove(name);
            }
        }
        command.args(words).current_dir(self.0.path());
        command.env("XDG_RUNTIME_DIR", self.0.path());
        command.env("XDG_STATE_HOME", self.path("state"));
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts a node, and waits until it has started.
    pub(crate) fn serve(&self, words: &[&str]) -> Node {
        let mut all = vec!["serve", "--json", "--cluster-key-file", "key", "--create"];
        all.extend(words);
        self.start(&all, words[1])
    }

    /// Starts what serves, and waits until it says so. Its log goes by `name`.
    pub(crate) fn start(&self, words: &[&str], name: &str) -> Node {
        let log = fs::File::create(self.path(format!("log-{name}"))).unwrap();
        let child = self
            .command(words)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut child = child.unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let log = || self.read(format!("log-{name}"));
        let started: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{name}: {line}{:?}", log()));
        let address = started["address"].as_str().unwrap_or_default().to_owned();
        let http = started["http"].as_str().unwrap_or_default().to_owned();
        Node {
            child,
            address,
            http,
        }
    }

    /// Starts a node that keeps the folder `site` in the directory of its name.
    pub(crate) fn node(&self, name: &str, dials: Option<&Node>) -> Node {
        let directory = format!("site={name}");
        let mut words = vec!["--name", name, "--directory", &directory];
        words.extend(["--address", "127.0.0.1:0"]);
        if let Some(other) = dials {
            words.extend(["--node", &other.address]);
        }
        self.serve(&words)
    }

    /// Starts a manager that serves HTTP.
    pub(crate) fn http_manager(&self) -> Node {
        let here = "127.0.0.1:0";
        let words = [
            "manager",
            "serve",
            "--json",
            "--address",
            here,
            "--http",
            here,
        ];
        self.start(&words, "manager")
    }

    pub(crate) fn arrives(&self, path: &str, content: &str) {
        until(&format!("{path} holds {content}"), || {
            self.read(path).as_deref() == Some(content)
        });
    }

    /// The object that a command prints with `--json`.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        assert_code(&output, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    }
}

/// A process that serves; it is killed when it is dropped.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// Where it serves HTTP, if it does.
    pub(crate) http: String,
}

impl Node {
    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(id, signal).unwrap();
    }

    pub(crate) fn end(mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < PATIENCE,
            "it does not come about that {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (standard, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{standard}{error}");
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
