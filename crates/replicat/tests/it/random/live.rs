//! Random histories over running nodes: users change the roots at will while processes keep them in sync, are killed,
//! stopped for a while, and started again. In the end the five conditions must hold: all roots are equal, nothing that nobody
//! replaced is gone, no temporary name is left, a second pass changes nothing, and "in sync" was never said falsely.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::filesystems;
use super::history::change;
use super::ledger::Ledger;
use super::scopes::{ScopeChange, Scopes};
use super::step::{IGNORED, Random, Step};
use crate::cluster::{Cluster, Node};
use crate::world::World;

/// How long users wait between two steps at the most, in milliseconds.
const PAUSE_MS_MAX: u64 = 40;
const STEPS_MAX: u64 = 50;
/// What nodes note: more than usual, for when a history fails.
const LOG: &str = "warn,replicat_server=info,replicat_net=info,replicat_engine=debug";

/// How the nodes of a history know each other.
#[derive(Clone, Copy, Debug)]
enum Topology {
    Mesh,
    Star,
    Chain,
}

impl Topology {
    /// Whether one node dials another.
    fn joins(self, node: usize, other: usize) -> bool {
        match self {
            Self::Mesh => node != other,
            Self::Star => node != other && other == 0,
            Self::Chain => node == other + 1,
        }
    }
}

/// What processes suffer.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    /// Killed, and started again at once.
    Restart(usize),
    /// Killed, and down until the next disturbance but one or so.
    Kill(usize),
    /// All at once, as when the power fails.
    KillAll,
    /// Ended in good order, and started again.
    End(usize),
    /// Does nothing for a while.
    Stop(usize),
    /// Who is down or stopped goes on.
    Heal,
    /// Nothing, until all are equal.
    Settle,
}

impl Disturbance {
    fn random(random: &mut Random, nodes: usize) -> Self {
        let node = random.index(nodes);
        match random.below(20) {
            0..6 => Self::Restart(node),
            6..9 => Self::Kill(node),
            9 => Self::KillAll,
            10..12 => Self::End(node),
            12..15 => Self::Stop(node),
            15..18 => Self::Heal,
            _ => Self::Settle,
        }
    }

    fn happen(self, cluster: &mut Cluster) {
        match self {
            Self::Restart(node) => {
                cluster.nodes[node].kill();
                cluster.nodes[node].start();
            }
            Self::Kill(node) => cluster.nodes[node].kill(),
            Self::KillAll => {
                cluster.nodes.iter_mut().for_each(Node::kill);
                cluster.start();
            }
            Self::End(node) => {
                cluster.nodes[node].end();
                cluster.nodes[node].start();
            }
            Self::Stop(node) => cluster.nodes[node].stop(),
            Self::Heal => cluster.start(),
            Self::Settle => drop(cluster.settle()),
        }
    }

    /// How many processes it kills.
    fn kills(self, nodes: usize) -> usize {
        match self {
            Self::Restart(_) | Self::Kill(_) => 1,
            Self::KillAll => nodes,
            _ => 0,
        }
    }
}

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Happening {
    User(Step),
    Process(Disturbance),
    Scope(ScopeChange),
}

/// How many histories were played, and what they came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    histories: u64,
    steps: u64,
    scopes: u64,
    kills: usize,
    failed: Vec<u64>,
}

impl Tally {
    /// Plays histories from a seed on, as many as are wanted, or for as long; fails if one did, after all were played.
    pub(super) fn play(first: u64, count: u64, seconds: Option<u64>) {
        let started = Instant::now();
        let mut tally = Self::default();
        for seed in first.. {
            let enough = match seconds {
                Some(seconds) => started.elapsed().as_secs() >= seconds,
                None => seed - first >= count,
            };
            if enough {
                break;
            }
            tally.play_one(seed);
        }
        let took = started.elapsed();
        eprintln!("from seed {first} on, in {took:.1?}: {tally:?}");
        assert!(tally.failed.is_empty(), "failed: {:?}", tally.failed);
    }

    fn play_one(&mut self, seed: u64) {
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| play(seed, self)));
        self.histories += 1;
        if result.is_err() {
            self.failed.push(seed);
        }
        let outcome = if result.is_ok() { "holds" } else { "FAILS" };
        eprintln!("seed {seed} {outcome} after {:.1?}", started.elapsed());
    }
}

/// A cluster as the seed has it, not started.
fn cluster(random: &mut Random) -> Cluster {
    let mut world = World::new(2 + random.index(3));
    let topology = [Topology::Mesh, Topology::Star, Topology::Chain][random.index(3)];
    let mut options = Vec::new();
    let pattern = format!("*{IGNORED}");
    if random.below(4) == 0 {
        random.name_ignored();
        world.ignore(&[IGNORED]);
        options = vec!["--exclude", &pattern];
    }
    let world = world.with(&options);
    let mut cluster = Cluster::new(world, |node, other| topology.joins(node, other), &options);
    for node in &mut cluster.nodes {
        node.environment.push(("REPLICAT_LOG".into(), LOG.into()));
    }
    if random.below(4) == 0 {
        cluster.last_only_receives();
    }
    // Most do without flushing, which is faster; then a kill takes their index back some way, maybe to before a file that was
    // announced, and that the user has replaced since. Who only receives would take what it has forgotten for changes made
    // there, which nobody else takes.
    if random.below(4) != 0 {
        cluster.gives_up = true;
        let receiver = cluster.receiver;
        let nodes = cluster.nodes.iter_mut().enumerate();
        for (_, node) in nodes.filter(|(number, _)| Some(*number) != receiver) {
            node.environment
                .push(("REPLICAT_DURABILITY".into(), "none".into()));
        }
    }
    cluster
}

fn happenings(random: &mut Random, nodes: usize) -> Vec<Happening> {
    let count = 10 + random.below(STEPS_MAX);
    // In half of the histories, scopes change.
    let scopes = 14 + random.below(2) * 12;
    // Small numbers are for contents that are written more than once.
    let happening = |number| match random.below(100) {
        0..14 => Happening::Process(Disturbance::random(random, nodes)),
        chance if chance < scopes => Happening::Scope(ScopeChange::random(random, nodes)),
        _ => Happening::User(Step::random_live(random, nodes, number)),
    };
    (10..10 + count).map(happening).collect()
}

/// Plays the history of a seed.
fn play(seed: u64, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let mut cluster = cluster(&mut random);
    let _mounts = filesystems::mounted(&cluster.world, seed);
    let nodes = cluster.nodes.len();
    let mut ledger = Ledger::default();
    let scopes = Scopes::of(&cluster);
    let mut differ = false;
    cluster.start();
    // Some users type fast, others do much at once.
    let pause_ms_max = [1, PAUSE_MS_MAX, 4 * PAUSE_MS_MAX][random.index(3)];
    for happening in happenings(&mut random, nodes) {
        tally.steps += 1;
        // For when it fails.
        eprintln!("seed {seed}: {happening:?}");
        match happening {
            Happening::Scope(change) => {
                tally.scopes += 1;
                differ = true;
                scopes.change(&mut cluster, &change);
            }
            // They cannot become equal while their scopes differ.
            Happening::Process(Disturbance::Settle) if differ => cluster.start(),
            Happening::Process(disturbance) => {
                tally.kills += disturbance.kills(nodes);
                disturbance.happen(&mut cluster);
            }
            Happening::User(step)
                if cluster.receiver.is_some() && step.root() == cluster.receiver => {}
            // What cannot be done is left out.
            Happening::User(step) => drop(change(&cluster.world, &mut ledger, &step)),
        }
        std::thread::sleep(Duration::from_millis(random.below(pause_ms_max)));
    }
    // One is killed while the others bring all to an end.
    let last = random.index(nodes);
    cluster.start();
    std::thread::sleep(Duration::from_millis(random.below(4 * PAUSE_MS_MAX)));
    cluster.nodes[last].kill();
    tally.kills += 1;
    cluster.start();
    if differ {
        scopes.lift(&mut cluster);
    }
    cluster.finish();
    // A user may have replaced what had only just come, so that trashes count.
    let missing = ledger.missing(&cluster.held());
    let logs = || cluster.logs();
    assert!(
        missing.is_empty(),
        "seed {seed}: lost: {missing:?}\n{}",
        logs()
    );
    // That heals itself, and is a fault of who told it all the same.
    let fault = "did not go on with what it was telling";
    assert!(!logs().contains(fault), "seed {seed}: {}", logs());
}
