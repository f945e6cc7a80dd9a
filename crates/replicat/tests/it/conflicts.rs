//! Conflicts: what was changed on several roots at once.
