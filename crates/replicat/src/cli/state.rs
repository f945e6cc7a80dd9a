//! Where state lies that belongs to no root, if nobody says.

use std::env;
use std::path::PathBuf;

/// Of the manager on this host; `None` if the environment names no place.
pub(crate) fn of_manager() -> Option<PathBuf> {
    Some(place()?.join("manager"))
}

/// Of a node with a manager.
pub(crate) fn of_node(name: &str) -> Option<PathBuf> {
    Some(place()?.join("nodes").join(name))
}

/// Of which directories were roots before.
pub(crate) fn of_roots() -> Option<PathBuf> {
    Some(place()?.join("roots"))
}

/// As the XDG base directory specification has it, and for root where services keep theirs.
fn place() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let state = match variable("XDG_STATE_HOME") {
        Some(state) => PathBuf::from(state),
        None if rustix::process::geteuid().is_root() => PathBuf::from("/var/lib"),
        None => PathBuf::from(variable("HOME")?).join(".local/state"),
    };
    Some(state.join("replicat"))
}
