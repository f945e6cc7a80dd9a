//! What the commands that look at one root print for people.

use std::path::Path;

use jiff::tz::TimeZone;
use replicat::inspection::{Approval, MemberStanding, Status};
use replicat::report::Brake;

use super::terminal::{count_text, number_text, root_text, sentence, size_text, time_text};
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
        row("Left out", &count_text(status.excluded, "path")),
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
    lines.extend(status.brake.map(|brake| row("held", &braked(brake))));
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
    lines.extend(text::all_skipped(&status.skipped, &[]));
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
        Brake::MassDeletion {
            gone,
            recorded,
            gone_bytes,
            ..
        } => format!(
            "the deletion of {} of {} ({}); `replicat approve` deletes them everywhere, `replicat reject` brings them back",
            number_text(gone),
            count_text(recorded, "file"),
            size_text(gone_bytes)
        ),
        Brake::MaxDelete { planned, allowed } => format!(
            "the deletion of {}, where {} is allowed; `replicat approve` deletes them everywhere, `replicat reject` brings them back",
            count_text(planned, "file"),
            number_text(allowed)
        ),
    }
}

/// What was let go on.
pub(crate) fn approval(root: &Path, approved: Approval) -> String {
    let root = root_text(root);
    match approved {
        Approval::Needless => format!("no deletion is held in {root}; nothing to approve"),
        Approval::NewReplica => {
            format!("{root} joins as a new replica: the next sync brings it what the others hold")
        }
        Approval::Brake(brake) => format!(
            "{root}: the next sync deletes {} in all roots",
            count_text(brake.files(), "file")
        ),
    }
}

/// What was rejected.
pub(crate) fn rejection(root: &Path, rejected: Option<Brake>) -> String {
    let root = root_text(root);
    match rejected {
        None => format!("no deletion is held in {root}; nothing to reject"),
        Some(brake) => format!(
            "{root}: the next sync brings back {}",
            count_text(brake.files(), "file")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicat::inspection::{MemberStatus, TrashStatus};
    use replicat_core::entry::Timestamp;
    use replicat_core::id::{FolderId, ReplicaId};

    use super::super::look_json;

    const WHEN: Timestamp = Timestamp {
        seconds: 1_795_393_812,
        nanoseconds: 0,
    };

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
            excluded: 7,
            conflicts: 2,
            brake: Some(Brake::MassDeletion {
                gone: 600,
                recorded: 1000,
                gone_bytes: 3 << 20,
                recorded_bytes: 5 << 20,
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

    #[test]
    fn people_read_how_a_root_stands() {
        let lines = status(&a_status(), &TimeZone::UTC);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        Root:          office
        Folder:        00000000000000000000000000000007
        Replica:       office (0000000000000009)
        Last sync:     2026-11-23 00:30:12
        Holds:         50,000 files, 1 directory, 3 links, 2.0 GiB
        Waiting:       0 paths
        Left out:      7 paths
        Conflicts:     2
        Trash:         12 versions, 4.0 KiB
        Index:         1.0 MiB
        held:          the deletion of 600 of 1,000 files (3.0 MiB); `replicat approve` deletes them everywhere, `replicat reject` brings them back
        Other replica: laptop (000000000000000a) behind
        "#);
    }

    #[test]
    fn programs_read_the_same() {
        let object = look_json::status(&a_status());
        let line = serde_json::to_string(&object).unwrap();
        insta::assert_snapshot!(line, @r#"
        {"type":"status","root":"office","folder":"00000000000000000000000000000007","replica":"0000000000000009","name":"office","last_sync":"2026-11-23T00:30:12Z","files":50000,"directories":1,"symlinks":3,"bytes":2147483648,"pending":0,"excluded":7,"conflicts":2,"brake":{"kind":"mass-deletion","gone":600,"recorded":1000,"gone_bytes":3145728,"recorded_bytes":5242880},"skipped":[],"members":[{"replica":"000000000000000a","name":"laptop","up_to_date":false}],"trash_versions":12,"trash_bytes":4096,"index_bytes":1048576}
        "#);
    }
}
