//! What the tests borrow from the machine: its tools, mounts, and an ordinary user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::{Outcome, World, command};

/// Set in continuous integration, where every test must run.
const STRICT: &str = "REPLICAT_TESTS_STRICT";
/// The user `nobody`, and the group, of most systems.
const NOBODY: u32 = 65_534;

/// Whether a test may go on, given what it needs; if not, it says so. Where every test must run, it fails.
#[track_caller]
pub(crate) fn has(needed: &str, given: bool) -> bool {
    let strict = std::env::var_os(STRICT).is_some_and(|value| !value.is_empty());
    assert!(given || !strict, "{needed} is needed");
    if !given {
        eprintln!("NOT TESTED: {needed} is needed");
    }
    given
}

/// Whether the tests may do what only root may.
#[track_caller]
pub(crate) fn has_root() -> bool {
    has("root", rustix::process::geteuid().is_root())
}

/// Whether a program can be started.
#[track_caller]
pub(crate) fn has_program(name: &str) -> bool {
    let mut command = Command::new(name);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    has(name, command.status().is_ok())
}

/// Runs a tool of the system, which must succeed; what it printed.
#[track_caller]
pub(crate) fn tool<W: AsRef<OsStr>>(name: &str, words: impl IntoIterator<Item = W>) -> String {
    let output = Command::new(name).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Something mounted, until this is dropped.
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts a filesystem in memory of a limited size, in the words of `mount -o size=`.
    pub(crate) fn memory(at: &Path, size: &str) -> Self {
        Self::new(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at)
    }

    /// Gives a filesystem in memory another size.
    pub(crate) fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        tool(
            "mount",
            [OsStr::new("-o"), options.as_ref(), self.at.as_os_str()],
        );
    }

    /// Lets nobody write to a filesystem, or everybody again.
    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        let options = if is_read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        tool(
            "mount",
            [OsStr::new("-o"), options.as_ref(), self.at.as_os_str()],
        );
    }

    /// Shows a file or directory at another place too.
    pub(crate) fn bind(from: &Path, at: &Path) -> Self {
        Self::new([OsStr::new("--bind"), from.as_os_str()], at)
    }

    /// Mounts an image of a disk.
    pub(crate) fn image(image: &Path, at: &Path) -> Self {
        Self::new(
            [OsStr::new("-o"), OsStr::new("loop"), image.as_os_str()],
            at,
        )
    }

    /// Shows a directory at another place, by a process that passes on each call.
    pub(crate) fn passed_on(from: &Path, at: &Path) -> Self {
        tool("bindfs", [from, at]);
        Self { at: at.to_owned() }
    }

    /// Makes an exFAT filesystem, and mounts it by the process that serves it. It needs a device.
    pub(crate) fn exfat(image: &Path, at: &Path) -> Self {
        fs::File::create(image).unwrap().set_len(32 << 20).unwrap();
        tool("mkfs.exfat", [image]);
        let words = ["--find", "--show"].map(OsStr::new);
        let device = tool("losetup", words.into_iter().chain([image.as_os_str()]));
        let device = device.trim();
        tool("mount.exfat-fuse", [OsStr::new(device), at.as_os_str()]);
        // It goes when the filesystem is unmounted.
        tool("losetup", ["--detach", device]);
        Self { at: at.to_owned() }
    }

    fn new<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>, at: &Path) -> Self {
        let mut mount: Vec<_> = words
            .into_iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        mount.push(at.as_os_str().to_owned());
        tool("mount", mount);
        Self { at: at.to_owned() }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that a failed test left behind must not keep it.
        let unmount = |words: &[&str]| Command::new("umount").args(words).arg(&self.at).status();
        if !unmount(&[]).is_ok_and(|status| status.success()) {
            let _ = unmount(&["--lazy"]);
        }
    }
}

/// A user who is not root: the one that runs the tests, or else nobody.
pub(crate) struct OrdinaryUser {
    program: PathBuf,
}

impl OrdinaryUser {
    /// Makes the roots of a world the user's own.
    pub(crate) fn of(world: &World) -> Self {
        let program = world.beside("replicat-for-all");
        fs::copy(env!("CARGO_BIN_EXE_replicat"), &program).unwrap();
        if rustix::process::geteuid().is_root() {
            let above = program.parent().unwrap();
            fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
            world.roots().iter().for_each(|root| own(root));
        }
        Self { program }
    }

    /// A command as this user.
    pub(crate) fn command(&self) -> Command {
        if !rustix::process::geteuid().is_root() {
            return command();
        }
        let mut command = command();
        let variables: Vec<_> = command
            .get_envs()
            .map(|(name, _)| name.to_owned())
            .collect();
        command = Command::new("setpriv");
        for name in &variables {
            command.env_remove(name);
        }
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.arg(&self.program).stdin(Stdio::null());
        command
    }

    /// Runs `sync --json` as this user, without any check.
    pub(crate) fn sync(&self, world: &World) -> Outcome {
        let mut command = self.command();
        command.args(["sync", "--json"]).args(world.roots());
        Outcome::of(&command.output().unwrap())
    }

    /// Runs a sync that must come to its end, and a second that must have nothing to do.
    #[track_caller]
    pub(crate) fn settle(&self, world: &World) {
        let outcome = self.sync(world);
        assert!(outcome.in_sync(), "{outcome:#?}");
        world.tree();
        let again = self.sync(world);
        assert!(again.in_sync(), "{again:#?}");
        world.assert_idle(&again);
    }
}

/// Gives a tree to the ordinary user.
pub(crate) fn own(tree: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    chown(tree, Some(NOBODY), Some(NOBODY)).unwrap();
    if tree.is_dir() {
        for entry in fs::read_dir(tree).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}
