//! What a sync prints for people when it is over.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use replicat::report::{
    BrakeReport, ConflictReport, Outcome, RootFailure, RootReport, SkipReason, Skipped, Statistics,
    SyncReport, VersionReport,
};
use replicat_core::entry::Payload;

use super::terminal::{
    count_text, duration_text, number_text, path_text, root_text, sentence, size_text, time_text,
};

/// A conflict, in the sync that kept it.
pub(crate) fn conflict(report: &ConflictReport, zone: &TimeZone) -> String {
    format!(
        "conflict: {} holds {}; {} is kept as {}",
        path_text(report.path.as_bytes()),
        version(&report.winner, zone),
        version(&report.loser, zone),
        path_text(report.copy.as_bytes()),
    )
}

/// A version: what it is, who made it and when.
pub(crate) fn version(report: &VersionReport, zone: &TimeZone) -> String {
    let what = match &report.payload {
        Payload::File { size, .. } => size_text(*size),
        Payload::Directory => "the directory".to_owned(),
        Payload::Symlink { target } => format!("the link to {}", path_text(target)),
        Payload::Tombstone { .. } => "the deletion".to_owned(),
    };
    let node = sentence(&report.node);
    format!("{what} by {node} of {}", time_text(report.when, zone))
}

/// What was skipped, a line each. Of the paths of which a filesystem holds not everything, one stands for those that are like it
/// in its root.
pub(crate) fn all_skipped(rows: &[Skipped], roots: &[RootReport]) -> Vec<String> {
    let mut alike: BTreeMap<(usize, &str), (usize, u64)> = BTreeMap::new();
    let mut lines = Vec::new();
    for row in rows {
        let limit = match &row.reason {
            SkipReason::NotHeld {
                aspects,
                is_refused: false,
            } => Some((row.root.0, aspects.as_str())),
            _ => None,
        };
        if let Some(limit) = limit {
            let (_, count) = alike.entry(limit).or_insert((lines.len(), 0));
            *count += 1;
            if *count > 1 {
                continue;
            }
        }
        lines.push(skipped(row, roots));
    }
    for (at, count) in alike.into_values().filter(|(_, count)| *count > 1) {
        let others = count_text(count - 1, "other path");
        lines[at].push_str(&format!(", nor that of {others}"));
    }
    lines
}

/// A path that was not synced.
fn skipped(row: &Skipped, roots: &[RootReport]) -> String {
    let path = path_text(row.path.as_bytes());
    let reason = sentence(&row.reason.to_string());
    match roots.get(row.root.0) {
        Some(root) => {
            let root = root_text(&root.root);
            format!("skipped: {}/{path} {reason}", root.trim_end_matches('/'))
        }
        None => format!("skipped: {path} {reason}"),
    }
}

/// Why a root failed, and what to do.
pub(crate) fn root_failure(failure: &RootFailure) -> Vec<String> {
    let mut lines = vec![format!("failed: {}", sentence(&failure.message))];
    let hint = failure.hint.as_ref();
    lines.extend(hint.map(|hint| format!("  hint: {}", sentence(hint))));
    lines
}

/// A brake that holds deletions of a root, what it holds, and what to do.
pub(crate) fn brake(report: &BrakeReport) -> Vec<String> {
    let mut lines = vec![format!("held: {}", sentence(&report.to_string()))];
    let held = &report.held;
    let directories = held.directories.iter();
    lines.extend(directories.map(|directory| format!("  {}", sentence(&directory.to_string()))));
    if held.more > 0 {
        lines.push(format!("  and {} elsewhere", count_text(held.more, "file")));
    }
    lines.push(format!("  hint: {}", sentence(&report.hint())));
    lines
}

/// The line that closes a sync.
pub(crate) fn summary(report: &SyncReport) -> String {
    let roots = count_text(report.roots.len() as u64, "root");
    let state = match (report.outcome, report.in_sync) {
        (Outcome::Cancelled, _) => format!("interrupted; sync again to carry on ({roots})"),
        (Outcome::Planned, true) => format!("in sync: {roots}"),
        (Outcome::Planned, false) => format!("dry run, nothing was changed: {roots}"),
        (Outcome::Finished, true) => format!("in sync: {roots}"),
        (Outcome::Finished, false) => format!("NOT in sync: {roots}"),
    };
    let mut parts = vec![state];
    parts.extend(changes(report));
    let elapsed = duration_text(report.statistics.elapsed);
    format!("{}; {elapsed}", parts.join(", "))
}

/// What was done, as far as there is something to say.
fn changes(report: &SyncReport) -> Vec<String> {
    let changes = report.statistics.changes;
    let words = match report.outcome {
        Outcome::Planned => [
            "to create",
            "to update",
            "to describe anew",
            "to delete",
            "to move",
        ],
        _ => ["created", "updated", "described anew", "deleted", "moved"],
    };
    let counts = [
        changes.created,
        changes.updated,
        changes.metadata,
        changes.deleted,
        changes.moved,
    ];
    let mut parts: Vec<_> = counts
        .into_iter()
        .zip(words)
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", number_text(count)))
        .collect();
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    let copied = report.statistics.bytes_copied;
    if copied > 0 {
        parts.push(format!("{} of content", size_text(copied)));
    }
    if !report.conflicts.is_empty() {
        let conflicts = count_text(report.conflicts.len() as u64, "new conflict");
        parts.push(conflicts);
    }
    if !report.skipped.is_empty() {
        let skipped = number_text(report.skipped.len() as u64);
        parts.push(format!("{skipped} skipped"));
    }
    let failed = report.roots.iter().filter(|root| root.failure.is_some());
    match failed.count() as u64 {
        0 => {}
        failed => parts.push(format!("{} failed", count_text(failed, "root"))),
    }
    parts
}

/// The block of `--stats`.
pub(crate) fn statistics(statistics: &Statistics) -> Vec<String> {
    let changes = statistics.changes;
    let bytes = |bytes: u64| format!("{} ({} bytes)", size_text(bytes), number_text(bytes));
    let rows = [
        ("Files scanned", number_text(statistics.files_scanned)),
        (
            "Directories scanned",
            number_text(statistics.directories_scanned),
        ),
        ("Size of the files", bytes(statistics.bytes_scanned)),
        ("Content hashed", bytes(statistics.bytes_hashed)),
        ("Created", number_text(changes.created)),
        ("Updated", number_text(changes.updated)),
        ("Described anew", number_text(changes.metadata)),
        ("Deleted", number_text(changes.deleted)),
        ("Moved", number_text(changes.moved)),
        ("Content copied", bytes(statistics.bytes_copied)),
        ("Content reused", bytes(statistics.bytes_reused)),
        ("Time taken", duration_text(statistics.elapsed)),
    ];
    rows.into_iter()
        .map(|(name, value)| format!("{:<21}{value}", format!("{name}:")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicat::event::RootIndex;
    use replicat::report::{
        Brake, ChangeCounts, HeldDeletions, HeldDirectory, Severity, SkipReason, SpecialKind,
    };
    use replicat_core::entry::Timestamp;
    use replicat_core::id::{ContentHash, FolderId, ReplicaId};
    use replicat_core::path::RelPath;
    use std::time::Duration;

    use super::super::json;

    fn path(bytes: &[u8]) -> RelPath {
        RelPath::new(bytes).unwrap()
    }

    fn version_by(node: &str, seconds: i64, size: u64) -> VersionReport {
        VersionReport {
            node: node.to_owned(),
            when: Timestamp {
                seconds,
                nanoseconds: 5,
            },
            payload: Payload::File {
                content: ContentHash([0xab; 32]),
                size,
                link: None,
            },
        }
    }

    fn root(name: &str) -> RootReport {
        RootReport {
            root: name.into(),
            folder: Some(FolderId(7)),
            replica: Some(ReplicaId(9)),
            name: name.to_owned(),
            changes: ChangeCounts {
                created: 2,
                ..ChangeCounts::default()
            },
            failure: None,
        }
    }

    fn report() -> SyncReport {
        SyncReport {
            outcome: Outcome::Finished,
            in_sync: false,
            roots: vec![root("office"), root("laptop")],
            conflicts: vec![ConflictReport {
                path: path(b"list"),
                copy: path(b"list.conflict-laptop-20261123-003012"),
                winner: version_by("office", 1_795_393_812, 10),
                loser: version_by("laptop", 1_795_393_811, 2048),
                when: Timestamp {
                    seconds: 1_795_393_900,
                    nanoseconds: 0,
                },
            }],
            skipped: vec![Skipped {
                root: RootIndex(1),
                path: path(b"pipe\x1b[2J\xff"),
                reason: SkipReason::Special(SpecialKind::Fifo),
                severity: Severity::Warning,
            }],
            brakes: vec![BrakeReport {
                root: "office".into(),
                brake: Brake::MassDeletion {
                    gone: 600,
                    recorded: 1000,
                    gone_bytes: 6 << 20,
                    recorded_bytes: 10 << 20,
                },
                held: HeldDeletions {
                    here: 600,
                    elsewhere: 0,
                    directories: vec![HeldDirectory {
                        path: path(b"photos"),
                        is_whole: true,
                        files: 590,
                        bytes: 5 << 20,
                    }],
                    more: 10,
                },
            }],
            statistics: Statistics {
                files_scanned: 2_000,
                directories_scanned: 12,
                bytes_scanned: 123_456_789,
                bytes_hashed: 4096,
                changes: ChangeCounts {
                    created: 4,
                    moved: 1,
                    ..ChangeCounts::default()
                },
                bytes_copied: 2058,
                bytes_reused: 0,
                elapsed: Duration::from_millis(812),
            },
        }
    }

    #[test]
    fn people_read_what_happened_and_what_to_do() {
        let report = report();
        let mut lines = vec![
            conflict(&report.conflicts[0], &TimeZone::UTC),
            skipped(&report.skipped[0], &report.roots),
        ];
        lines.extend(brake(&report.brakes[0]));
        lines.push(summary(&report));
        lines.extend(statistics(&report.statistics));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        conflict: list holds 10 B by office of 2026-11-23 00:30:12; 2.0 KiB by laptop of 2026-11-23 00:30:11 is kept as list.conflict-laptop-20261123-003012
        skipped: laptop/pipe\x1b[2J\xff is a named pipe, which cannot be synced
        held: 600 of the 1000 files in office are gone: their deletion is held, and all else is synced
          photos/ with 590 files
          and 10 files elsewhere
          hint: see that the right disk is mounted at office; `replicat approve office` deletes the files everywhere, `replicat reject office` brings them back
        NOT in sync: 2 roots, 4 created, 1 moved, 2.0 KiB of content, 1 new conflict, 1 skipped; 0.81 s
        Files scanned:       2,000
        Directories scanned: 12
        Size of the files:   117.7 MiB (123,456,789 bytes)
        Content hashed:      4.0 KiB (4,096 bytes)
        Created:             4
        Updated:             0
        Described anew:      0
        Deleted:             0
        Moved:               1
        Content copied:      2.0 KiB (2,058 bytes)
        Content reused:      0 B (0 bytes)
        Time taken:          0.81 s
        "#);
    }

    #[test]
    fn a_sync_with_nothing_to_do_says_so() {
        let quiet = SyncReport {
            in_sync: true,
            conflicts: Vec::new(),
            skipped: Vec::new(),
            brakes: Vec::new(),
            statistics: Statistics::default(),
            ..report()
        };
        insta::assert_snapshot!(summary(&quiet), @"in sync: 2 roots, nothing to do; 0.00 s");
        let dry = SyncReport {
            outcome: Outcome::Planned,
            in_sync: false,
            ..report()
        };
        insta::assert_snapshot!(summary(&dry), @"dry run, nothing was changed: 2 roots, 4 to create, 1 to move, 2.0 KiB of content, 1 new conflict, 1 skipped; 0.81 s");
    }

    #[test]
    fn programs_read_the_same() {
        let summary = json::summary(&report());
        let lines: Vec<_> = summary
            .iter()
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        type: "summary"
        in_sync: false
        outcome: "finished"
        exit_code: 4
        roots: [{"root":"office","name":"office","folder":"00000000000000000000000000000007","replica":"0000000000000009","created":2,"updated":0,"metadata":0,"deleted":0,"moved":0,"failure":null},{"root":"laptop","name":"laptop","folder":"00000000000000000000000000000007","replica":"0000000000000009","created":2,"updated":0,"metadata":0,"deleted":0,"moved":0,"failure":null}]
        conflicts: [{"path":"list","copy":"list.conflict-laptop-20261123-003012","when":"2026-11-23T00:31:40Z","winner":{"node":"office","when":"2026-11-23T00:30:12.000000005Z","kind":"file","size":10,"content":"abababababababababababababababababababababababababababababababab"},"loser":{"node":"laptop","when":"2026-11-23T00:30:11.000000005Z","kind":"file","size":2048,"content":"abababababababababababababababababababababababababababababababab"}}]
        skipped: [{"root":"laptop","path":"pipe\u001b[2J�","path_hex":"706970651b5b324aff","reason":"is a named pipe, which cannot be synced","kind":"special","severity":"warning"}]
        brakes: [{"root":"office","kind":"mass-deletion","message":"600 of the 1000 files in office are gone: their deletion is held, and all else is synced","hint":"see that the right disk is mounted at office; `replicat approve office` deletes the files everywhere, `replicat reject office` brings them back","here":600,"elsewhere":0,"directories":[{"path":"photos","whole":true,"files":590,"bytes":5242880}],"more":10}]
        statistics: {"files_scanned":2000,"directories_scanned":12,"bytes_scanned":123456789,"bytes_hashed":4096,"created":4,"updated":0,"metadata":0,"deleted":0,"moved":1,"bytes_copied":2058,"bytes_reused":0,"elapsed_ms":812}
        "#);
    }
}
