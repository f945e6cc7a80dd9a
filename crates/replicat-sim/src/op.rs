//! What happens in a history: an explicit list of operations, so that a failing history can be cut down
//! by leaving operations out. An operation that makes no sense when its turn comes does nothing.

/// A history: how many replicas there are at the start, and what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// How many replicas there are at the start.
    pub replicas: u8,
    /// Seed of what the operations leave open: the order of the final exchanges, what survives a crash.
    pub salt: u64,
    /// What happens, in order.
    pub operations: Vec<Op>,
}

/// One thing that happens. Replicas are numbered from 0; a number too high is taken modulo their count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A user does something at once.
    User(u8, Act),
    /// A user does something just after so many further effects (disk changes, commits, messages) of the replica.
    UserAfter(u8, u8, Act),
    /// The replica loses power after so many further effects, and starts again.
    CrashAfter(u8, u8),
    /// The replica loses power now, and starts again.
    Crash(u8),
    /// What the disk holds becomes durable.
    Sync(u8),
    /// The replica looks through its storage.
    Scan(u8),
    /// Two replicas exchange up to so many messages of a session, a new one if none is open; 0: until it ends.
    Exchange(u8, u8, u8),
    /// The open session of two replicas breaks; what was on its way is lost.
    Cut(u8, u8),
    /// The sessions of two replicas stay open from now on and carry what is announced, or end again when all is said.
    Keep(u8, u8),
    /// The message next to arrive in an open session arrives twice, if it holds entries.
    Duplicate(u8, u8),
    /// The replica carries out its plan: this many steps at the most (0: all), committed in groups of so many.
    Apply(u8, u8, u8),
    /// The replica notes that it has applied what it knows.
    NoteApplied(u8),
    /// Everybody scans, exchanges, settles and applies once.
    Round,
    /// The replica's index is remembered, for [`Op::RestoreIndex`] and [`Op::RestoreAll`].
    Backup(u8),
    /// The index goes back to the backup; the files stay.
    RestoreIndex(u8),
    /// Index and files go back to the backup.
    RestoreAll(u8),
    /// The index is lost; the files stay.
    LoseIndex(u8),
    /// Another replica begins as a copy of this one, files and index.
    Clone(u8),
    /// The replica's clock is set to be off by so many seconds.
    Clock(u8, i64),
    /// Two replicas cannot reach each other from now on, or can again.
    Partition(u8, u8),
    /// The replica's filters leave out a path and what is below, from now on.
    Exclude(u8, u8),
    /// The replica's filters leave nothing out any more.
    Include(u8),
    /// The others refuse the changes of the replica from now on, or accept them again.
    Refuse(u8),
    /// The replica, whose changes are refused, takes the entries of the second one at the n-th path and below (0: everywhere).
    Revert(u8, u8, u8),
    /// The replica holds deletions from now on: those that it finds, and those of others.
    Hold(u8),
    /// A person approves the deletions that the replica holds.
    Approve(u8),
    /// A person rejects the deletions that the replica holds.
    Reject(u8),
}

/// What users do to files. Paths are numbers of places in [`crate::paths`]; contents are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Write a file where it is, keeping its inode.
    Write(u8, u64),
    /// Write a file as editors do: a new one, renamed over the old.
    Replace(u8, u64),
    /// Write what the file holds anyway.
    Rewrite(u8),
    /// Change the permission bits to one of two values.
    Chmod(u8, u8),
    /// Change an extended attribute.
    SetXattr(u8, u8),
    /// Change the time of modification only.
    Touch(u8),
    /// Delete a file, or a directory and all below.
    Delete(u8),
    /// Delete many paths at once: those whose bit is set.
    DeleteMany(u16),
    /// Make a directory.
    MakeDirectory(u8),
    /// Make a symlink, in the place of a file if there is one.
    Symlink(u8, u64),
    /// Delete whatever is there and make a directory.
    BecomeDirectory(u8),
    /// Delete whatever is there and write a file.
    BecomeFile(u8, u64),
    /// Rename a file or directory, onto whatever the destination holds.
    Rename(u8, u8),
    /// Exchange two paths.
    Swap(u8, u8),
    /// Write a file with the name of the n-th conflict copy at any replica, where this one may not have the copy yet.
    WriteCopyName(u8, u64),
    /// Write the n-th conflict copy.
    EditCopy(u8, u64),
    /// Delete the n-th conflict copy.
    DeleteCopy(u8),
    /// Rename the n-th conflict copy onto a path.
    RenameCopy(u8, u8),
    /// Write again what was last overwritten or deleted at a path.
    PutBack(u8),
}
