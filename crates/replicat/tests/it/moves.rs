//! Moves: renames are carried out as renames, and edits follow.
