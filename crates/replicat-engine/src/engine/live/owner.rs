//! The owner of a live folder: takes everything that happens in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, never};
use replicat_core::path::RelPath;
use replicat_core::version::VersionVector;
use replicat_fs::echo::Echoes;
use replicat_fs::filter::Filter;
use replicat_fs::watch::{WatchEvent, Watcher};

use super::bringing::RETRY_PAUSE_MIN;
use super::connected::Peer;
use super::handle::Shared;
use super::observing::Hints;
use super::peer::{Connection, Parcel, PeerNumber, Trust};
use super::recovery::Recovery;
use super::restless::Restless;
use super::reverting::Reverting;
use super::settings::{FolderMode, LiveSettings};
use super::status::{FolderState, FolderStatus, Listener};
use super::steering::Order;
use super::tally::Tally;
use super::telling::{Gathering, new_status};
use super::verifying::Verification;
use crate::engine::deletions::Pace;
use crate::engine::gleaned::Gleaned;
use crate::engine::local::{self, LocalReplica};
use crate::engine::roots;
use crate::engine::scan::Surroundings;
use crate::engine::transfer::{Left, Ongoing};
use crate::error::SyncError;
use crate::options::{Cancellation, SyncOptions};
use crate::report::HeldDeletions;

/// How often the owner looks whether something is due, though nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// How many inputs are taken before what they call for is done.
const INPUTS_TAKEN_MAX: usize = 128;

/// Something that happens to a folder.
pub(super) enum Input {
    Connect(PeerNumber, Arc<dyn Connection>, Trust),
    Disconnect(PeerNumber),
    Message(PeerNumber, Parcel),
    Writable(PeerNumber),
    /// Paths that may have changed.
    Suspects(Vec<RelPath>),
    Order(Order),
    Stop,
}

/// What the owner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    On,
    Stop,
}

/// Owns a folder.
pub(super) struct Owner {
    pub(super) settings: LiveSettings,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) shared: Arc<Shared>,
    pub(super) to_self: Sender<Input>,
    inputs: Receiver<Input>,
    pub(super) state: FolderState,
    /// `None` while the folder is halted and its directory closed.
    pub(super) open: Option<Open>,
    pub(super) peers: BTreeMap<PeerNumber, Peer>,
    pub(super) gathering: Arc<Gathering>,
    pub(super) recovery: Recovery,
    pub(super) reverting: Option<Reverting>,
    /// Who asked how the folder stands when this turn is over.
    pub(super) asked: Vec<Sender<FolderStatus>>,
}

/// What belongs to a directory that is open.
pub(super) struct Open {
    pub(super) local: LocalReplica,
    pub(super) ongoing: Ongoing,
    pub(super) watcher: Option<Watcher>,
    pub(super) hints: Hints,
    pub(super) verification: Verification,
    pub(super) threads: NonZeroUsize,
    pub(super) left: Left,
    pub(super) retry_at: Option<Instant>,
    pub(super) retry_pause: Duration,
    /// Paths that are looked at when what failed is tried again.
    pub(super) put_off: BTreeSet<RelPath>,
    /// Paths that changed while they were read.
    pub(super) restless: Restless,
    /// Events were learnt of that may call for further ones.
    pub(super) unsettled: bool,
    /// Steps were carried out since it was last settled with nothing left to do.
    pub(super) stepped: bool,
    /// Messages with entries that were merged since they were last written.
    pub(super) merged: usize,
    /// Messages with entries that were merged since a peer last said that it had told all.
    pub(super) unheeded: usize,
    pub(super) purge_at: Instant,
    pub(super) note_at: Instant,
    /// When what the storage does not hold is tried again.
    pub(super) retry_unheld_at: Instant,
    /// When it is looked next whether the state directory is whole.
    pub(super) look_at_state: Instant,
    /// What was known when it was last noted that the directory holds all of it.
    pub(super) noted: Option<VersionVector>,
    /// When what peers tell of third ones is passed on, at the latest.
    pub(super) gossip_at: Option<Instant>,
    pub(super) watched_only: Option<usize>,
    /// What a brake holds, as of when it was declared.
    pub(super) held: HeldDeletions,
    pub(super) tally: Tally,
}

impl Owner {
    pub(super) fn open(
        settings: LiveSettings,
        listener: Arc<dyn Listener>,
        to_self: Sender<Input>,
        inputs: Receiver<Input>,
    ) -> Result<Self, SyncError> {
        let cancellation = Cancellation::default();
        let gathering = Arc::new(Gathering::default());
        let open = open(&settings, &cancellation, &gathering)?;
        let status = new_status(&settings, &open.local);
        let mut recovery = Recovery::default();
        recovery.remember(&open.local);
        let shared = Arc::new(Shared {
            status: Mutex::new(status),
            held: RwLock::new(None),
            bytes_sent: AtomicU64::new(0),
            cancellation,
        });
        Ok(Self {
            settings,
            listener,
            shared,
            to_self,
            inputs,
            state: FolderState::InitialScan,
            open: Some(open),
            peers: BTreeMap::new(),
            gathering,
            recovery,
            reverting: None,
            asked: Vec::new(),
        })
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Works until the folder is stopped.
    pub(super) fn run(mut self) {
        self.enter(FolderState::InitialScan);
        let begun = self.begin();
        self.survive(begun);
        loop {
            match self.take_inputs() {
                Course::Stop => break,
                Course::On => {
                    self.recover();
                    let done = self.work();
                    self.survive(done);
                    self.tell_status();
                    self.answer_asked();
                }
            }
        }
        self.end();
    }

    /// Compares everything, and watches from then on.
    pub(super) fn begin(&mut self) -> Result<(), SyncError> {
        self.watch()?;
        let path = self.open.as_ref().map(|open| open.local.root.path());
        if let Some(message) = path.and_then(roots::enclosing) {
            self.warn(message);
        }
        self.scan_everything()?;
        if let Some(open) = &mut self.open {
            open.local.deletions.guard.forget_made();
            open.local.deletions.guard.skip_patience();
        }
        if self.state == FolderState::InitialScan {
            self.enter(FolderState::JoiningCluster);
        }
        self.publish()
    }

    /// Does what the inputs call for.
    fn work(&mut self) -> Result<(), SyncError> {
        if !self.is_active() {
            return Ok(());
        }
        self.check_root()?;
        self.check_state()?;
        self.observe()?;
        self.go_on_reverting()?;
        self.settle()?;
        self.judge()?;
        self.bring()?;
        self.follow_rules()?;
        self.rest()?;
        self.talk()
    }

    /// Whether changes are watched for, sent and received.
    pub(super) fn is_active(&self) -> bool {
        let active = matches!(
            self.state,
            FolderState::InitialScan | FolderState::JoiningCluster | FolderState::Online
        );
        active && self.open.is_some()
    }

    /// A failure halts the folder; everything else in the process goes on.
    pub(super) fn survive(&mut self, done: Result<(), SyncError>) {
        if let Err(error) = done {
            self.halt(&error);
        }
    }

    /// Takes what happened, waiting for the first of it.
    fn take_inputs(&mut self) -> Course {
        let mut course = self.wait();
        for _ in 0..INPUTS_TAKEN_MAX {
            if course == Course::Stop {
                return course;
            }
            let Ok(input) = self.inputs.try_recv() else {
                break;
            };
            course = self.take(input);
        }
        course
    }

    /// Waits for an input, a hint of the watcher, a file that was built, a group that was committed, or the time.
    fn wait(&mut self) -> Course {
        let timeout = self.patience();
        let watched = (self.open.as_ref()).and_then(|open| open.watcher.as_ref());
        let watched = watched.map_or_else(never, |watcher| watcher.events().clone());
        let built = (self.open.as_ref()).map_or_else(never, |open| open.ongoing.finished().clone());
        // Nothing is recorded before it can be: until then a group that is through would be told of again and again.
        let works = self.is_active() && !self.is_amid();
        let committed = self.open.as_ref().filter(|_| works);
        let committed = committed.map_or_else(never, |open| open.ongoing.committed());
        let mut select = Select::new();
        let input = select.recv(&self.inputs);
        let hint = select.recv(&watched);
        let file = select.recv(&built);
        select.recv(&committed);
        match select.ready_timeout(timeout) {
            Err(_) => Course::On,
            Ok(at) if at == input => match self.inputs.try_recv() {
                Ok(input) => self.take(input),
                Err(TryRecvError::Empty) => Course::On,
                Err(TryRecvError::Disconnected) => Course::Stop,
            },
            Ok(at) if at == hint => {
                match watched.try_recv() {
                    Ok(event) => self.take_hint(Some(event)),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => self.take_hint(None),
                }
                Course::On
            }
            Ok(at) => {
                if let Some(open) = &mut self.open {
                    if at == file
                        && let Ok(built) = built.try_recv()
                    {
                        open.ongoing.arrive(built);
                    }
                    open.left = Left::More;
                }
                Course::On
            }
        }
    }

    /// How long to wait if nothing happens.
    fn patience(&self) -> Duration {
        let Some(open) = self.open.as_ref().filter(|_| self.is_active()) else {
            return TICK;
        };
        let calls = open.left == Left::More || open.unsettled;
        if calls && !self.is_amid() || open.hints.is_due(Instant::now()) {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let retry = (open.retry_at).map_or(TICK, |at| at.saturating_duration_since(now));
        let judged = open.local.deletions.due();
        let judged = judged.map_or(TICK, |due| due.saturating_duration_since(now));
        let restless = open.restless.wait(now);
        let hinted = open.hints.wait(now).min(restless);
        hinted.min(retry).min(judged).min(TICK)
    }

    fn take_hint(&mut self, event: Option<WatchEvent>) {
        let Some(open) = &mut self.open else { return };
        match event {
            Some(WatchEvent::Changed(paths)) => open.hints.add(paths, Instant::now()),
            Some(WatchEvent::MovedOut(paths)) => {
                open.hints.add_moved_out(paths, Instant::now());
            }
            Some(WatchEvent::Overflow) => open.hints.add_everything(),
            Some(WatchEvent::LimitReached { watched }) => {
                open.watched_only = Some(watched);
                self.warn(format!(
                    "only {watched} directories can be watched: raise fs.inotify.max_user_watches; until then the rest is \
                     compared every few seconds"
                ));
            }
            None => {
                open.watcher = None;
                open.watched_only = Some(0);
                self.warn("watching ended; the directory is compared every few seconds".to_owned());
            }
        }
    }

    fn take(&mut self, input: Input) -> Course {
        match input {
            Input::Connect(number, connection, trust) => self.greet(number, connection, trust),
            Input::Disconnect(number) => self.part(number),
            Input::Message(number, parcel) => self.take_parcel(number, parcel),
            Input::Writable(number) => self.unblock(number),
            Input::Suspects(paths) => {
                if let Some(open) = &mut self.open {
                    open.hints.add(paths, Instant::now());
                }
            }
            Input::Order(order) => self.obey(order),
            Input::Stop => return Course::Stop,
        }
        Course::On
    }

    /// Ends in order: what can be committed is, and the directory is unlocked.
    fn end(mut self) {
        self.dismiss_all("the folder was stopped");
        if let Err(error) = self.close() {
            tracing::error!(%error, "the folder did not end in order; the next start recovers");
        }
        self.enter(FolderState::Offline);
        self.tell_status();
    }

    /// Waits for what is being committed, before anyone else looks at the directory or changes it.
    pub(super) fn await_committed(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let around = surroundings(open.threads, &self.shared.cancellation, &self.gathering);
        open.ongoing.await_committed(&mut open.local, &around)
    }

    /// Closes the directory, with its index.
    pub(super) fn close(&mut self) -> Result<(), SyncError> {
        let mut held = self.shared.held.write();
        if let Ok(held) = &mut held {
            **held = None;
        }
        drop(held);
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        open.verification.end();
        let around = surroundings(open.threads, &self.shared.cancellation, &self.gathering);
        let settled = open.ongoing.await_committed(&mut open.local, &around);
        open.ongoing.end();
        settled?;
        // Before the first comparison is over, what is known of that is older and better.
        if self.state != FolderState::InitialScan {
            open.local.keep_skipped()?;
            open.local.keep_rules()?;
        }
        open.local.commit()
    }

    /// Opens the directory again, after it was closed.
    pub(super) fn reopen(&mut self) -> Result<(), SyncError> {
        let opened = open(&self.settings, &self.shared.cancellation, &self.gathering)?;
        self.recovery.remember(&opened.local);
        self.open = Some(opened);
        Ok(())
    }
}

/// What surrounds the work on a folder.
pub(super) fn surroundings<'work>(
    threads: NonZeroUsize,
    cancellation: &'work Cancellation,
    gathering: &'work Gathering,
) -> Surroundings<'work> {
    Surroundings {
        threads,
        cancellation,
        reporter: gathering,
    }
}

fn open(
    settings: &LiveSettings,
    cancellation: &Cancellation,
    gathering: &Gathering,
) -> Result<Open, SyncError> {
    let options = SyncOptions {
        missing_root: settings.missing_root,
        foreign_root: settings.foreign_root,
        rules: settings.rules.clone(),
        owner: settings.owner,
        durability: settings.durability,
        trash: settings.trash,
        threads: settings.threads,
        state_dir: settings.state_dir.clone(),
        cancellation: cancellation.clone(),
        ..SyncOptions::default()
    };
    let given = roots::check_one(&settings.root, settings.missing_root)?;
    let outside: Option<&PathBuf> = settings.state_dir.as_ref();
    roots::check_state(std::slice::from_ref(&given), outside.map(PathBuf::as_path))?;
    let filter = Filter::new(settings.rules.clone());
    let mut local = local::open_live(
        &given,
        (settings.folder, &settings.former_ids),
        settings.node.clone(),
        &filter,
        &options,
    )?;
    let patience_ms = u64::try_from(settings.brake_patience.as_millis()).unwrap_or(u64::MAX);
    local.open_guard(Pace::Live { patience_ms }, settings.max_delete)?;
    local.follow_settings(settings.selection.as_ref())?;
    local.recall_unheld()?;
    let is_refused = settings.mode == FolderMode::ReceiveOnly;
    local.replica.set_refused(is_refused);
    local.gleaned = Some(Arc::new(Gleaned::of_the_latest()));
    local.echoes = Some(Echoes::default());
    let threads = settings
        .threads
        .unwrap_or_else(replicat_fs::scan::default_threads);
    let around = surroundings(threads, cancellation, gathering);
    let ongoing = Ongoing::new(&local, &around)?;
    Ok(Open {
        local,
        ongoing,
        watcher: None,
        hints: Hints::default(),
        verification: Verification::new(Instant::now(), settings.rescan_interval),
        threads,
        left: Left::Nothing,
        retry_at: None,
        retry_pause: RETRY_PAUSE_MIN,
        put_off: BTreeSet::new(),
        restless: Restless::default(),
        unsettled: true,
        stepped: false,
        merged: 0,
        unheeded: 0,
        purge_at: Instant::now(),
        note_at: Instant::now(),
        retry_unheld_at: Instant::now(),
        look_at_state: Instant::now(),
        noted: None,
        gossip_at: None,
        watched_only: None,
        held: HeldDeletions::default(),
        tally: Tally::default(),
    })
}
