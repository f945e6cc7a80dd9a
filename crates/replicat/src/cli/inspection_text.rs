//! What there is to say of paths, for people: versions, conflicts, what became of them.

use jiff::tz::TimeZone;

use super::fields::{is_set, number, objects, path, shown, text, texts, time};
use super::json::Object;
use super::terminal::{number_text, sentence, size_text};

/// An object of this `kind`, as lines; `None` if it is not one of these.
pub(crate) fn lines(kind: &str, object: &Object, zone: &TimeZone) -> Option<Vec<String>> {
    Some(match kind {
        "conflict" => conflict(object, zone),
        "resolution" => vec![resolution(object)],
        "version" => vec![version(object, zone)],
        "restoration" => vec![restoration(object, zone)],
        "reverted" => reverted(object),
        "not-restored" => vec![format!(
            "{} is not restored: {}",
            path(object, "path"),
            sentence(text(object, "reason"))
        )],
        "trash-item" => vec![trash_item(object, zone)],
        "trash" => vec![format!("{} in the trash", versions(object))],
        "trash-emptied" => vec![format!("{} removed from the trash", versions(object))],
        "explanation" => explanation(object),
        "forgotten" => forgotten(object),
        "selection" => selection(object),
        "pruned" => pruned(object),
        "path" => vec![entry(object, zone)],
        "uploaded" => vec![uploaded(object)],
        "downloaded" => vec![downloaded(object)],
        "removed" => vec![format!("{} is in the trash", path(object, "path"))],
        _ => return None,
    })
}

/// A conflict that nobody has resolved.
fn conflict(object: &Object, zone: &TimeZone) -> Vec<String> {
    vec![
        path(object, "path"),
        format!("  at the path: {}", side(object, "winner", zone)),
        format!("  in the copy: {}", side(object, "loser", zone)),
        format!("  the copy is: {}", path(object, "copy")),
    ]
}

/// The replicas that were forgotten.
fn forgotten(object: &Object) -> Vec<String> {
    let line = |replica: &Object| {
        format!(
            "Forgot replica {} ({}).",
            shown(replica, "name"),
            shown(replica, "replica")
        )
    };
    objects(object, "replicas").map(line).collect()
}

/// One side of a conflict: what, by whom, when.
fn side(object: &Object, key: &str, zone: &TimeZone) -> String {
    let Some(side) = object.get(key).and_then(|side| side.as_object()) else {
        return String::new();
    };
    let what = match text(side, "kind") {
        "file" => size_text(number(side, "size")),
        "symlink" => format!("the link to {}", path(side, "target")),
        "deleted" => "the deletion".to_owned(),
        kind => format!("the {}", sentence(kind)),
    };
    let when = time(side, "when", zone);
    format!("{what} by {} of {when}", shown(side, "node"))
}

/// What became of a conflict.
fn resolution(object: &Object) -> String {
    let (at, copy) = (path(object, "path"), path(object, "copy"));
    match text(object, "kept") {
        "winner" => format!("{at} is kept; {copy} is in the trash"),
        "copy" => format!("{copy} is now {at}; what that held is in the trash"),
        "both" => format!("{at} and {copy} are both kept"),
        _ => format!("{at} stays as it is here; what was missing is given up"),
    }
}

/// One version in a path's history.
fn version(object: &Object, zone: &TimeZone) -> String {
    let other = || path(object, "other");
    let change = match text(object, "change") {
        "metadata" => "described anew".to_owned(),
        "moved-from" => format!("moved from {}", other()),
        "moved-to" => format!("moved to {}", other()),
        "conflict-copy-of" => format!("conflict copy of {}", other()),
        change => sentence(change),
    };
    let keeping = match text(object, "keeping") {
        "current" => "current",
        "trash" => "in the trash",
        _ if matches!(text(object, "change"), "deleted" | "moved-to") => "-",
        _ => "not here",
    };
    format!(
        "{:>3}  {}  {:>10}  {keeping:<12}  {}: {change}",
        number(object, "revision"),
        time(object, "when", zone),
        size_text(number(object, "size")),
        node(object),
    )
}

/// What was restored, or would be.
fn restoration(object: &Object, zone: &TimeZone) -> String {
    let at = path(object, "path");
    let (revision, size) = (number(object, "revision"), number(object, "size"));
    let (size, when) = (size_text(size), time(object, "when", zone));
    let made = format!("of {when} by {}", node(object));
    let from = match text(object, "from") {
        "trash" => "from the trash".to_owned(),
        "folder" => "from the folder".to_owned(),
        "node" => format!("from the node {}", shown(object, "from_node")),
        _ => "to be fetched from another node".to_owned(),
    };
    let is_planned = object.get("planned").and_then(serde_json::Value::as_bool);
    match is_planned.unwrap_or(false) {
        true => format!("{at} would hold version {revision} again, {size}, {made}, {from}"),
        false => format!("{at} holds version {revision} again, {size}, {made}, {from}"),
    }
}

/// Something in the trash.
fn trash_item(object: &Object, zone: &TimeZone) -> String {
    let at = match text(object, "path") {
        "" => format!("{} (its directory is not known)", path(object, "name")),
        _ => path(object, "path"),
    };
    let reason = match text(object, "reason") {
        "deleted" => format!("deleted by {}", node(object)),
        "replaced" => format!("replaced by {}", node(object)),
        _ => "displaced".to_owned(),
    };
    let (when, size) = (
        time(object, "when", zone),
        size_text(number(object, "size")),
    );
    format!("{when}  {size:>10}  {at}  {reason}")
}

fn versions(object: &Object) -> String {
    let (versions, bytes) = (number(object, "versions"), number(object, "bytes"));
    let noun = if versions == 1 { "version" } else { "versions" };
    format!("{versions} {noun}, {}", size_text(bytes))
}

/// The author of a version.
fn node(object: &Object) -> String {
    match text(object, "node") {
        "" => "an unknown node".to_owned(),
        _ => shown(object, "node"),
    }
}

/// The local changes that are dropped, or would be.
fn reverted(object: &Object) -> Vec<String> {
    let verb = match super::fields::is_set(object, "dry_run") {
        true => "would be reverted",
        false => "is reverted",
    };
    let told = objects(object, "changes").map(|change| {
        let path = path(change, "path");
        let place = if path.is_empty() { "." } else { &path };
        let change = shown(change, "change");
        format!("{place} {verb}: it was {change} here")
    });
    let lines: Vec<String> = told.collect();
    match lines.is_empty() {
        true => vec!["nothing to revert: peers refuse no local change".to_owned()],
        false => lines,
    }
}

/// What is selected: the marks, from the root on.
fn selection(object: &Object) -> Vec<String> {
    if is_set(object, "everything") {
        return vec!["everything is selected".to_owned()];
    }
    let mark = |mark| {
        let path = path(mark, "path");
        match (is_set(mark, "selected"), path.is_empty()) {
            (true, _) => format!("selected      {path}"),
            (false, true) => "not selected  everything else".to_owned(),
            (false, false) => format!("not selected  {path}"),
        }
    };
    let by = is_set(object, "by_settings").then(|| "the settings of the node say so".to_owned());
    objects(object, "marks").map(mark).chain(by).collect()
}

/// What became of local copies.
fn pruned(object: &Object) -> Vec<String> {
    let verb = match is_set(object, "dry_run") {
        true => "would be moved",
        false => "moved",
    };
    let (files, directories) = (number(object, "files"), number(object, "directories"));
    let noun = if files == 1 { "file" } else { "files" };
    let above = match directories {
        0 => String::new(),
        1 => ", from 1 directory".to_owned(),
        more => format!(", from {} directories", number_text(more)),
    };
    let size = size_text(number(object, "bytes"));
    let moved = format!(
        "{} {noun} ({size}){above} {verb} to the trash",
        number_text(files)
    );
    let staying = objects(object, "staying").map(|copy| {
        let reason = sentence(text(copy, "reason"));
        format!("{} stays: {reason}", path(copy, "path"))
    });
    let more = match number(object, "more") {
        0 => None,
        more => Some(format!("{} more stay", number_text(more))),
    };
    staying.chain(more).chain([moved]).collect()
}

/// Why a path is as it is.
fn explanation(object: &Object) -> Vec<String> {
    let facts = texts(object, "facts").map(|fact| format!("  {}", sentence(fact)));
    std::iter::once(path(object, "path")).chain(facts).collect()
}

/// One path of a tree, much as `ls -l` shows it.
fn entry(object: &Object, zone: &TimeZone) -> String {
    let kind = text(object, "kind");
    let slash = if kind == "directory" { "/" } else { "" };
    let target = match object.contains_key("target") {
        true => format!(" -> {}", path(object, "target")),
        false => String::new(),
    };
    let state = match text(object, "state") {
        "pending" => "  (waiting for its content)",
        "conflict-copy" => "  (conflict copy)",
        "excluded" => "  (not synced here)",
        _ => "",
    };
    format!(
        "{}  {:>15}  {:<19}  {}{slash}{target}{state}",
        mode(kind, text(object, "mode")),
        number_text(number(object, "size")),
        time(object, "mtime", zone),
        path(object, "path"),
    )
}

/// Kind and permissions, which come as octal digits, as `ls -l` shows them: `drwxr-x--T`.
fn mode(kind: &str, octal: &str) -> String {
    let letter = match kind {
        "directory" => 'd',
        "symlink" => 'l',
        _ => '-',
    };
    let Ok(mode) = u32::from_str_radix(octal, 8) else {
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

fn uploaded(object: &Object) -> String {
    let size = size_text(number(object, "size"));
    let verb = match super::fields::is_set(object, "created") {
        true => "is new",
        false => "is replaced",
    };
    format!("{} {verb}, {size}", path(object, "path"))
}

fn downloaded(object: &Object) -> String {
    let size = size_text(number(object, "size"));
    format!(
        "{} is in {}, {size}",
        path(object, "path"),
        path(object, "output")
    )
}

#[cfg(test)]
mod tests {
    use super::super::teller::tests::told;
    use super::*;

    #[test]
    fn people_read_versions_and_paths() {
        let rows = [
            r#"{"type":"version","revision":1,"when":"2026-11-23T00:30:12Z","node":"office","change":"moved-from","other":"b","size":2048,"content":null,"keeping":"current"}"#,
            r#"{"type":"version","revision":2,"when":"2026-11-23T00:30:12Z","node":"off\u001bice","change":"edited","size":2048,"content":null,"keeping":"trash"}"#,
            r#"{"type":"path","path":"tmp","kind":"directory","size":0,"mode":"1777","mtime":"2026-11-23T00:30:12Z","content":null,"state":"present"}"#,
            r#"{"type":"path","path":"link?","path_hex":"6c696e6bff","kind":"symlink","size":0,"mode":null,"mtime":253402300800,"target":"a\nb","content":null,"state":"pending"}"#,
        ];
        let lines: Vec<_> = rows.iter().map(|row| told(row)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
          1  2026-11-23 00:30:12     2.0 KiB  current       office: moved from b
          2  2026-11-23 00:30:12     2.0 KiB  in the trash  off\x1bice: edited
        drwxrwxrwt                0  2026-11-23 00:30:12  tmp/
        l?????????                0  @253402300800        link\xff -> a\nb  (waiting for its content)
        ");
    }

    #[test]
    fn people_read_what_became_of_a_conflict() {
        let resolved = |kept: &str| {
            told(&format!(
                r#"{{"type":"resolution","path":"a","copy":"a.conflict","kept":"{kept}"}}"#
            ))
        };
        assert_eq!(resolved("winner"), "a is kept; a.conflict is in the trash");
        assert_eq!(
            resolved("copy"),
            "a.conflict is now a; what that held is in the trash"
        );
        assert_eq!(resolved("both"), "a and a.conflict are both kept");
        let conflict = r#"{"type":"conflict","path":"a","copy":"b","when":"2026-11-23T00:30:12Z",
            "winner":{"node":"x","when":"2026-11-23T00:30:12Z","kind":"file","size":12},
            "loser":{"node":"y","when":"2026-11-23T00:30:12Z","kind":"deleted"}}"#;
        insta::assert_snapshot!(told(conflict), @r"
        a
          at the path: 12 B by x of 2026-11-23 00:30:12
          in the copy: the deletion by y of 2026-11-23 00:30:12
          the copy is: b
        ");
    }

    #[test]
    fn modes_read_as_ls_shows_them() {
        assert_eq!(mode("file", "0644"), "-rw-r--r--");
        assert_eq!(mode("file", "4755"), "-rwsr-xr-x");
        assert_eq!(mode("file", "2640"), "-rw-r-S---");
        assert_eq!(mode("file", "1666"), "-rw-rw-rwT");
        assert_eq!(mode("symlink", ""), "l?????????");
    }
}
