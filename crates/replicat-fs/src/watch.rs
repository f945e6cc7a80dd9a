//! Watching a tree: hints that something changed, so that a scan need not look everywhere.
//!
//! Goals: no change goes unnoticed between the start of a watch and its end, unless [`WatchEvent`] says so.
//! Non-goals: saying what changed. A hint is a path to scan again; what is there decides.
//!
//! This speaks to inotify directly. The `notify` crate listens to every opening of every file, so that a scan of a
//! tree of more directories than the kernel's queue has places (16,384) can make it overflow, and each overflow
//! asks for another scan; it also walks by path, outside the root's descriptor, and into ignored directories.

mod renames;
mod settling;
#[cfg(test)]
mod tests;
mod watches;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use replicat_core::path::RelPath;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::Timespec;
use rustix::fs::inotify::{ReadFlags, Reader};
use rustix::io::Errno;

use crate::error::FsError;
use crate::filter::{Filter, IGNORE_FILE_NAME, PathFilter, STATE_DIRECTORY_NAME};
use crate::root::Root;
pub use renames::RENAME_TIMEOUT;
use renames::{Cookie, Departures};
use settling::{QUIET, Settling};
use watches::{Coverage, WatchNumber, Watches};

/// How much is read from the kernel's queue at once.
const READ_BYTES: usize = 64 * 1024;
/// How often waiting paths are looked at.
const TICK: Duration = Duration::from_millis(5);
/// What changes the time of the directory.
const COMES_OR_GOES: ReadFlags = ReadFlags::CREATE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM)
    .union(ReadFlags::MOVED_TO);

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something changed at these paths, or below those of them that are directories. Of what is out of scope it is told that it
    /// came or went, since that gives its directory another time.
    Changed(Vec<RelPath>),
    /// These paths were renamed to where nobody watches: out of the tree, or out of scope. A scan sees that they are gone.
    MovedOut(Vec<RelPath>),
    /// More happened than could be told of: everything is to be scanned.
    Overflow,
    /// The system allows no more watches. Some directories are not watched, and only scans see what changes there.
    LimitReached {
        /// How many directories are watched.
        watched: usize,
    },
}

/// A watch on a root. It ends when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    events: Receiver<WatchEvent>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches all directories of `root` that are in scope. A scan that is started afterwards, together with the
    /// events that come from now on, sees every change.
    ///
    /// # Errors
    /// If the system gives no means to watch at all.
    pub fn start(root: &Root, filter: &Filter) -> Result<Self, FsError> {
        let failed = |source| root.error("watch", &RelPath::root(), source);
        let own = root.duplicate()?;
        let mut watches = Watches::new(root)?;
        let coverage = watches.add_tree(root, &mut filter.paths(root), &RelPath::root());
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let stop = Arc::new(stop);
        // One place: while it is taken, changes go on being collected rather than queued.
        let (sender, events) = bounded(1);
        let watch = Watch {
            filter: filter.clone(),
            watches,
            settling: Settling::default(),
            departures: Departures::default(),
            overflow: Debt::None,
            limit: debt(coverage),
            sender,
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn({
            let stop = stop.clone();
            move || watch.run(&own, &stop)
        });
        let thread = Some(thread.map_err(|source| root.error("watch", &RelPath::root(), source))?);
        Ok(Self {
            events,
            stop,
            thread,
        })
    }

    /// Where the events come from. It is disconnected if the watch fails, which is logged.
    #[must_use]
    pub fn events(&self) -> &Receiver<WatchEvent> {
        &self.events
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Err(error) = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes()) {
            tracing::warn!(%error, "the watch could not be told to stop");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watching thread panicked");
        }
    }
}

/// Whether something is still to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Debt {
    /// It is not.
    None,
    /// It is.
    Owed,
}

fn debt(coverage: Coverage) -> Debt {
    match coverage {
        Coverage::Full => Debt::None,
        Coverage::Limited => Debt::Owed,
    }
}

/// What made the loop go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// Events, or the time.
    ToWork,
    /// The watcher was dropped.
    ToStop,
}

/// One event, copied out of the buffer it was read into.
struct Raw {
    number: WatchNumber,
    flags: ReadFlags,
    cookie: Cookie,
    name: Option<Vec<u8>>,
}

/// The state of the watching thread.
struct Watch {
    filter: Filter,
    watches: Watches,
    settling: Settling,
    departures: Departures,
    overflow: Debt,
    limit: Debt,
    sender: Sender<WatchEvent>,
}

impl Watch {
    fn run(mut self, root: &Root, stop: &OwnedFd) {
        let mut buffer = vec![MaybeUninit::uninit(); READ_BYTES];
        let mut filter = self.filter.paths(root);
        loop {
            match self.wait(stop) {
                Ok(Woken::ToWork) => {}
                Ok(Woken::ToStop) => return,
                Err(error) => {
                    tracing::error!(%error, "watching ended");
                    return;
                }
            }
            let events = match self.read(&mut buffer) {
                Ok(events) => events,
                Err(error) => {
                    tracing::error!(%error, "watching ended");
                    return;
                }
            };
            // One time for all: to take in a directory takes a while, and what belongs together is told together.
            let now = Instant::now();
            for event in events {
                self.take(root, &mut filter, &event, now);
            }
            if self.tell().is_err() {
                return;
            }
        }
    }

    /// Waits for events, for the end, and for waiting paths to settle.
    fn wait(&self, stop: &OwnedFd) -> Result<Woken, Errno> {
        let is_idle =
            self.settling.is_empty() && self.overflow == Debt::None && self.limit == Debt::None;
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.subsec_nanos().into(),
        };
        let mut sources = [
            PollFd::from_borrowed_fd(self.watches.descriptor(), PollFlags::IN),
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
        ];
        match poll(&mut sources, (!is_idle).then_some(&tick)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        if sources[1].revents().is_empty() {
            Ok(Woken::ToWork)
        } else {
            Ok(Woken::ToStop)
        }
    }

    /// Reads one buffer of events, if there are any.
    fn read(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<Vec<Raw>, Errno> {
        let mut reader = Reader::new(self.watches.descriptor(), buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Raw {
                    number: event.wd(),
                    flags: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()),
                }),
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }

    fn take(&mut self, root: &Root, filter: &mut PathFilter<'_>, event: &Raw, now: Instant) {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            // Directories may have come unnoticed; they are watched before the scan that the overflow asks for.
            filter.forget_ignore_files();
            self.add_tree(root, filter, &RelPath::root());
            self.overflow();
            return;
        }
        if event.flags.contains(ReadFlags::IGNORED) {
            self.watches.forget(event.number);
            return;
        }
        let Some(directory) = self.watches.path(event.number).cloned() else {
            return;
        };
        let Some(name) = &event.name else {
            self.note(directory, now);
            return;
        };
        if *name == STATE_DIRECTORY_NAME {
            return;
        }
        if *name == IGNORE_FILE_NAME {
            // What is in scope changes with it, here and below.
            filter.forget_ignore_files();
            self.add_tree(root, filter, &directory);
            self.note(directory, now);
            return;
        }
        let is_directory = event.flags.contains(ReadFlags::ISDIR);
        let Ok(path) = directory.join(name) else {
            return;
        };
        // If the filter cannot tell, the scan will.
        if filter.excludes(&path, is_directory).unwrap_or(false) {
            // That it came or went shows in the time of the directory, which is compared on the way to it.
            if event.flags.intersects(COMES_OR_GOES) {
                self.note(path, now);
            }
            return;
        }
        if is_directory {
            self.follow(root, filter, &path, event.flags);
        }
        self.note_half(path, event, now);
    }

    /// Notes a path that changed; halves of a rename as one.
    fn note_half(&mut self, path: RelPath, event: &Raw, now: Instant) {
        if event.flags.contains(ReadFlags::MOVED_FROM) {
            self.departures.note(event.cookie, path.clone());
            // It is due when it was quiet for a while, counted from then.
            return self.note(path, now + RENAME_TIMEOUT.saturating_sub(QUIET));
        }
        if event.flags.contains(ReadFlags::MOVED_TO)
            && let Some(from) = self.departures.take(event.cookie)
        {
            self.note(from, now);
        }
        self.note(path, now);
    }

    /// Watches a directory that came, and no longer one that went.
    fn follow(
        &mut self,
        root: &Root,
        filter: &mut PathFilter<'_>,
        path: &RelPath,
        flags: ReadFlags,
    ) {
        if flags.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
            self.watches.remove_tree(path);
            filter.forget_ignore_files();
        }
        if flags.intersects(ReadFlags::MOVED_TO | ReadFlags::CREATE) {
            filter.forget_ignore_files();
            self.add_tree(root, filter, path);
        }
    }

    fn add_tree(&mut self, root: &Root, filter: &mut PathFilter<'_>, top: &RelPath) {
        if self.watches.add_tree(root, filter, top) == Coverage::Limited {
            self.limit = Debt::Owed;
        }
    }

    fn note(&mut self, path: RelPath, now: Instant) {
        if self.settling.note(path, now).is_err() {
            self.overflow();
        }
    }

    /// Everything is to be scanned, which covers all that waits.
    fn overflow(&mut self) {
        self.overflow = Debt::Owed;
        self.settling.clear();
    }

    /// Tells what can be told by now; fails when nobody listens any more.
    fn tell(&mut self) -> Result<(), TrySendError<WatchEvent>> {
        if self.sender.is_full() {
            return Ok(());
        }
        if self.limit == Debt::Owed {
            let watched = self.watches.len();
            self.send(WatchEvent::LimitReached { watched }, |watch| {
                watch.limit = Debt::None;
            })?;
        }
        if self.overflow == Debt::Owed {
            return self.send(WatchEvent::Overflow, |watch| watch.overflow = Debt::None);
        }
        let due = self.settling.due(Instant::now());
        if due.is_empty() {
            return Ok(());
        }
        let moved_out = self.departures.alone(&due);
        if !moved_out.is_empty() {
            return self.send(WatchEvent::MovedOut(moved_out.clone()), |watch| {
                watch.departures.forget(&moved_out);
                watch.settling.forget(&moved_out);
            });
        }
        self.send(WatchEvent::Changed(due.clone()), |watch| {
            watch.settling.forget(&due);
        })
    }

    /// Sends if there is room, and then notes that it was sent.
    fn send(
        &mut self,
        event: WatchEvent,
        sent: impl FnOnce(&mut Self),
    ) -> Result<(), TrySendError<WatchEvent>> {
        match self.sender.try_send(event) {
            Ok(()) => sent(self),
            Err(TrySendError::Full(_)) => {}
            Err(disconnected) => return Err(disconnected),
        }
        Ok(())
    }
}
