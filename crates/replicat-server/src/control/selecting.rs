//! What a folder selects: commands as the engine understands them, and what it answers as JSON. The format is laid down in
//! `docs/cli.md`.

use replicat_engine::selection::{Pruned, Selected, SelectionChange, StayReason, StayingCopy};

use super::answering::Refusal;
use super::json::{Object, object, put, put_bytes};
use super::{Command, PathText};
use crate::server::ReplicatServer;

/// How a selection is to change: `word` is `set`, `add`, `remove` or `all`.
///
/// # Errors
/// What is wrong with the word, or with one of the paths.
pub fn change(word: &str, paths: &[PathText]) -> Result<SelectionChange, String> {
    let paths = paths
        .iter()
        .map(PathText::path)
        .collect::<Result<Vec<_>, _>>()?;
    match (word, paths.is_empty()) {
        ("all", true) => Ok(SelectionChange::Everything),
        ("all", false) => Err("all takes no paths".to_owned()),
        ("set" | "add" | "remove", true) => Err(format!("{word} takes at least one path")),
        ("set", false) => Ok(SelectionChange::Only(paths)),
        ("add", false) => Ok(SelectionChange::Add(paths)),
        ("remove", false) => Ok(SelectionChange::Remove(paths)),
        (other, _) => Err(format!("{other:?} is none of set, add, remove, all")),
    }
}

/// Carries out a command that changes a selection, or removes copies; `None` if it is another.
pub(super) fn carry_out(
    server: &ReplicatServer,
    command: &Command,
) -> Result<Option<Object>, Refusal> {
    match command {
        Command::Select {
            folder,
            change: word,
            paths,
        } => {
            let change = change(word, paths).map_err(Refusal::Usage)?;
            Ok(Some(selection(&server.live(folder)?.select(change)?)))
        }
        Command::Prune { folder, dry_run } => {
            Ok(Some(pruned(&server.live(folder)?.prune(*dry_run)?)))
        }
        _ => Ok(None),
    }
}

/// What is selected.
#[must_use]
pub fn selection(selected: &Selected) -> Object {
    let mut object = object("selection");
    put(
        &mut object,
        "everything",
        selected.selection.is_everything(),
    );
    let marks = selected.selection.marks().map(|(path, is_selected)| {
        let mut mark = Object::new();
        put_bytes(&mut mark, "path", path.as_bytes());
        put(&mut mark, "selected", is_selected);
        mark
    });
    put(&mut object, "marks", marks.collect::<Vec<_>>());
    put(&mut object, "by_settings", selected.is_by_settings);
    object
}

/// What became of the local copies of what is not selected.
#[must_use]
pub fn pruned(pruned: &Pruned) -> Object {
    let mut object = object("pruned");
    put(&mut object, "dry_run", pruned.dry_run);
    put(&mut object, "files", pruned.files);
    put(&mut object, "bytes", pruned.bytes);
    put(&mut object, "directories", pruned.directories);
    let staying = pruned.staying.iter().map(staying);
    put(&mut object, "staying", staying.collect::<Vec<_>>());
    put(&mut object, "more", pruned.more);
    object
}

fn staying(copy: &StayingCopy) -> Object {
    let mut object = Object::new();
    put_bytes(&mut object, "path", copy.path.as_bytes());
    let kind = match copy.reason {
        StayReason::NotElsewhere => "not-elsewhere",
        StayReason::Changed => "changed",
        StayReason::Conflict => "conflict",
        StayReason::Overtaken => "overtaken",
        StayReason::Patterns => "patterns",
        StayReason::NotEmpty => "not-empty",
        StayReason::Failed(_) => "failed",
    };
    put(&mut object, "kind", kind);
    put(&mut object, "reason", copy.reason.to_string());
    object
}
