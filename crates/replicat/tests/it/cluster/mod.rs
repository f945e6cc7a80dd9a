//! Running nodes over the roots of a [`World`]: a real process for each, on loopback.
//!
//! Whoever writes a test changes the roots as a user would and calls `settle`; at the end `finish` checks what must hold for
//! every scenario: all roots equal, no temporary name left, "in sync" said by all and never falsely, every process ended in
//! good order, and nothing left to do for a second pass. That nothing was lost is for the test to say.

mod node;
mod patience;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::world::{
    Kind, Tree, World, assert_no_temporary_names, command, contents, differences, differing,
};
pub(crate) use node::Node;
pub(crate) use patience::{Patience, until};

/// How long all must have been equal to count as quiet.
const QUIET: Duration = Duration::from_millis(300);
/// How long nothing must have changed, and in sync not have been said, before somebody looks why.
const DOUBT: Duration = Duration::from_secs(10);
/// How long a node lets a path settle at the most before it looks at it, and a little more.
const SETTLING: Duration = Duration::from_millis(600);
/// Nodes listen here: below the ports that outgoing connections are given.
const PORT: u16 = 8787;

/// Of how many paths that differ the nodes are asked why.
const REASONS_MAX: usize = 6;

static NEXT_HOST: AtomicU32 = AtomicU32::new(0);

/// Whether one node dials another.
type Dials = fn(usize, usize) -> bool;

/// Running nodes, and the world that they keep in sync.
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) nodes: Vec<Node>,
    /// Whether somebody gives up what all wait for and nobody has: it may have been lost with a state that went back.
    pub(crate) gives_up: bool,
    /// The node that only receives, if one does: nobody changes its root.
    pub(crate) receiver: Option<usize>,
}

impl Cluster {
    /// Nodes over the roots of a world, not started yet. `dials` says whether one node dials another.
    pub(crate) fn new(
        world: World,
        dials: impl Fn(usize, usize) -> bool,
        options: &[&str],
    ) -> Self {
        world.without_trash_check();
        let key = new_key();
        let count = world.count();
        let addresses: Vec<String> = (0..count).map(|_| free_address()).collect();
        let nodes = (0..count).map(|number| {
            let mut node = Node::new(&world, number, &addresses[number], &key);
            for other in (0..count).filter(|other| *other != number && dials(number, *other)) {
                let peer = format!("{}={}", node::name(other), addresses[other]);
                node.arguments.extend(["--node".to_owned(), peer]);
            }
            node.arguments
                .extend(options.iter().map(ToString::to_string));
            node
        });
        Self {
            nodes: nodes.collect(),
            world,
            gives_up: false,
            receiver: None,
        }
    }

    /// Has the last node only receive.
    pub(crate) fn last_only_receives(&mut self) {
        let mode = ("REPLICAT_MODE".to_owned(), "receive-only".to_owned());
        if let Some(last) = self.nodes.last_mut() {
            last.environment.push(mode);
            self.receiver = Some(self.nodes.len() - 1);
        }
    }

    /// The nodes whose changes others take.
    fn givers(&self) -> impl Iterator<Item = usize> {
        let receiver = self.receiver;
        (0..self.nodes.len()).filter(move |node| Some(*node) != receiver)
    }

    /// A scenario over two nodes, over three that all know each other, and over three in a chain: every node starts first.
    pub(crate) fn each(scenario: impl Fn(&mut Self)) {
        let shapes: [(&str, usize, Dials); 3] = [
            ("two nodes", 2, |_, _| true),
            ("a mesh of three", 3, |_, _| true),
            ("a chain of three", 3, |node, other| node == other + 1),
        ];
        for (shape, count, dials) in shapes {
            eprintln!("over {shape}");
            let mut cluster = Self::new(World::new(count), dials, &[]);
            cluster.start();
            scenario(&mut cluster);
        }
    }

    /// Starts every node that does not run, and lets those go on that were stopped.
    pub(crate) fn start(&mut self) {
        self.nodes.iter_mut().for_each(Node::start);
    }

    /// Waits until all roots are equal and stay so.
    #[track_caller]
    pub(crate) fn settle(&mut self) -> Tree {
        self.start();
        self.settle_some(&(0..self.nodes.len()).collect::<Vec<_>>())
    }

    /// The same for the roots of some nodes.
    #[track_caller]
    pub(crate) fn settle_some(&self, nodes: &[usize]) -> Tree {
        let mut patience = Patience::new();
        let mut equal_since: Option<Instant> = None;
        loop {
            let look = self.look(nodes);
            match look.trees.first() {
                Some(tree) if look.equal() => {
                    let since = *equal_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= QUIET {
                        return tree.clone();
                    }
                }
                _ => equal_since = None,
            }
            if !patience.lasts() {
                self.fail("not equal", &look);
            }
        }
    }

    /// Lets all settle, ends the nodes, and checks all that must hold after every scenario.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> Tree {
        self.start();
        self.mark();
        let tree = self.settle_claimed();
        assert_no_temporary_names(&tree);
        for node in &mut self.nodes {
            let code = node.end();
            assert_eq!(code, Some(0), "{}", self.logs());
        }
        self.assert_nothing_to_do();
        assert_eq!(self.world.tree(), tree, "a second pass changed something");
        tree
    }

    /// A sync of all roots by the command finds nothing to do. Only the time of the root directory itself may still be told:
    /// the mark that a node saw last is a change of it, which others may not have heard of when they ended.
    #[track_caller]
    fn assert_nothing_to_do(&self) {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let pass = self.world.sync(&all, &[]);
        assert!(pass.in_sync() && pass.code == Some(0), "{pass:#?}");
        let of_roots = |item: &serde_json::Value| item["path"] == "";
        assert!(pass.of_type("item").all(of_roots), "{pass:#?}");
        assert!(pass.list("conflicts").is_empty(), "{pass:#?}");
        self.world.assert_nothing_to_do(&all, &[]);
    }

    /// Puts a file into each root whose changes are taken. Who sees it elsewhere knows that the node has seen what was done before, too.
    fn mark(&self) {
        let started = Instant::now();
        until("paths have settled", || started.elapsed() >= SETTLING);
        for node in self.givers() {
            let root = self.world.root(node);
            fs::write(root.join(marker(node)), format!("from {node}")).unwrap();
        }
    }

    /// Waits until all are equal and say so. From when every mark is everywhere, they may not say so before.
    #[track_caller]
    fn settle_claimed(&self) -> Tree {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let mut patience = Patience::new();
        let mut marked = false;
        let mut still_since = Instant::now();
        let mut last = Vec::new();
        loop {
            // Before the look: a mark that comes amid it says nothing of what was looked at before.
            marked = marked || self.is_marked();
            let claimed = self.all_claim();
            let look = self.look(&all);
            if look.equal() && claimed {
                return look.trees[0].clone();
            }
            if marked && claimed && look.whole && self.all_claim() {
                self.fail("in sync was claimed falsely", &look);
            }
            if look.trees != last {
                last.clone_from(&look.trees);
                still_since = Instant::now();
            } else if self.gives_up && still_since.elapsed() >= DOUBT {
                self.givers()
                    .for_each(|node| self.nodes[node].give_up_missing());
                still_since = Instant::now();
            }
            if !patience.lasts() {
                self.fail("not equal, or not said to be", &look);
            }
        }
    }

    /// Whether every node says that it is in sync with all that it is connected to, and is connected.
    fn all_claim(&self) -> bool {
        let standings: Vec<_> = self.nodes.iter().map(Node::folder).collect();
        standings.iter().flatten().all(|folder| {
            let is_connected = folder["peers"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
            folder["in_sync"] == true && is_connected
        }) && standings.iter().all(Option::is_some)
    }

    fn is_marked(&self) -> bool {
        (self.world.roots().iter())
            .all(|root| self.givers().all(|node| root.join(marker(node)).exists()))
    }

    fn look(&self, nodes: &[usize]) -> Look {
        for node in nodes {
            self.nodes[*node].approve_brake();
        }
        let roots = nodes.iter().map(|node| self.world.root(*node));
        let walked: Vec<_> = roots.map(|root| self.world.try_tree(root)).collect();
        Look {
            whole: walked.iter().all(Result::is_ok),
            trees: walked.into_iter().flatten().collect(),
        }
    }

    #[track_caller]
    fn fail(&self, what: &str, look: &Look) -> ! {
        let pairs = look.trees.windows(2);
        let differences: Vec<_> = pairs.map(|pair| differences(&pair[0], &pair[1])).collect();
        let standings: Vec<_> = self.nodes.iter().map(Node::folder).collect();
        let reasons = self.reasons(look);
        panic!(
            "{what}: {differences:#?}\n{standings:#?}\n{reasons}\n{}",
            self.logs()
        )
    }

    /// What each node says of the first paths that differ, or of which some say that they are not done with them.
    fn reasons(&self, look: &Look) -> String {
        let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
        let pairs = look.trees.windows(2);
        let differ: BTreeSet<String> = pairs
            .flat_map(|pair| differing(&pair[0], &pair[1]))
            .map(|path| text(&path))
            .take(REASONS_MAX)
            .collect();
        let all: BTreeSet<String> = look
            .trees
            .iter()
            .flat_map(|tree| tree.keys().map(text))
            .collect();
        let mut reasons = String::new();
        for path in &all {
            let answers: Vec<String> = self.nodes.iter().map(|node| node.explain(path)).collect();
            let are_done = answers
                .iter()
                .all(|answer| answer.contains("all replicas agreed"));
            if differ.contains(path) || !are_done {
                reasons.push_str(&answers.concat());
            }
        }
        reasons
    }

    /// What the nodes noted.
    pub(crate) fn logs(&self) -> String {
        self.nodes.iter().map(Node::log).collect()
    }

    /// What files of all roots hold, trash and staging included.
    pub(crate) fn held(&self) -> Vec<Vec<u8>> {
        let roots = self.world.roots().iter();
        roots.flat_map(|root| contents(root)).collect()
    }

    /// Waits until a path of a root holds this.
    #[track_caller]
    pub(crate) fn arrives(&self, root: usize, path: &str, content: &str) {
        let place = self.world.path(root, path);
        let mut patience = Patience::new();
        while fs::read(&place).ok().as_deref() != Some(content.as_bytes()) {
            let logs = || self.logs();
            assert!(
                patience.lasts(),
                "{path} does not come to {root}: {}",
                logs()
            );
        }
    }

    /// Waits until nothing is at a path of a root.
    #[track_caller]
    pub(crate) fn goes(&self, root: usize, path: &str) {
        until(&format!("{path} goes from {root}"), || {
            !self.world.exists(root, path)
        });
    }
}

/// What the roots hold at a moment.
struct Look {
    trees: Vec<Tree>,
    /// Nothing vanished while they were looked at.
    whole: bool,
}

impl Look {
    fn equal(&self) -> bool {
        self.whole && self.trees.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// Whether some file of a tree holds this.
pub(crate) fn holds(tree: &Tree, content: &str) -> bool {
    let content = Kind::File(content.as_bytes().to_vec());
    tree.values().any(|node| node.kind == content)
}

const MARK: &str = "mark-of-";

fn marker(node: usize) -> String {
    format!("{MARK}{node}")
}

/// Whether `finish` put a file there.
pub(crate) fn is_mark(path: &str) -> bool {
    path.starts_with(MARK)
}

/// A cluster key.
pub(crate) fn new_key() -> String {
    let made = command().arg("keygen").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// An address that stays free while a node is down: of a loopback host that nobody else has.
fn free_address() -> String {
    loop {
        let seed = (
            std::process::id(),
            NEXT_HOST.fetch_add(1, Ordering::Relaxed),
        );
        let hash = blake3::hash(format!("{seed:?}").as_bytes());
        let [first, second, third, ..] = *hash.as_bytes();
        let host = Ipv4Addr::new(127, first, second, third);
        if !host.is_broadcast() && TcpListener::bind((host, PORT)).is_ok() {
            return format!("{host}:{PORT}");
        }
    }
}
