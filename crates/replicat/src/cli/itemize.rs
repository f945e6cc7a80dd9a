//! One line for each change, with rsync's codes where they mean the same (see `docs/cli.md`).

use replicat::event::{Aspect, Aspects, ItemChange, ItemKind, PlanItem};
use replicat_core::path::RelPath;

use super::terminal::path_text;

/// The code of a change: eleven characters `YXcstpoguax`, or a word after a `*`.
pub(crate) fn code(item: &PlanItem) -> String {
    match &item.change {
        ItemChange::Create => match item.kind {
            ItemKind::File => ">f+++++++++".into(),
            ItemKind::Directory => "cd+++++++++".into(),
            ItemKind::Symlink => "cL+++++++++".into(),
        },
        ItemChange::HardLink { .. } => format!("h{}+++++++++", kind_letter(item.kind)),
        ItemChange::Update(differs) => {
            let action = if item.kind == ItemKind::File {
                '>'
            } else {
                'c'
            };
            aspects_code(action, item.kind, *differs)
        }
        ItemChange::Metadata(differs) => aspects_code('.', item.kind, *differs),
        ItemChange::Delete => "*deleting  ".into(),
        ItemChange::Move { .. } => "*moving    ".into(),
        ItemChange::ConflictCopy { .. } => "*conflict  ".into(),
    }
}

fn kind_letter(kind: ItemKind) -> char {
    match kind {
        ItemKind::File => 'f',
        ItemKind::Directory => 'd',
        ItemKind::Symlink => 'L',
    }
}

fn aspects_code(action: char, kind: ItemKind, differs: Aspects) -> String {
    const PLACES: [Option<(Aspect, char)>; 9] = [
        Some((Aspect::Content, 'c')),
        Some((Aspect::Size, 's')),
        Some((Aspect::Mtime, 't')),
        Some((Aspect::Mode, 'p')),
        Some((Aspect::User, 'o')),
        Some((Aspect::Group, 'g')),
        None, // rsync's access and creation times.
        Some((Aspect::Acl, 'a')),
        Some((Aspect::Xattrs, 'x')),
    ];
    let letters = PLACES.iter().map(|place| match place {
        Some((aspect, letter)) if differs.contains(*aspect) => *letter,
        _ => '.',
    });
    [action, kind_letter(kind)]
        .into_iter()
        .chain(letters)
        .collect()
}

/// The line of `--itemize-changes`. `root` is the root as it is to be printed.
pub(crate) fn itemized(item: &PlanItem, root: &str) -> String {
    let place = place(root, &item.path, item.kind);
    let code = code(item);
    match &item.change {
        ItemChange::Move { from } => {
            format!("{code} {} -> {place}", self::place(root, from, item.kind))
        }
        ItemChange::HardLink { to } => {
            format!("{code} {place} => {}", self::place(root, to, item.kind))
        }
        ItemChange::ConflictCopy { of } => {
            format!("{code} {place} (of {})", path_text(of.as_bytes()))
        }
        _ => format!("{code} {place}"),
    }
}

/// The line of `--verbose`.
pub(crate) fn named(item: &PlanItem, root: &str) -> String {
    let place = place(root, &item.path, item.kind);
    match &item.change {
        ItemChange::Delete => format!("deleting {place}"),
        ItemChange::Move { from } => {
            format!("moving {} -> {place}", self::place(root, from, item.kind))
        }
        ItemChange::ConflictCopy { of } => {
            format!("{place} (conflict copy of {})", path_text(of.as_bytes()))
        }
        _ => place,
    }
}

/// A path below its root, with a slash behind a directory.
fn place(root: &str, path: &RelPath, kind: ItemKind) -> String {
    let tail = match kind {
        ItemKind::Directory if !path.is_root() => "/",
        _ => "",
    };
    let root = root.trim_end_matches('/');
    format!("{root}/{}{tail}", path_text(path.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicat::event::RootIndex;

    fn item(path: &[u8], kind: ItemKind, change: ItemChange) -> PlanItem {
        PlanItem {
            root: RootIndex(1),
            path: RelPath::new(path).unwrap(),
            kind,
            size: 5,
            change,
        }
    }

    fn aspects(aspects: &[Aspect]) -> Aspects {
        aspects.iter().copied().collect()
    }

    fn items() -> Vec<PlanItem> {
        use Aspect::{Acl, Content, Group, Mode, Mtime, Size, User, Xattrs};
        use ItemKind::{Directory, File, Symlink};
        let every = [Content, Size, Mtime, Mode, User, Group, Acl, Xattrs];
        let path = |text: &[u8]| RelPath::new(text).unwrap();
        vec![
            item(b"new", File, ItemChange::Create),
            item(b"dir", Directory, ItemChange::Create),
            item(b"dir/link", Symlink, ItemChange::Create),
            item(b"name", File, ItemChange::HardLink { to: path(b"new") }),
            item(b"a", File, ItemChange::Update(aspects(&every))),
            item(b"b", File, ItemChange::Update(aspects(&[Content, Mtime]))),
            item(b"link", Symlink, ItemChange::Update(aspects(&[Content]))),
            item(b"dir", Directory, ItemChange::Metadata(aspects(&[Mtime]))),
            item(b"", Directory, ItemChange::Metadata(aspects(&[Mode]))),
            item(b"x", File, ItemChange::Metadata(aspects(&[Acl, Xattrs]))),
            item(b"gone\n\xff", File, ItemChange::Delete),
            item(
                b"new-dir",
                Directory,
                ItemChange::Move { from: path(b"dir") },
            ),
            item(
                b"a.conflict-office-20261123-003012",
                File,
                ItemChange::ConflictCopy { of: path(b"a") },
            ),
        ]
    }

    fn lines(line: fn(&PlanItem, &str) -> String) -> String {
        let lines: Vec<_> = items().iter().map(|item| line(item, "B/")).collect();
        lines.join("\n")
    }

    #[test]
    fn each_change_has_its_line() {
        insta::assert_snapshot!(lines(itemized), @r#"
        >f+++++++++ B/new
        cd+++++++++ B/dir/
        cL+++++++++ B/dir/link
        hf+++++++++ B/name => B/new
        >fcstpog.ax B/a
        >fc.t...... B/b
        cLc........ B/link
        .d..t...... B/dir/
        .d...p..... B/
        .f.......ax B/x
        *deleting   B/gone\n\xff
        *moving     B/dir/ -> B/new-dir/
        *conflict   B/a.conflict-office-20261123-003012 (of a)
        "#);
        insta::assert_snapshot!(lines(named), @r#"
        B/new
        B/dir/
        B/dir/link
        B/name
        B/a
        B/b
        B/link
        B/dir/
        B/
        B/x
        deleting B/gone\n\xff
        moving B/dir/ -> B/new-dir/
        B/a.conflict-office-20261123-003012 (conflict copy of a)
        "#);
    }

    #[test]
    fn every_code_has_eleven_characters() {
        for item in items() {
            assert_eq!(code(&item).chars().count(), 11, "{item:?}");
        }
    }
}
