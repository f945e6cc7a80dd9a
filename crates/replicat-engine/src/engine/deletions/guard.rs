//! Judges deletions: which pass, which are held, and what is a brake (`docs/deletions.md`).
//!
//! The guard has no clock and no files. It is told what is lost and when, and answers what to do. It does not know what
//! holding means to whoever asks.

use std::collections::BTreeMap;

use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;
use super::made::Made;
use super::window::{Window, top_of};

/// From how many files on a folder can lose most of them.
const FILES_MIN: u64 = 20;
/// Up to so many losses pass at once, if they are no more than half.
const PASSING_MIN: u64 = 10;
/// One in so many files passes at once.
const PASSING_SHARE: u64 = 20;
/// From how many bytes on a loss of most bytes counts, though most files are there.
const BYTES_MIN: u64 = 256 << 20;
/// How long nothing must be added before up to a third of the files passes.
const QUIET_MIN_MS: u64 = 300;
/// The same for half of them.
const QUIET_MAX_MS: u64 = 3_000;
/// How long an approval from another node holds.
const ALLOWED_MS: u64 = 60_000;
/// How often it is looked whether files that a brake holds are there again.
const LOOK_AGAIN_MS: u64 = 30_000;

/// How a replica is kept in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Pace {
    /// By a run that ends: what a peer deleted is complete, and a brake is one at once.
    Once,
    /// By a process that goes on. A loss of most must last for so many milliseconds to be a brake.
    Live { patience_ms: u64 },
}

/// What is to be done with the deletions that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Decision {
    /// They pass.
    Pass,
    /// They are held, until they are judged again at that time.
    Hold(Millis),
    /// They are held, until a person decides.
    Brake,
}

/// What a person decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Verdict {
    /// They are meant.
    Approved,
    /// The files are to come back.
    Rejected,
}

/// What the storage holds, by the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Stock {
    /// All that it is recorded to hold, what is gone and held back included.
    pub(in crate::engine) recorded: Holdings,
    /// Of that, what was deleted elsewhere.
    pub(in crate::engine) departing: Holdings,
}

/// How much was lost, of how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Loss {
    pub(in crate::engine) lost: Holdings,
    pub(in crate::engine) before: Holdings,
}

/// Something that is gone and not announced: a file with its bytes, or a directory.
pub(in crate::engine) type Held = Option<u64>;

/// Judges the deletions of one replica.
#[derive(Debug)]
pub(in crate::engine) struct Guard {
    pace: Pace,
    max_delete: Option<u64>,
    window: Window,
    made: Made,
    held: BTreeMap<RelPath, Held>,
    held_files: u64,
    held_by_top: BTreeMap<RelPath, Holdings>,
    /// When something was last added to what is lost.
    grown_at: Millis,
    /// What was last known to be deleted elsewhere.
    departing: u64,
    /// So many losses may pass.
    cleared: u64,
    /// Nothing is left in the root.
    is_emptied: bool,
    /// Most is lost, and that has lasted.
    is_braked: bool,
    verdict: Option<Verdict>,
    limit_exceeded: Option<u64>,
    /// Until when deletions from elsewhere pass, as a person approved them there.
    allowed_until: Millis,
}

impl Guard {
    pub(in crate::engine) fn new(pace: Pace, max_delete: Option<u64>, window: &[u8]) -> Self {
        Self {
            pace,
            max_delete,
            window: Window::decode(window),
            made: Made::default(),
            held: BTreeMap::new(),
            held_files: 0,
            held_by_top: BTreeMap::new(),
            grown_at: Millis::default(),
            departing: 0,
            cleared: 0,
            is_emptied: false,
            is_braked: false,
            verdict: None,
            limit_exceeded: None,
            allowed_until: Millis::default(),
        }
    }

    /// The window, as the index keeps it.
    pub(in crate::engine) fn encode_window(&self) -> Vec<u8> {
        self.window.encode()
    }

    /// A file was found where none was known: a program of this host made it.
    pub(in crate::engine) fn handle_made(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        self.made.add(now, path, bytes);
    }

    /// A file was moved.
    pub(in crate::engine) fn handle_moved(&mut self, from: &RelPath, to: &RelPath) {
        if !self.made.remove(from) {
            self.made.remove(to);
        }
    }

    /// Whether the deletion of a file counts as a loss; if it does not, what made it so is forgotten.
    pub(in crate::engine) fn handle_gone(&mut self, path: &RelPath) -> bool {
        !self.made.remove(path) && !self.made.is_packed(path)
    }

    /// Forgets what programs made: it was found by the first scan.
    pub(in crate::engine) fn forget_made(&mut self) {
        self.made.clear();
    }

    /// Nothing is left in the root, or something is.
    pub(in crate::engine) fn set_emptied(&mut self, is_emptied: bool) {
        self.is_emptied = is_emptied;
    }

    /// Holds something that is gone.
    pub(in crate::engine) fn hold(&mut self, now: Millis, path: RelPath, what: Held) {
        let is_new = !self.held.contains_key(&path);
        self.release(&path);
        if let Some(bytes) = what {
            let sum = self.held_by_top.entry(top_of(&path)).or_default();
            *sum = sum.plus(Holdings { files: 1, bytes });
            self.held_files += 1;
        }
        self.held.insert(path, what);
        if is_new {
            self.grown_at = now;
        }
    }

    /// Holds no longer what is there again, or what was let pass.
    pub(in crate::engine) fn release(&mut self, path: &RelPath) {
        let Some(Some(bytes)) = self.held.remove(path) else {
            return;
        };
        self.held_files -= 1;
        if let Some(sum) = self.held_by_top.get_mut(&top_of(path)) {
            *sum = sum.minus(Holdings { files: 1, bytes });
        }
    }

    /// What is held, in path order.
    pub(in crate::engine) fn held(&self) -> &BTreeMap<RelPath, Held> {
        &self.held
    }

    /// How many files are held that are gone here.
    pub(in crate::engine) fn held_files(&self) -> u64 {
        self.held_files
    }

    /// Whether anything held is `directory` or below it.
    pub(in crate::engine) fn holds_within(&self, directory: &RelPath) -> bool {
        let mut from = self.held.range(directory.clone()..);
        from.next()
            .is_some_and(|(path, _)| path.is_within(directory))
    }

    /// Counts a deletion that passed.
    pub(in crate::engine) fn handle_passed(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        if self.verdict != Some(Verdict::Approved) && now >= self.allowed_until {
            self.window.add(now, path, bytes);
        }
    }

    /// A person approved at another node what was deleted there.
    pub(in crate::engine) fn allow_departing(&mut self, now: Millis) {
        self.allowed_until = Millis(now.0 + ALLOWED_MS);
        self.is_braked = false;
    }

    /// Whether deletions from elsewhere pass, as a person approved them there.
    pub(in crate::engine) fn allows_departing(&self, now: Millis) -> bool {
        now < self.allowed_until
    }

    /// Begins without waiting for more: what is lost was lost before.
    pub(in crate::engine) fn skip_patience(&mut self) {
        self.grown_at = Millis::default();
    }

    /// A person decided about all that is held.
    pub(in crate::engine) fn decide(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
        self.window.clear();
        self.is_braked = false;
    }

    /// What a person decided, until it is done.
    pub(in crate::engine) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// What a person decided is done.
    pub(in crate::engine) fn conclude_verdict(&mut self) {
        self.verdict = None;
        self.window.clear();
        self.cleared = 0;
    }

    /// Whether most is lost, and a person has to decide.
    pub(in crate::engine) fn is_braked(&self) -> bool {
        self.is_braked
    }

    /// The number that `--max-delete` allows, if it is that which brakes.
    pub(in crate::engine) fn exceeded(&self) -> Option<u64> {
        self.limit_exceeded
    }

    /// Whether there is anything to judge.
    pub(in crate::engine) fn is_concerned(&self, stock: &Stock) -> bool {
        !self.held.is_empty() || stock.departing.files > 0 || self.is_braked
    }

    /// How much is lost within the window, and of how much.
    pub(in crate::engine) fn loss(&self, stock: &Stock) -> Loss {
        let passed = self.window.by_top();
        let mut lost = passed.clone();
        for (top, held) in &self.held_by_top {
            let sum = lost.entry(top.clone()).or_default();
            *sum = sum.plus(*held);
        }
        let net = lost.iter().map(|(top, lost)| {
            let made = self.made.by_top().get(top).copied().unwrap_or_default();
            Holdings {
                files: lost.files.saturating_sub(made.files),
                bytes: lost.bytes.saturating_sub(made.bytes),
            }
        });
        let here = net.fold(Holdings::default(), Holdings::plus);
        let passed = passed.into_values();
        let passed = passed.fold(Holdings::default(), Holdings::plus);
        let made = self.made.total();
        Loss {
            lost: here.plus(stock.departing),
            before: Holdings {
                files: (stock.recorded.files.saturating_sub(made.files)) + passed.files,
                bytes: (stock.recorded.bytes.saturating_sub(made.bytes))
                    .saturating_add(passed.bytes),
            },
        }
    }

    /// Judges all that is held, and all that was deleted elsewhere.
    pub(in crate::engine) fn judge(&mut self, now: Millis, stock: &Stock) -> Decision {
        self.window.expire(now);
        self.made.expire(now);
        if self.verdict == Some(Verdict::Approved) {
            return Decision::Pass;
        }
        let stock = &match now < self.allowed_until {
            true => Stock {
                departing: Holdings::default(),
                ..*stock
            },
            false => *stock,
        };
        if stock.departing.files > self.departing {
            self.grown_at = now;
        }
        self.departing = stock.departing.files;
        let loss = self.loss(stock);
        let total = loss.lost.files;
        self.cleared = self.cleared.min(total);
        match self.severity(&loss, stock) {
            Severity::Slight => {
                self.is_braked = false;
                self.cleared = total;
                Decision::Pass
            }
            _ if self.is_braked => Decision::Brake,
            Severity::Grave => self.await_more(now, self.patience(), Decision::Brake, total),
            Severity::Large if total <= self.cleared => Decision::Pass,
            Severity::Large => self.await_more(now, self.quiet(&loss), Decision::Pass, total),
        }
    }

    /// When deletions that a brake holds are looked at again.
    pub(in crate::engine) fn look_again(now: Millis) -> Millis {
        Millis(now.0 + LOOK_AGAIN_MS)
    }

    /// The decision, if nothing was added for so long; else they are held until then.
    fn await_more(
        &mut self,
        now: Millis,
        wait_ms: u64,
        decision: Decision,
        total: u64,
    ) -> Decision {
        let until = Millis(self.grown_at.0 + wait_ms);
        if now < until {
            return Decision::Hold(until);
        }
        match decision {
            Decision::Brake => self.is_braked = true,
            _ => self.cleared = total,
        }
        decision
    }

    fn patience(&self) -> u64 {
        match self.pace {
            Pace::Once => 0,
            Pace::Live { patience_ms } => patience_ms,
        }
    }

    fn quiet(&self, loss: &Loss) -> u64 {
        if self.pace == Pace::Once && self.held.is_empty() {
            return 0;
        }
        let before = loss.before.files.max(1);
        // From a third to half of the files, in thousandths of that way.
        let over = (loss.lost.files * 3).saturating_sub(before) * 1000 * 2 / before;
        QUIET_MIN_MS + (QUIET_MAX_MS - QUIET_MIN_MS) * over.min(1000) / 1000
    }

    fn severity(&mut self, loss: &Loss, stock: &Stock) -> Severity {
        let Loss { lost, before } = *loss;
        let is_most = lost.files * 2 > before.files;
        let most_bytes = lost.bytes > before.bytes / 2;
        let limited = match self.pace {
            Pace::Once => self.held_files + stock.departing.files,
            Pace::Live { .. } => lost.files,
        };
        self.limit_exceeded = self.max_delete.filter(|allowed| limited > *allowed);
        let is_grave = is_most && before.files >= FILES_MIN
            || most_bytes && lost.bytes >= BYTES_MIN && lost.files >= FILES_MIN
            || self.is_emptied && self.held_files > 1
            || self.limit_exceeded.is_some();
        if is_grave {
            return Severity::Grave;
        }
        let passing = (before.files / PASSING_SHARE).max(PASSING_MIN);
        match lost.files <= passing || before.files < FILES_MIN {
            true => Severity::Slight,
            false => Severity::Large,
        }
    }
}

/// How much is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// So little that it passes at once.
    Slight,
    /// More, but not most.
    Large,
    /// Most, or more than a person allowed.
    Grave,
}
