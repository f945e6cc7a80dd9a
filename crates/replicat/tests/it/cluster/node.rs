//! One process that serves a root.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::world::{World, command};

/// How long a node may take to answer at its local socket.
const ANSWER: Duration = Duration::from_secs(10);

/// A node: how it is started, and its process while it runs.
pub(crate) struct Node {
    pub(crate) root: PathBuf,
    pub(crate) address: String,
    /// What it is started with.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    name: String,
    beside: PathBuf,
    state: State,
}

/// What becomes of the process.
enum State {
    Down,
    Runs(Child),
    /// It got SIGSTOP.
    Stopped(Child),
}

pub(super) fn name(number: usize) -> String {
    format!("n{number}")
}

impl Node {
    pub(super) fn new(world: &World, number: usize, address: &str, key: &str) -> Self {
        let name = name(number);
        let root = world.root(number).to_owned();
        let directory = root.display().to_string();
        let arguments = ["serve", "--name", &name, "--directory", &directory];
        let arguments = arguments.into_iter().chain(["--address", address]);
        Self {
            arguments: arguments.map(ToOwned::to_owned).collect(),
            environment: vec![("REPLICAT_CLUSTER_KEY".to_owned(), key.to_owned())],
            address: address.to_owned(),
            beside: world.beside(&name),
            name,
            root,
            state: State::Down,
        }
    }

    /// What starts it.
    pub(crate) fn command(&self) -> Command {
        let mut command = command();
        self.prepare(command.args(&self.arguments));
        command
    }

    /// Gives a command the node's variables and its log.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log = log.unwrap();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .env("XDG_RUNTIME_DIR", &self.beside)
            .stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
    }

    /// Starts it, or lets it go on, if it does not run.
    pub(crate) fn start(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Down) {
            State::Down => State::Runs(self.command().spawn().unwrap()),
            State::Stopped(process) => {
                send(&process, Signal::SIGCONT);
                State::Runs(process)
            }
            running @ State::Runs(_) => running,
        };
    }

    /// Starts it by a command of the test's own.
    pub(crate) fn start_by(&mut self, mut command: Command) {
        self.prepare(&mut command);
        self.state = State::Runs(command.spawn().unwrap());
    }

    /// Kills it without warning.
    pub(crate) fn kill(&mut self) {
        if let State::Runs(mut process) | State::Stopped(mut process) =
            std::mem::replace(&mut self.state, State::Down)
        {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Lets it do nothing until it is started again.
    pub(crate) fn stop(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Down) {
            State::Runs(process) => {
                send(&process, Signal::SIGSTOP);
                State::Stopped(process)
            }
            other => other,
        };
    }

    /// Ends it in good order; its exit code. Nothing if it does not run.
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.start_if_stopped();
        let State::Runs(mut process) = std::mem::replace(&mut self.state, State::Down) else {
            return None;
        };
        send(&process, Signal::SIGTERM);
        process.wait().unwrap().code()
    }

    /// Waits until it ends by itself; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        match std::mem::replace(&mut self.state, State::Down) {
            State::Runs(mut process) => process.wait().unwrap().code(),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn start_if_stopped(&mut self) {
        if matches!(self.state, State::Stopped(_)) {
            self.start();
        }
    }

    /// Gives another value to an option that it is started with.
    pub(crate) fn set(&mut self, option: &str, value: &str) {
        let place = self
            .arguments
            .iter()
            .position(|word| word == option)
            .unwrap();
        value.clone_into(&mut self.arguments[place + 1]);
    }

    /// How many bytes came over its links, by its own count.
    pub(crate) fn received(&self) -> u64 {
        let peers = self.ask(r#"{"command":"nodes"}"#).unwrap_or_default();
        peers
            .iter()
            .filter_map(|peer| peer["bytes_received"].as_u64())
            .sum()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.beside.join(format!("replicat/{}.sock", self.name))
    }

    /// What it answers to a command in JSON, if it does.
    pub(crate) fn ask(&self, command: &str) -> Option<Vec<Value>> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        writeln!(stream, "{command}").ok()?;
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// How its folder stands.
    pub(crate) fn folder(&self) -> Option<Value> {
        if !matches!(self.state, State::Runs(_)) {
            return None;
        }
        let answers = self.ask(r#"{"command":"folders"}"#)?;
        answers
            .into_iter()
            .find(|answer| answer["type"] == "folder")
    }

    /// What it knows of a path, and why that is as it is there.
    pub(super) fn explain(&self, path: &str) -> String {
        let folder = self.folder().unwrap_or_default();
        let answers = ["why", "history"].map(|command| {
            let command = serde_json::json!({
                "command": command, "folder": folder["name"], "path": path,
            });
            let answers = self.ask(&command.to_string()).unwrap_or_default();
            let lines = answers.iter().map(|answer| format!("  {answer}\n"));
            lines.collect::<String>()
        });
        format!("{} of {path:?}:\n{}", self.name, answers.concat())
    }

    /// Users do mean to delete so much.
    pub(crate) fn approve_brake(&self) {
        if self
            .folder()
            .is_some_and(|folder| !folder["brake"].is_null())
        {
            self.ask(r#"{"command":"approve","folder":null}"#);
        }
    }

    /// Somebody gives up all that it waits for and nobody has.
    pub(super) fn give_up_missing(&self) {
        let folder = self.folder().unwrap_or_default();
        let skipped = folder["skipped"].as_array().into_iter().flatten();
        for row in skipped.filter(|row| row["kind"] == "content-missing") {
            let command = serde_json::json!({
                "command": "resolve", "folder": folder["name"], "path": row["path"], "keep": "local",
            });
            eprintln!("{} gives up {}", self.name, row["path"]);
            self.ask(&command.to_string());
        }
    }

    fn log_path(&self) -> PathBuf {
        self.beside.with_extension("log")
    }

    /// What it noted.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        format!(
            "== {} of {}\n{log}",
            self.name,
            Path::new(&self.root).display()
        )
    }
}

fn send(process: &Child, signal: Signal) {
    let id = Pid::from_raw(process.id().try_into().unwrap());
    kill(id, signal).unwrap();
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
