//! Who competes, how each is told to make `target` like `source`, and what it promises to keep.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::measure::Invocation;

/// A tool that brings one directory to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// `replicat sync`.
    Replicat,
    /// `rsync -a`, which copies changed files whole.
    Rsync,
    /// `rsync -a --no-whole-file`, which looks for what did not change.
    RsyncDelta,
    /// `cp -a`: the limit of copying file by file.
    Copy,
    /// `tar | tar`: the limit of streaming.
    Tar,
    /// `unison -batch`.
    Unison,
    /// `find -printf` with sizes and times: the limit of a scan.
    Find,
}

/// Two directories on one filesystem, and a place for a tool's own state.
#[derive(Debug)]
pub(crate) struct Sides {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) state: PathBuf,
}

impl Sides {
    /// The sides on the filesystem mounted at `root`.
    pub(crate) fn on(root: &Path) -> Self {
        Self {
            source: root.join("source"),
            target: root.join("target"),
            state: root.join("state"),
        }
    }
}

/// The programs that are there.
#[derive(Debug)]
pub(crate) struct Tools {
    replicat: PathBuf,
}

impl Contender {
    /// Its name in tables and on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The options by which rsync compares what this contender promises to keep; `None` if it writes
    /// nothing.
    pub(crate) fn promise(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Replicat | Self::Copy => Some(&["-aHAXnc"]),
            Self::Tar => Some(&["-aHnc"]),
            Self::Rsync | Self::RsyncDelta => Some(&["-anc"]),
            Self::Unison => Some(&["-anc", "--omit-dir-times", "--omit-link-times"]),
            Self::Find => None,
        }
    }

    /// A difference, as rsync puts it, that does not count: replicat keeps its state within the root,
    /// which touches the root's time.
    pub(crate) fn tolerated(self) -> Option<&'static str> {
        (self == Self::Replicat).then_some(".d..t...... ./")
    }

    fn program(self) -> &'static str {
        match self {
            Self::Replicat => "replicat",
            Self::Rsync | Self::RsyncDelta => "rsync",
            Self::Copy => "cp",
            Self::Tar => "tar",
            Self::Unison => "unison",
            Self::Find => "find",
        }
    }
}

impl Tools {
    /// Looks for the programs; `replicat` is the path of that one.
    pub(crate) fn find(replicat: &Path) -> Self {
        Self {
            // Absolute: it is run from elsewhere.
            replicat: std::path::absolute(replicat).unwrap_or_else(|_| replicat.to_owned()),
        }
    }

    /// What is not there, by name.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut programs: Vec<_> = Contender::value_variants()
            .iter()
            .filter(|contender| !self.has(**contender))
            .map(|contender| match contender {
                Contender::Replicat => format!("replicat, at {}", self.replicat.display()),
                other => other.program().to_owned(),
            })
            .collect();
        programs.dedup();
        programs
    }

    /// Whether `contender` can run.
    pub(crate) fn has(&self, contender: Contender) -> bool {
        match contender {
            Contender::Replicat => self.replicat.is_file(),
            other => is_in_path(other.program()),
        }
    }

    /// How `contender` is told to make the target like the source.
    pub(crate) fn invocation(&self, contender: Contender, sides: &Sides) -> Invocation {
        let (source, target) = (sides.source.as_os_str(), sides.target.as_os_str());
        let (from, to) = (with_slash(source), with_slash(target));
        let command: Vec<&OsStr> = match contender {
            Contender::Replicat => {
                let replicat = self.replicat.as_os_str();
                let mut command = words(&["sync", "-q"]);
                command.insert(0, replicat);
                if !sides.target.exists() {
                    command.push(OsStr::new("--create"));
                }
                [command, vec![source, target]].concat()
            }
            Contender::Rsync => [words(&["rsync", "-a", "--delete"]), vec![&from, &to]].concat(),
            Contender::RsyncDelta => {
                let options = words(&["rsync", "-a", "--delete", "--no-whole-file"]);
                [options, vec![&from, &to]].concat()
            }
            Contender::Copy => [words(&["cp", "-a"]), vec![source, target]].concat(),
            Contender::Tar => {
                let script = "mkdir \"$2\" && tar -C \"$1\" -cf - . | tar -C \"$2\" -xf -";
                [words(&["sh", "-c", script, "sh"]), vec![source, target]].concat()
            }
            Contender::Unison => {
                let options = words(&[
                    "-batch",
                    "-silent",
                    "-times",
                    "-perms=-1",
                    "-owner",
                    "-group",
                    "-numericids",
                ]);
                [words(&["unison"]), vec![source, target], options].concat()
            }
            Contender::Find => {
                let format = words(&["-printf", "%s %T@ %C@\n"]);
                [words(&["find"]), vec![source, target], format].concat()
            }
        };
        Invocation {
            command: command.into_iter().map(OsStr::to_owned).collect(),
            environment: vec![("UNISON", sides.state.clone().into_os_string())],
        }
    }

    /// The second pass that only confirms, for the contender that can tell.
    pub(crate) fn confirmation(&self, sides: &Sides) -> Invocation {
        let replicat = self.replicat.as_os_str();
        let sides = [sides.source.as_os_str(), sides.target.as_os_str()];
        let command = [vec![replicat], words(&["sync", "--json"]), sides.to_vec()].concat();
        Invocation {
            command: command.into_iter().map(OsStr::to_owned).collect(),
            environment: Vec::new(),
        }
    }
}

/// Whether a program is where programs are looked for.
pub(crate) fn is_in_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|directory| directory.join(program).is_file())
    })
}

fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

/// rsync takes a path that ends in a slash for what is in it.
fn with_slash(path: &OsStr) -> OsString {
    let mut path = path.to_owned();
    path.push("/");
    path
}
