//! `replicat sync`.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::ArgMatches;
use jiff::tz::TimeZone;
use replicat::error::{ExitCode, SyncError};
use replicat::event::Reporter;
use replicat::options::{
    Cancellation, Durability, ForeignRoot, MissingRoot, Mode, OwnerPolicy, Strictness, SyncOptions,
};
use replicat::report::{Outcome, RootFailure, SyncReport};
use replicat::trash_limits;
use replicat::watch::{Wake, Watch};

use super::arguments::{DurabilityChoice, OutputArguments, SyncArguments};
use super::failure::Failure;
use super::output::Output;
use super::progress::{Meter, Wanted, print_error_line};
use super::reporter::{Detail, JsonReporter, ProgressEvents, TextReporter, Warnings, root_names};
use super::terminal::sentence;
use super::wait::{self, Wait};
use super::{filters, help, interrupt, json, text};

/// Syncs once, or with `--watch` until it is stopped.
pub(crate) fn run(
    arguments: &SyncArguments,
    matches: &ArgMatches,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut command = SyncCommand {
        arguments,
        options: options(arguments, matches)?,
        output,
        is_first: true,
    };
    interrupt::cancel_on_signals(&command.options.cancellation).map_err(Failure::Signals)?;
    if arguments.work.watch {
        command.watch()
    } else {
        command.first().map(|report| report.exit_code())
    }
}

/// A sync as the command line asks for it.
struct SyncCommand<'a> {
    arguments: &'a SyncArguments,
    options: SyncOptions,
    output: Output,
    /// Nothing was synced yet.
    is_first: bool,
}

impl SyncCommand<'_> {
    /// The first sync. On a terminal it asks before it unites different folders.
    fn first(&mut self) -> Result<SyncReport, Failure> {
        match self.once() {
            Err(Failure::Sync(error @ SyncError::DifferentFolders { .. })) if self.may_ask() => {
                if !confirmed(&error)? {
                    return Err(error.into());
                }
                self.options.foreign_root = ForeignRoot::Join;
                self.once()
            }
            other => other,
        }
    }

    /// Syncs whenever something changed, until it is stopped.
    fn watch(&mut self) -> Result<ExitCode, Failure> {
        let mut report = self.first()?;
        self.is_first = false;
        let mut watch = Watch::new(&self.arguments.roots, &self.options.rules)?;
        // What changed between the first sync and the watch was seen by neither.
        let mut wake = Wake::Due;
        while wake != Wake::Cancelled && report.outcome != Outcome::Cancelled {
            if wake == Wake::Limited {
                print_error_line(help::WATCH_LIMITED);
            }
            report = match self.once_after(Some(&report)) {
                Err(Failure::Sync(SyncError::Locked { .. }))
                    if self.options.cancellation.is_cancelled() =>
                {
                    break;
                }
                other => other?,
            };
            wake = watch.wait(&self.options.cancellation);
        }
        Ok(report.exit_code())
    }

    fn may_ask(&self) -> bool {
        !self.arguments.output.json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn once(&self) -> Result<SyncReport, Failure> {
        self.once_after(None)
    }

    /// One sync, reported to its last line; of one that follows another, only the news.
    fn once_after(&self, last: Option<&SyncReport>) -> Result<SyncReport, Failure> {
        if self.arguments.output.json {
            return self.once_in_json();
        }
        let output = &self.arguments.output;
        let mut reporter = text_reporter(output, &self.arguments.roots, self.output);
        let known = last.iter().flat_map(|last| &last.roots);
        reporter.known_failures = known.filter_map(|root| root.failure.clone()).collect();
        let report = self.sync(&reporter);
        reporter.meter.finish();
        let report = report?;
        if last.is_none_or(|last| has_news(&report, last)) {
            self.print(&report)?;
        }
        Ok(report)
    }

    fn sync(&self, reporter: &dyn Reporter) -> Result<SyncReport, SyncError> {
        let limit = |error: &SyncError| self.wait(error);
        wait::while_locked(&self.options.cancellation, limit, || {
            replicat::sync(&self.arguments.roots, &self.options, reporter)
        })
    }

    /// How long to wait for a root that is in use: as the user says. A watch also waits for a run that ends by itself,
    /// but does not begin with the roots of a node.
    fn wait(&self, error: &SyncError) -> Wait {
        let SyncError::Locked { holder, .. } = error else {
            return Wait::No;
        };
        let ends_by_itself = holder.socket.is_none() || !self.is_first;
        match self.arguments.work.wait.wait {
            Some(wait) => wait,
            None if self.arguments.work.watch && ends_by_itself => Wait::Forever,
            None => Wait::No,
        }
    }

    fn print(&self, report: &SyncReport) -> io::Result<()> {
        for line in text::all_skipped(&report.skipped, &report.roots) {
            print_error_line(&line);
        }
        for line in report.brakes.iter().flat_map(text::brake) {
            print_error_line(&line);
        }
        let options = &self.arguments.output;
        if !options.quiet {
            let zone = TimeZone::system();
            for conflict in &report.conflicts {
                self.output.line(&text::conflict(conflict, &zone))?;
            }
        }
        if options.stats {
            for line in text::statistics(&report.statistics) {
                self.output.line(&line)?;
            }
        }
        if !options.quiet {
            self.output.line(&text::summary(report))?;
        }
        Ok(())
    }

    fn once_in_json(&self) -> Result<SyncReport, Failure> {
        let progress = if self.arguments.output.progress {
            ProgressEvents::Written
        } else {
            ProgressEvents::Left
        };
        let reporter = JsonReporter {
            roots: self.arguments.roots.clone(),
            progress,
            output: self.output,
        };
        let report = self.sync(&reporter)?;
        self.output.object(&json::summary(&report))?;
        Ok(report)
    }
}

/// Whether there is something to tell that the last sync did not tell.
fn has_news(report: &SyncReport, last: &SyncReport) -> bool {
    report.statistics.changes.total() > 0
        || !report.conflicts.is_empty()
        || report.skipped != last.skipped
        || report.brakes != last.brakes
        || report.in_sync != last.in_sync
        || failures(report).ne(failures(last))
        || report.outcome != last.outcome
}

fn failures(report: &SyncReport) -> impl Iterator<Item = Option<&RootFailure>> {
    report.roots.iter().map(|root| root.failure.as_ref())
}

fn options(arguments: &SyncArguments, matches: &ArgMatches) -> Result<SyncOptions, Failure> {
    let safety = &arguments.safety;
    Ok(SyncOptions {
        mode: choose(safety.dry_run, Mode::DryRun, Mode::Apply),
        missing_root: choose(safety.create, MissingRoot::Create, MissingRoot::Refuse),
        foreign_root: choose(safety.join, ForeignRoot::Join, ForeignRoot::Refuse),
        rules: filters::rules(matches, |name| env::var_os(name))?,
        max_delete: safety.max_delete,
        strictness: choose(safety.strict, Strictness::Strict, Strictness::Lenient),
        owner: choose(
            arguments.scope.no_owner,
            OwnerPolicy::Ignore,
            OwnerPolicy::Track,
        ),
        durability: match safety.durability {
            DurabilityChoice::Group => Durability::Group,
            DurabilityChoice::None => Durability::None,
        },
        threads: arguments.work.threads,
        state_dir: arguments.place.state_dir.clone(),
        trash: trash_limits::policy(safety.trash.trash_age, safety.trash.trash_size),
        cancellation: Cancellation::default(),
    })
}

fn choose<T>(flag: bool, set: T, unset: T) -> T {
    if flag { set } else { unset }
}

fn text_reporter(options: &OutputArguments, roots: &[PathBuf], output: Output) -> TextReporter {
    let detail = match (options.quiet, options.itemize_changes, options.verbose) {
        (true, _, _) => Detail::None,
        (false, true, _) => Detail::Itemized,
        (false, false, true) => Detail::Names,
        (false, false, false) => Detail::None,
    };
    let wanted = match (options.progress, options.quiet) {
        (true, _) => Wanted::Always,
        (false, true) => Wanted::Never,
        (false, false) => Wanted::OnTerminal,
    };
    TextReporter {
        roots: root_names(roots),
        detail,
        warnings: choose(options.quiet, Warnings::Hidden, Warnings::Shown),
        meter: Meter::new(wanted),
        output,
        known_failures: Vec::new(),
    }
}

/// Asks whether different folders are to be united.
fn confirmed(error: &SyncError) -> io::Result<bool> {
    let mut terminal = io::stderr().lock();
    let question = sentence(&error.to_string());
    writeln!(terminal, "{question}.")?;
    write!(
        terminal,
        "Unite them? Nothing is deleted; files that differ are kept as conflict copies. [y/N] "
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
