//! Judges deletions: which pass, which are held, and what is a brake (`docs/deletions.md`).
//!
//! The guard has no clock and no files. It takes what is lost and when, and returns what to do. It does not know how its
//! caller holds a deletion.

use std::collections::BTreeMap;

use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;
use super::made::Made;
use super::window::{Balance, Places, Window, place_of, total, without};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Stock {
    /// All that it is recorded to hold, what is gone and held back included.
    pub(in crate::engine) recorded: Holdings,
    /// Of that, what was deleted elsewhere and is to be judged here.
    pub(in crate::engine) departing: Holdings,
    /// The same by place, and what is to come; only where the sums do not suffice.
    pub(in crate::engine) by_place: Option<Traffic>,
    /// Nothing is left in the root.
    pub(in crate::engine) is_emptied: bool,
}

/// What is to go from each place, and what is to come there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Traffic {
    pub(in crate::engine) departing: Places,
    pub(in crate::engine) incoming: Places,
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
    /// Losses found here that passed.
    here: Window,
    /// Losses from peers that passed.
    elsewhere: Window,
    made: Made,
    arrived: Made,
    balance: Balance,
    held: BTreeMap<RelPath, Held>,
    held_by_place: Places,
    /// When something was last added to what is lost.
    grown_at: Millis,
    /// What was last known to be deleted elsewhere.
    departing: u64,
    /// So many losses may pass.
    cleared: u64,
    /// Most is lost, and that has lasted.
    is_braked: bool,
    verdict: Option<Verdict>,
    limit_exceeded: Option<u64>,
    /// Until when deletions from elsewhere pass, as a person approved them there.
    allowed_until: Millis,
}

impl Guard {
    pub(in crate::engine) fn new(pace: Pace, max_delete: Option<u64>) -> Self {
        Self {
            pace,
            max_delete,
            here: Window::default(),
            elsewhere: Window::default(),
            made: Made::default(),
            arrived: Made::default(),
            balance: Balance::default(),
            held: BTreeMap::new(),
            held_by_place: Places::new(),
            grown_at: Millis::default(),
            departing: 0,
            cleared: 0,
            is_braked: false,
            verdict: None,
            limit_exceeded: None,
            allowed_until: Millis::default(),
        }
    }

    /// The window as the index keeps it: the losses that nothing replaced, those found here and those from peers.
    pub(in crate::engine) fn encode_window(&self) -> [Vec<u8>; 2] {
        let here = self.here.not_replaced(self.made.by_place());
        let elsewhere = self.elsewhere.not_replaced(self.arrived.by_place());
        [here.encode(), elsewhere.encode()]
    }

    /// Takes up the window of an earlier process.
    pub(in crate::engine) fn restore_window(&mut self, now: Millis, kept: [&[u8]; 2]) {
        let [here, elsewhere] = kept.map(|kept| {
            let mut window = Window::decode(kept);
            window.forget_future(now);
            window
        });
        (self.here, self.elsewhere) = (here, elsewhere);
    }

    /// A file was found where none was known: a program of this host made it.
    pub(in crate::engine) fn handle_made(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        self.balance.gain(now, Holdings { files: 1, bytes });
        self.made.add(now, path, bytes);
    }

    /// A file was brought from a peer.
    pub(in crate::engine) fn handle_arrived(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        self.balance.gain(now, Holdings { files: 1, bytes });
        self.arrived.add(now, path, bytes);
    }

    /// A file was moved, or a copy of it was made before it went: it is as old at `to` as it was.
    pub(in crate::engine) fn handle_moved(&mut self, from: &RelPath, to: &RelPath) {
        let was_made = self.made.remove(from);
        let was_new = self.arrived.remove(from) || was_made;
        if !was_new {
            self.made.remove(to);
        }
    }

    /// Whether a file was made here within the window.
    pub(in crate::engine) fn is_made(&self, path: &RelPath) -> bool {
        self.made.contains(path)
    }

    /// Whether the deletion of a file counts as a loss. To be called once for each deletion.
    pub(in crate::engine) fn handle_gone(
        &mut self,
        now: Millis,
        path: &RelPath,
        bytes: u64,
        stock: &Stock,
    ) -> bool {
        if self.made.is_packed(path) {
            return false;
        }
        if self.is_young(&self.made, stock) || !self.made.remove(path) {
            return true;
        }
        self.balance.lose(now, Holdings { files: 1, bytes });
        false
    }

    /// Whether a file that a peer deleted came from a peer within the window: it is no loss.
    pub(in crate::engine) fn is_passing_through(&self, path: &RelPath, stock: &Stock) -> bool {
        let is_new = self.arrived.contains(path) && !self.is_young(&self.arrived, stock);
        is_new || self.arrived.is_packed(path)
    }

    /// Forgets what programs made: it was found by the first scan.
    pub(in crate::engine) fn forget_made(&mut self) {
        self.made = Made::default();
        self.balance.clear();
    }

    /// Holds something that is gone.
    pub(in crate::engine) fn hold(&mut self, now: Millis, path: RelPath, what: Held) {
        let is_new = !self.held.contains_key(&path);
        self.release(&path);
        if let Some(bytes) = what {
            let sum = self.held_by_place.entry(place_of(&path)).or_default();
            *sum = sum.plus(Holdings { files: 1, bytes });
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
        let place = place_of(path);
        if let Some(sum) = self.held_by_place.get_mut(&place) {
            *sum = sum.minus(Holdings { files: 1, bytes });
            if sum.files == 0 {
                self.held_by_place.remove(&place);
            }
        }
    }

    /// What is held, in path order.
    pub(in crate::engine) fn held(&self) -> &BTreeMap<RelPath, Held> {
        &self.held
    }

    /// How many files are held that are gone here.
    pub(in crate::engine) fn held_files(&self) -> u64 {
        self.held_sum().files
    }

    fn held_sum(&self) -> Holdings {
        total(&self.held_by_place)
    }

    /// Whether anything held is `directory` or below it.
    pub(in crate::engine) fn holds_within(&self, directory: &RelPath) -> bool {
        let mut from = self.held.range(directory.clone()..);
        from.next()
            .is_some_and(|(path, _)| path.is_within(directory))
    }

    /// Counts a deletion found here that passed.
    pub(in crate::engine) fn handle_passed(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        let was_made = self.made.remove(path);
        self.arrived.remove(path);
        if self.verdict != Some(Verdict::Approved) {
            self.balance.lose(now, Holdings { files: 1, bytes });
            if !was_made {
                self.here.add(now, path, bytes);
            }
        }
    }

    /// Counts a deletion from a peer that was carried out.
    pub(in crate::engine) fn handle_removed(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        self.made.remove(path);
        let was_new = self.arrived.remove(path) || self.arrived.is_packed(path);
        if self.verdict != Some(Verdict::Approved) && now >= self.allowed_until {
            self.balance.lose(now, Holdings { files: 1, bytes });
            if !was_new {
                self.elsewhere.add(now, path, bytes);
            }
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
        self.begin_window();
        self.is_braked = false;
    }

    fn begin_window(&mut self) {
        self.here.clear();
        self.elsewhere.clear();
        self.balance.clear();
        self.cleared = 0;
    }

    /// What a person decided, until it is done.
    pub(in crate::engine) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// What a person decided is done.
    pub(in crate::engine) fn conclude_verdict(&mut self) {
        self.verdict = None;
        self.begin_window();
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

    fn passed(&self) -> Holdings {
        total(&self.here.by_place()).plus(total(&self.elsewhere.by_place()))
    }

    /// Whether hardly anything is older than what came within the window. Then there is no state of before to compare with:
    /// what came counts, and the folder is judged as it was at its fullest.
    fn is_young(&self, came: &Made, stock: &Stock) -> bool {
        let came = came.total().files;
        came > 0 && stock.recorded.files.saturating_sub(came) + self.passed().files < FILES_MIN
    }

    /// How much is lost within the window, and of how much.
    pub(in crate::engine) fn loss(&self, stock: &Stock) -> Loss {
        let going = self.held_sum().plus(stock.departing);
        if self.is_young(&self.made, stock) || self.is_young(&self.arrived, stock) {
            let lost = self.balance.drawdown(going);
            let left = Holdings {
                files: stock.recorded.files.saturating_sub(going.files),
                bytes: stock.recorded.bytes.saturating_sub(going.bytes),
            };
            let before = left.plus(lost);
            return Loss { lost, before };
        }
        let mut here = self.here.by_place();
        let mut elsewhere = self.elsewhere.by_place();
        add(&mut here, &self.held_by_place);
        let received = match &stock.by_place {
            Some(traffic) => {
                add(&mut elsewhere, &traffic.departing);
                without(&elsewhere, &[self.arrived.by_place(), &traffic.incoming])
            }
            None => without(&elsewhere, &[self.arrived.by_place()]).plus(stock.departing),
        };
        let (made, passed) = (self.made.total(), self.passed());
        Loss {
            lost: without(&here, &[self.made.by_place()]).plus(received),
            before: Holdings {
                files: (stock.recorded.files.saturating_sub(made.files)) + passed.files,
                bytes: (stock.recorded.bytes.saturating_sub(made.bytes))
                    .saturating_add(passed.bytes),
            },
        }
    }

    /// Whether the sums of what was deleted elsewhere do not suffice to judge it.
    pub(in crate::engine) fn wants_places(&self, stock: &Stock) -> bool {
        stock.departing.files > 0 && self.severity(&self.loss(stock), stock) != Severity::Slight
    }

    /// Judges all that is held, and all that was deleted elsewhere.
    pub(in crate::engine) fn judge(&mut self, now: Millis, stock: &Stock) -> Decision {
        self.expire(now);
        if self.verdict == Some(Verdict::Approved) {
            return Decision::Pass;
        }
        let stock = &match now < self.allowed_until {
            true => Stock {
                departing: Holdings::default(),
                by_place: None,
                ..stock.clone()
            },
            false => stock.clone(),
        };
        if stock.departing.files > self.departing {
            self.grown_at = now;
        }
        self.departing = stock.departing.files;
        let loss = self.loss(stock);
        let total = loss.lost.files;
        self.cleared = self.cleared.min(total);
        self.limit_exceeded = self.limit(&loss, stock);
        if self.held_files() == 0 && stock.departing.files == 0 {
            // There is nothing that a person could decide about.
            self.is_braked = false;
            return Decision::Pass;
        }
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

    fn expire(&mut self, now: Millis) {
        self.here.expire(now);
        self.elsewhere.expire(now);
        self.made.expire(now);
        self.arrived.expire(now);
        self.balance.expire(now);
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

    /// The number that `--max-delete` allows, if there is more to delete.
    fn limit(&self, loss: &Loss, stock: &Stock) -> Option<u64> {
        let planned = match self.pace {
            Pace::Once => self.held_files() + stock.departing.files,
            Pace::Live { .. } => loss.lost.files,
        };
        self.max_delete.filter(|allowed| planned > *allowed)
    }

    fn severity(&self, loss: &Loss, stock: &Stock) -> Severity {
        let Loss { lost, before } = *loss;
        let is_most = lost.files.saturating_mul(2) > before.files;
        let most_bytes = lost.bytes > before.bytes / 2;
        let is_grave = is_most && before.files >= FILES_MIN
            || most_bytes && lost.bytes >= BYTES_MIN && lost.files >= FILES_MIN
            || stock.is_emptied && self.held_files() > 1
            || self.limit(loss, stock).is_some();
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

fn add(places: &mut Places, more: &Places) {
    for (place, what) in more {
        let sum = places.entry(place.clone()).or_default();
        *sum = sum.plus(*what);
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
