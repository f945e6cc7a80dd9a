//! What the commands that look at one root print for people.

use std::path::Path;

use jiff::tz::TimeZone;
use replicat::event::ItemKind;
use replicat::inspection::{
    Approval, Explanation, HistoryChange, HistoryRow, Keep, Keeping, MemberStanding, Resolution,
    Restoration, Status, TreeRow, TreeState,
};
use replicat::report::{Brake, ConflictReport};
use replicat_core::path::RelPath;

use super::terminal::{
    count_text, number_text, path_text, root_text, sentence, size_text, time_text,
};
use super::text;

/// How a root stands.
pub(crate) fn status(status: &Status, zone: &TimeZone) -> Vec<String> {
    let last_sync = status.last_sync;
    let last_sync = last_sync.map_or("never".to_owned(), |time| time_text(time, zone));
    let mut lines = vec![
        row("Root", &root_text(&status.root)),
        row("Folder", &status.folder.to_string()),
        row(
            "Replica",
            &format!("{} ({})", sentence(&status.name), status.replica),
        ),
        row("Last sync", &last_sync),
        row("Holds", &holdings(status)),
        row("Waiting", &count_text(status.pending, "path")),
        row("Conflicts", &number_text(status.conflicts)),
        row(
            "Trash",
            &format!(
                "{}, {}",
                count_text(status.trash.versions, "version"),
                size_text(status.trash.bytes)
            ),
        ),
        row("Index", &size_text(status.index_bytes)),
    ];
    lines.extend(status.brake.map(|brake| row("STOPPED", &braked(brake))));
    for member in &status.members {
        let standing = match member.standing {
            MemberStanding::UpToDate => "up to date",
            MemberStanding::Behind => "behind",
        };
        let name = sentence(&member.name);
        lines.push(row(
            "Other replica",
            &format!("{name} ({}) {standing}", member.replica),
        ));
    }
    for skipped in &status.skipped {
        lines.push(text::skipped(skipped, &[]));
    }
    lines
}

fn row(name: &str, value: &str) -> String {
    format!("{:<15}{value}", format!("{name}:"))
}

fn holdings(status: &Status) -> String {
    format!(
        "{}, {}, {}, {}",
        count_text(status.files, "file"),
        match status.directories {
            1 => "1 directory".to_owned(),
            directories => format!("{} directories", number_text(directories)),
        },
        count_text(status.symlinks, "link"),
        size_text(status.bytes)
    )
}

fn braked(brake: Brake) -> String {
    match brake {
        Brake::MassDeletion { gone, recorded } => format!(
            "{} of {} are gone; `replicat approve` if that is right",
            number_text(gone),
            count_text(recorded, "path")
        ),
        Brake::MaxDelete { planned, allowed } => format!(
            "{} to delete, {} allowed",
            number_text(planned),
            number_text(allowed)
        ),
    }
}

/// A conflict that nobody has resolved.
pub(crate) fn conflict(report: &ConflictReport, zone: &TimeZone) -> Vec<String> {
    vec![
        shown(&report.path),
        format!("  at the path: {}", text::version(&report.winner, zone)),
        format!("  in the copy: {}", text::version(&report.loser, zone)),
        format!("  the copy is: {}", shown(&report.copy)),
    ]
}

/// What became of a conflict.
pub(crate) fn resolution(resolution: &Resolution) -> String {
    let path = shown(&resolution.path);
    let copy = resolution.copy.as_ref().map(shown).unwrap_or_default();
    match resolution.kept {
        Keep::Local => format!("{path} stays as it is here; what was missing is given up"),
        Keep::Winner => format!("{path} is kept; {copy} is in the trash"),
        Keep::Copy => format!("{copy} is now {path}; what that held is in the trash"),
        Keep::Both => format!("{path} and {copy} are both kept"),
    }
}

/// One version in a path's history.
pub(crate) fn history(row: &HistoryRow, zone: &TimeZone) -> String {
    let change = match &row.change {
        HistoryChange::Created => "created".to_owned(),
        HistoryChange::Edited => "edited".to_owned(),
        HistoryChange::Described => "described anew".to_owned(),
        HistoryChange::Deleted => "deleted".to_owned(),
        HistoryChange::MovedFrom(from) => format!("moved from {}", shown(from)),
        HistoryChange::MovedTo(to) => format!("moved to {}", shown(to)),
        HistoryChange::ConflictCopyOf(of) => format!("conflict copy of {}", shown(of)),
        HistoryChange::Restored => "restored".to_owned(),
    };
    let keeping = match row.keeping {
        Keeping::Current => "current",
        Keeping::Trash => "in the trash",
        Keeping::Gone => "-",
    };
    format!(
        "{:>3}  {}  {:>10}  {:<12}  {}: {change}",
        row.revision.0,
        time_text(row.when, zone),
        size_text(row.size),
        keeping,
        sentence(&row.node),
    )
}

/// What was restored.
pub(crate) fn restoration(restoration: &Restoration) -> String {
    format!(
        "{} holds version {} again, {}",
        shown(&restoration.path),
        restoration.revision.0,
        size_text(restoration.size)
    )
}

/// Why a path is as it is.
pub(crate) fn explanation(explanation: &Explanation) -> Vec<String> {
    let facts = explanation.facts.iter();
    std::iter::once(shown(&explanation.path))
        .chain(facts.map(|fact| format!("  {}", sentence(fact))))
        .collect()
}

/// What was let go on.
pub(crate) fn approval(root: &Path, approved: Approval) -> String {
    let root = root_text(root);
    match approved {
        Approval::Needless => format!("nothing holds {root}"),
        Approval::NewReplica => {
            format!("{root} joins as a new replica: the next sync brings it what the others hold")
        }
        Approval::Brake(Brake::MassDeletion { gone, .. }) => format!(
            "{root}: the next sync carries the deletion of {} to the other roots",
            count_text(gone, "path")
        ),
        Approval::Brake(Brake::MaxDelete { planned, .. }) => format!(
            "{root}: the next sync may delete {} there",
            count_text(planned, "path")
        ),
    }
}

/// One path of a root, much as `ls -l` shows it.
pub(crate) fn tree(row: &TreeRow, zone: &TimeZone) -> String {
    let mtime = row
        .mtime
        .map_or("-".to_owned(), |time| time_text(time, zone));
    let slash = if row.kind == ItemKind::Directory {
        "/"
    } else {
        ""
    };
    let target = row.target.as_deref();
    let target = target.map_or(String::new(), |target| format!(" -> {}", path_text(target)));
    let state = match row.state {
        TreeState::Present => "",
        TreeState::Pending => "  (waiting for its content)",
        TreeState::ConflictCopy => "  (conflict copy)",
    };
    format!(
        "{}  {:>15}  {mtime:<19}  {}{slash}{target}{state}",
        mode_text(row.kind, row.mode),
        number_text(row.size),
        path_text(row.path.as_bytes()),
    )
}

/// Kind and permissions as `ls -l` shows them: `drwxr-x--T`.
fn mode_text(kind: ItemKind, mode: Option<u32>) -> String {
    let letter = match kind {
        ItemKind::File => '-',
        ItemKind::Directory => 'd',
        ItemKind::Symlink => 'l',
    };
    let Some(mode) = mode else {
        return format!("{letter}?????????");
    };
    let mut text = String::from(letter);
    for (shift, special, set) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => set,
            (true, false) => set.to_ascii_uppercase(),
        });
    }
    text
}

fn shown(path: &RelPath) -> String {
    path_text(path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicat::inspection::{MemberStatus, Revision, TrashStatus};
    use replicat_core::entry::Timestamp;
    use replicat_core::id::{FolderId, ReplicaId};

    use super::super::look_json;

    const WHEN: Timestamp = Timestamp {
        seconds: 1_795_393_812,
        nanoseconds: 0,
    };

    fn path(bytes: &[u8]) -> RelPath {
        RelPath::new(bytes).unwrap()
    }

    fn a_status() -> Status {
        Status {
            root: "office".into(),
            folder: FolderId(7),
            replica: ReplicaId(9),
            name: "office".to_owned(),
            last_sync: Some(WHEN),
            files: 50_000,
            directories: 1,
            symlinks: 3,
            bytes: 1 << 31,
            pending: 0,
            conflicts: 2,
            brake: Some(Brake::MassDeletion {
                gone: 600,
                recorded: 1000,
            }),
            skipped: Vec::new(),
            members: vec![MemberStatus {
                replica: ReplicaId(10),
                name: "laptop".to_owned(),
                standing: MemberStanding::Behind,
            }],
            trash: TrashStatus {
                versions: 12,
                bytes: 4096,
            },
            index_bytes: 1 << 20,
        }
    }

    fn rows() -> [HistoryRow; 2] {
        let row = |revision, change, keeping| HistoryRow {
            revision: Revision(revision),
            when: WHEN,
            node: "office".to_owned(),
            change,
            size: 2048,
            content: None,
            keeping,
        };
        [
            row(1, HistoryChange::MovedFrom(path(b"b")), Keeping::Current),
            row(2, HistoryChange::Edited, Keeping::Trash),
        ]
    }

    fn tree_rows() -> [TreeRow; 2] {
        let row = |path, kind, mode, target: Option<&[u8]>| TreeRow {
            path,
            kind,
            size: 0,
            mode,
            mtime: Some(WHEN),
            target: target.map(<[u8]>::to_vec),
            content: None,
            state: TreeState::Present,
        };
        [
            row(path(b"tmp"), ItemKind::Directory, Some(0o1777), None),
            row(path(b"link\xff"), ItemKind::Symlink, None, Some(b"a\nb")),
        ]
    }

    #[test]
    fn people_read_how_a_root_stands() {
        let mut lines = status(&a_status(), &TimeZone::UTC);
        lines.extend(rows().iter().map(|row| history(row, &TimeZone::UTC)));
        lines.extend(tree_rows().iter().map(|row| tree(row, &TimeZone::UTC)));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        Root:          office
        Folder:        00000000000000000000000000000007
        Replica:       office (0000000000000009)
        Last sync:     2026-11-23 00:30:12
        Holds:         50,000 files, 1 directory, 3 links, 2.0 GiB
        Waiting:       0 paths
        Conflicts:     2
        Trash:         12 versions, 4.0 KiB
        Index:         1.0 MiB
        STOPPED:       600 of 1,000 paths are gone; `replicat approve` if that is right
        Other replica: laptop (000000000000000a) behind
          1  2026-11-23 00:30:12     2.0 KiB  current       office: moved from b
          2  2026-11-23 00:30:12     2.0 KiB  in the trash  office: edited
        drwxrwxrwt                0  2026-11-23 00:30:12  tmp/
        l?????????                0  2026-11-23 00:30:12  link\xff -> a\nb
        "#);
    }

    #[test]
    fn programs_read_the_same() {
        let objects = [
            look_json::status(&a_status()),
            look_json::history(&rows()[0]),
            look_json::tree(&tree_rows()[1]),
        ];
        let lines: Vec<_> = objects
            .iter()
            .map(|object| serde_json::to_string(object).unwrap())
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"type":"status","root":"office","folder":"00000000000000000000000000000007","replica":"0000000000000009","name":"office","last_sync":"2026-11-23T00:30:12Z","files":50000,"directories":1,"symlinks":3,"bytes":2147483648,"pending":0,"conflicts":2,"brake":{"kind":"mass-deletion","gone":600,"recorded":1000},"skipped":[],"members":[{"replica":"000000000000000a","name":"laptop","up_to_date":false}],"trash_versions":12,"trash_bytes":4096,"index_bytes":1048576}
        {"type":"version","revision":1,"when":"2026-11-23T00:30:12Z","node":"office","change":"moved-from","other":"b","size":2048,"content":null,"keeping":"current"}
        {"type":"path","path":"link�","path_hex":"6c696e6bff","kind":"symlink","size":0,"mode":null,"mtime":"2026-11-23T00:30:12Z","target":"a\nb","content":null,"state":"present"}
        "#);
    }

    #[test]
    fn modes_read_as_ls_shows_them() {
        let text = |mode| mode_text(ItemKind::File, Some(mode));
        assert_eq!(text(0o644), "-rw-r--r--");
        assert_eq!(text(0o4755), "-rwsr-xr-x");
        assert_eq!(text(0o2640), "-rw-r-S---");
        assert_eq!(text(0o1666), "-rw-rw-rwT");
        assert_eq!(mode_text(ItemKind::Symlink, None), "l?????????");
    }
}
