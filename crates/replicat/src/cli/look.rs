//! The commands that look at one root, or settle something in it.

use std::io;

use jiff::tz::TimeZone;
use replicat::engine::inspect;
use replicat::inspection::{Keep, Revision};

use super::arguments::{
    KeepChoice, LookArguments, PathArguments, ResolveArguments, RestoreArguments, RootArguments,
    TargetArguments, TreeArguments,
};
use super::failure::Failure;
use super::output::{Format, Output};
use super::target::{self, Target};
use super::{look_json, look_text};

/// `replicat status`.
pub(crate) fn status(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let location = target::location(&arguments.root, &arguments.look.place);
    let status = inspect::status(&location)?;
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::status(&status))?,
        Format::Text => print(output, &look_text::status(&status, &TimeZone::system()))?,
    }
    Ok(())
}

/// `replicat conflicts`.
pub(crate) fn conflicts(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let location = target::location(&arguments.root, &arguments.look.place);
    let conflicts = inspect::conflicts(&location)?;
    let zone = TimeZone::system();
    for conflict in &conflicts {
        match format(&arguments.look) {
            Format::Json => output.object(&look_json::conflict(conflict))?,
            Format::Text => print(output, &look_text::conflict(conflict, &zone))?,
        }
    }
    Ok(())
}

/// `replicat resolve`.
pub(crate) fn resolve(arguments: &ResolveArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let keep = match arguments.keep {
        KeepChoice::Winner => Keep::Winner,
        KeepChoice::Copy => Keep::Copy,
        KeepChoice::Both => Keep::Both,
    };
    let resolution = inspect::resolve(&location, &path, keep)?;
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::resolution(&resolution))?,
        Format::Text => output.line(&look_text::resolution(&resolution))?,
    }
    Ok(())
}

/// `replicat history`.
pub(crate) fn history(arguments: &PathArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let rows = inspect::history(&location, &path)?;
    let zone = TimeZone::system();
    for row in &rows {
        match format(&arguments.look) {
            Format::Json => output.object(&look_json::history(row))?,
            Format::Text => output.line(&look_text::history(row, &zone))?,
        }
    }
    Ok(())
}

/// `replicat restore`.
pub(crate) fn restore(arguments: &RestoreArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let revision = arguments.revision.map(Revision);
    let restoration = inspect::restore(&location, &path, revision)?;
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::restoration(&restoration))?,
        Format::Text => output.line(&look_text::restoration(&restoration))?,
    }
    Ok(())
}

/// `replicat why`.
pub(crate) fn why(arguments: &PathArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let explanation = inspect::why(&location, &path)?;
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::explanation(&explanation))?,
        Format::Text => print(output, &look_text::explanation(&explanation))?,
    }
    Ok(())
}

/// `replicat approve`.
pub(crate) fn approve(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let location = target::location(&arguments.root, &arguments.look.place);
    let approved = inspect::approve(&location)?;
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::approval(&arguments.root, approved))?,
        Format::Text => output.line(&look_text::approval(&arguments.root, approved))?,
    }
    Ok(())
}

/// `replicat tree`.
pub(crate) fn tree(arguments: &TreeArguments, output: Output) -> Result<(), Failure> {
    let place = &arguments.look.place;
    let Target { location, path } =
        target::find(&arguments.path, arguments.root.as_deref(), place)?;
    let zone = TimeZone::system();
    for row in inspect::tree(&location, &path)? {
        let row = row?;
        match format(&arguments.look) {
            Format::Json => output.object(&look_json::tree(&row))?,
            Format::Text => output.line(&look_text::tree(&row, &zone))?,
        }
    }
    Ok(())
}

fn format(look: &LookArguments) -> Format {
    Format::by_flag(look.json)
}

fn find(target: &TargetArguments, look: &LookArguments) -> Result<Target, Failure> {
    target::find(&target.path, target.root.as_deref(), &look.place)
}

fn print(output: Output, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| output.line(line))
}
