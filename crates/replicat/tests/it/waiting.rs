//! Several processes that want one root.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use replicat_fs::root::Root;
use replicat_fs::state::StateDirectory;
use serde_json::Value;

use crate::cluster::{Cluster, until};
use crate::world::{World, command};

/// A root that this process works on.
fn lock(world: &World, root: usize) -> StateDirectory {
    let root = Root::open(world.root(root)).unwrap();
    StateDirectory::open(&root, None).unwrap()
}

fn sync(world: &World, options: &[&str]) -> Command {
    let mut command = command();
    command.arg("sync").args(options).args(world.roots());
    command
}

/// The error of a sync that is refused.
#[track_caller]
fn refused(world: &World, options: &[&str]) -> Value {
    let output = sync(world, options).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let error: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(error["kind"], "locked", "{error}");
    error
}

/// A sync that waits.
struct Waiting {
    child: Child,
    errors: BufReader<ChildStderr>,
}

impl Waiting {
    fn start(mut command: Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self { child, errors }
    }

    /// Returns when it says that it waits.
    #[track_caller]
    fn says_so(&mut self) {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        assert!(line.starts_with("waiting: "), "{line}");
    }
}

#[test]
fn sync_of_a_locked_root_names_the_holder() {
    let world = World::new(2);
    let _held = lock(&world, 1);
    for options in [&[][..], &["--wait=1s"]] {
        let error = refused(&world, options);
        let process = std::process::id();
        assert_eq!(error["holder"]["process"], process, "{error}");
        assert!(error["holder"]["since"].is_string(), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&process.to_string()), "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("--wait"), "{error}");
    }
}

#[test]
fn sync_with_wait_goes_on_when_the_lock_is_free() {
    let world = World::new(2);
    world.write(0, "file", "content");
    let held = lock(&world, 1);
    let mut waiting = Waiting::start(sync(&world, &["--wait"]));
    waiting.says_so();
    assert!(!world.exists(1, "file"));
    drop(held);
    assert_eq!(waiting.child.wait().unwrap().code(), Some(0));
    assert_eq!(world.read(1, "file"), "content");
}

/// Another run takes the roots for a moment, before the watch begins and while it watches.
#[test]
fn watch_waits_for_another_run() {
    let world = World::new(2);
    world.write(0, "first", "content");
    let held = lock(&world, 0);
    let mut watch = Waiting::start(sync(&world, &["--watch"]));
    watch.says_so();
    drop(held);
    until("the first file comes", || world.exists(1, "first"));
    let held = loop {
        // The watch holds its lock for a moment at a time.
        let root = Root::open(world.root(1)).unwrap();
        if let Ok(held) = StateDirectory::open(&root, None) {
            break held;
        }
    };
    world.write(0, "second", "content");
    watch.says_so();
    drop(held);
    until("the second file comes", || world.exists(1, "second"));
    watch.child.kill().unwrap();
    watch.child.wait().unwrap();
}

#[test]
fn sync_of_a_root_that_a_node_serves_names_the_node() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    cluster.settle();
    for options in [&[][..], &["--watch"]] {
        let error = refused(&cluster.world, options);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("replicat serve --name n0"), "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("n0.sock"), "{error}");
    }
    cluster.finish();
}

#[test]
fn stopped_node_holds_up_no_command_about_another() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "file", "text");
    cluster.arrives(1, "file", "text");
    cluster.nodes[0].stop();
    // As if both ran for one user.
    let [stopped, runs] = [0, 1].map(|node| cluster.nodes[node].socket());
    std::os::unix::fs::symlink(stopped, runs.with_file_name("n0.sock")).unwrap();
    let mut why = command();
    why.arg("why").arg(cluster.world.path(1, "file"));
    let runtime = runs.ancestors().nth(2).unwrap();
    why.env("XDG_RUNTIME_DIR", runtime);
    let output = why.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("this root holds it"), "{told}");
    cluster.finish();
}
