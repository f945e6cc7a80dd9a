//! The patterns of the command line and of the environment, in their order.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use replicat::options::{FilterAction, FilterRule, RuleSource};

use super::failure::Failure;

/// Where a rule comes from.
enum Source {
    /// A pattern, and the option or variable that it was given with.
    Pattern(FilterAction, String, &'static str),
    File(PathBuf),
}

/// The rules of a sync: those of the command line in their order, then those of the environment.
pub(crate) fn rules(
    matches: &ArgMatches,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<FilterRule>, Failure> {
    let mut rules = Vec::new();
    for source in sources(matches, variable) {
        match source {
            Source::Pattern(action, pattern, name) => rules.push(rule(action, &pattern, name)?),
            Source::File(path) => rules.extend(read(&path)?),
        }
    }
    Ok(rules)
}

/// The rules of a node's folder as lines of a file of patterns, in the same order as [`rules`].
pub(crate) fn lines(
    matches: &ArgMatches,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for source in sources(matches, variable) {
        match source {
            Source::Pattern(action, pattern, _) => lines.push(line(action, &pattern)),
            Source::File(path) => lines.extend(read_lines(&path)?),
        }
    }
    Ok(lines)
}

fn line(action: FilterAction, pattern: &str) -> String {
    match action {
        FilterAction::Include => format!("+ {pattern}"),
        FilterAction::Exclude => format!("- {pattern}"),
    }
}

fn read_lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::Patterns {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The sources of rules: those of the command line, then those of the environment.
fn sources(matches: &ArgMatches, variable: impl Fn(&str) -> Option<OsString>) -> Vec<Source> {
    let mut sources = given(matches);
    for (name, action) in [
        ("REPLICAT_INCLUDE", FilterAction::Include),
        ("REPLICAT_EXCLUDE", FilterAction::Exclude),
    ] {
        let patterns = variable(name).unwrap_or_default();
        let patterns = patterns.to_string_lossy();
        let patterns = patterns.lines().filter(|line| !line.is_empty());
        let source = |pattern: &str| Source::Pattern(action, pattern.to_owned(), name);
        sources.extend(patterns.map(source));
    }
    let file = variable("REPLICAT_EXCLUDE_FROM").filter(|path| !path.is_empty());
    sources.extend(file.map(|path| Source::File(PathBuf::from(path))));
    sources
}

/// The sources of the command line, in its order.
fn given(matches: &ArgMatches) -> Vec<Source> {
    let mut sources = Vec::new();
    for (name, option, action) in [
        ("exclude", "--exclude", FilterAction::Exclude),
        ("include", "--include", FilterAction::Include),
    ] {
        let indices = matches.indices_of(name).into_iter().flatten();
        let patterns = matches.get_many::<String>(name).into_iter().flatten();
        for (index, pattern) in indices.zip(patterns) {
            sources.push((index, Source::Pattern(action, pattern.clone(), option)));
        }
    }
    let indices = matches.indices_of("exclude_from").into_iter().flatten();
    let paths = matches.get_many::<PathBuf>("exclude_from");
    for (index, path) in indices.zip(paths.into_iter().flatten()) {
        sources.push((index, Source::File(path.clone())));
    }
    sources.sort_by_key(|(index, _)| *index);
    sources.into_iter().map(|(_, source)| source).collect()
}

fn rule(action: FilterAction, pattern: &str, name: &str) -> Result<FilterRule, Failure> {
    let rule = FilterRule::new(action, pattern.as_bytes()).map_err(Failure::Pattern)?;
    Ok(rule.from_source(RuleSource::Named(name.into())))
}

/// The rules of a file of patterns, in rsync's form.
fn read(path: &Path) -> Result<Vec<FilterRule>, Failure> {
    let text = fs::read(path).map_err(|source| Failure::Patterns {
        path: path.to_owned(),
        source,
    })?;
    FilterRule::list_of_file(FilterAction::Exclude, &text, path).map_err(Failure::Pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Arguments;
    use clap::CommandFactory;

    fn parsed(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<FilterRule> {
        let words = ["replicat", "sync", "A", "B"].iter().chain(arguments);
        let matches = Arguments::command().try_get_matches_from(words).unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        rules(matches, variable).unwrap()
    }

    #[test]
    fn rules_keep_the_order_of_the_command_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "# remark\n\n*.o\n+ keep.o\n- *.a\n").unwrap();
        let from = format!("--exclude-from={}", file.path().display());
        let arguments = ["--include", "*.c", "--exclude=x", &from, "--include", "*.d"];
        let told = parsed(&arguments, &[("REPLICAT_EXCLUDE", "*.tmp\n*.bak")]);
        let told = told.iter().map(|rule| {
            let pattern = String::from_utf8_lossy(rule.pattern());
            let source = rule.source().unwrap().to_string();
            let source = source.replace(&file.path().display().to_string(), "FILE");
            format!("{:?} {pattern} {source}", rule.action())
        });
        let expected = [
            "Include *.c --include",
            "Exclude x --exclude",
            "Exclude *.o FILE:3",
            "Include keep.o FILE:4",
            "Exclude *.a FILE:5",
            "Include *.d --include",
            "Exclude *.tmp REPLICAT_EXCLUDE",
            "Exclude *.bak REPLICAT_EXCLUDE",
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}
