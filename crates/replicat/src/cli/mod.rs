//! The command line: arguments in, library calls, text or JSON out.
//!
//! Goals: the only place that knows the terminal, the environment, signals and exit codes; every
//! error is rendered here, once.
//! Non-goals: deciding anything about files.

mod api;
mod api_arguments;
mod arguments;
mod ask;
mod check;
mod check_settings;
mod demo;
mod elsewhere;
mod failure;
mod fields;
mod file;
mod filters;
mod help;
mod inspection_text;
mod interrupt;
mod itemize;
mod json;
mod live_arguments;
mod look;
mod look_json;
mod look_text;
mod manager;
mod manager_arguments;
mod manager_local;
mod manager_text;
mod node_text;
mod output;
mod places;
mod progress;
mod remote;
mod reporter;
mod restore;
mod select;
mod serve;
mod socket;
mod state;
mod sync;
mod target;
mod teller;
mod terminal;
mod text;
mod trash;
mod wait;
mod with_manager;

use std::io::IsTerminal;
use std::process;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use replicat::error::ExitCode;
use replicat_fs::lock::{self, Purpose};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
use failure::Failure;
use output::{Format, Output};

/// Runs the command that the process was started as.
pub(crate) fn run() -> process::ExitCode {
    let matches = command_line().get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    show_diagnostics(&arguments.command);
    set_purpose(&arguments.command);
    let output = Output;
    let format = format(&arguments.command);
    let code = match dispatch(&arguments.command, &matches, output) {
        Ok(code) => code,
        Err(failure) => {
            let code = failure.tell(format, output);
            if let (Format::Json, Command::Sync(_)) = (format, &arguments.command) {
                // If that cannot be written either, the exit code still tells.
                drop(output.object(&json::failed_summary(code)));
            }
            code
        }
    };
    process::ExitCode::from(code as u8)
}

/// Shows on standard error what the parts note: warnings, of a node also what it does, or what `REPLICAT_LOG` asks for.
fn show_diagnostics(command: &Command) {
    let wanted = EnvFilter::try_from_env("REPLICAT_LOG");
    let usual = match command {
        Command::Serve(_) => {
            "warn,replicat::cli=info,replicat_server=info,replicat_net=info,replicat_http=info"
        }
        Command::Manager(arguments) if arguments.serves() => {
            "warn,replicat::cli=info,replicat_manager=info,replicat_net=info,replicat_http=info"
        }
        // What goes wrong is what the command itself tells.
        Command::Demo(_) => "error",
        Command::Sync(arguments) if remote::is_meant(arguments) => "error",
        _ => "warn",
    };
    tracing_subscriber::fmt()
        .with_env_filter(wanted.unwrap_or_else(|_| EnvFilter::new(usual)))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

/// Says what this process is to others that find a root locked by it. A node says where its socket is.
fn set_purpose(command: &Command) {
    let command = match command {
        Command::Sync(arguments) if arguments.work.watch => "replicat sync --watch",
        Command::Sync(_) => "replicat sync",
        Command::Demo(_) => "replicat demo",
        Command::Resolve(_) => "replicat resolve",
        Command::Restore(_) => "replicat restore",
        Command::Approve(_) => "replicat approve",
        Command::Forget(_) => "replicat forget",
        // Others lock no root, or say it when they know more.
        _ => return,
    };
    lock::set_purpose(Purpose {
        command: command.to_owned(),
        socket: None,
    });
}

/// The command line as it is parsed. Its help names the variables, not what they are set to.
fn command_line() -> clap::Command {
    without_values(Arguments::command())
}

fn without_values(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| argument.hide_env_values(true))
        .mut_subcommands(without_values)
}

fn format(command: &Command) -> Format {
    Format::by_flag(match command {
        Command::Sync(arguments) => arguments.output.json,
        Command::Serve(arguments) => arguments.json,
        Command::Keygen(arguments) => arguments.json,
        Command::Manager(arguments) => arguments.json,
        Command::Api(arguments) => arguments.json,
        Command::Demo(arguments) => arguments.json,
        Command::Nodes(arguments) | Command::Folders(arguments) => arguments.json,
        Command::Configuration(arguments) => arguments.json,
        Command::Session(arguments) => arguments.json,
        Command::File(arguments) => arguments.json,
        Command::Events(arguments) => arguments.ask.json,
        Command::Pause(arguments) | Command::Resume(arguments) => arguments.ask.json,
        Command::Rescan(arguments) => arguments.ask.json,
        Command::Status(arguments) => arguments.look.json,
        Command::Conflicts(arguments) => arguments.look.json,
        Command::Approve(arguments) | Command::Reject(arguments) => arguments.look.json,
        Command::History(arguments) | Command::Why(arguments) => arguments.look.json,
        Command::Resolve(arguments) => arguments.look.json,
        Command::Forget(arguments) => arguments.place.look.json,
        Command::Restore(arguments) => arguments.look.json,
        Command::Trash(arguments) => arguments.json(),
        Command::Select(arguments) => arguments.json(),
        Command::Revert(arguments) => arguments.json,
        Command::Tree(arguments) => arguments.look.json,
    })
}

fn dispatch(command: &Command, matches: &ArgMatches, output: Output) -> Result<ExitCode, Failure> {
    places::check(command)?;
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    match command {
        Command::Sync(arguments) if remote::is_meant(arguments) => {
            return remote::run(arguments, matches, output);
        }
        Command::Sync(arguments) => return sync::run(arguments, matches, output),
        Command::Serve(arguments) => return serve::run(arguments, matches, output),
        Command::Demo(arguments) => return demo::run(arguments, output),
        Command::Keygen(arguments) => serve::keygen(arguments, output)?,
        Command::Manager(arguments) => return manager::run(arguments, output),
        Command::Api(arguments) => api::run(arguments, output)?,
        Command::Nodes(arguments) => ask::nodes(arguments, output)?,
        Command::Folders(arguments) => ask::folders(arguments, output)?,
        Command::Events(arguments) => ask::events(arguments, output)?,
        Command::Configuration(arguments) => ask::configuration(arguments, output)?,
        Command::Session(arguments) => ask::session(arguments, output)?,
        Command::File(arguments) => file::run(arguments, output)?,
        Command::Pause(arguments) => ask::pause(arguments, output)?,
        Command::Resume(arguments) => ask::resume(arguments, output)?,
        Command::Rescan(arguments) => ask::rescan(arguments, output)?,
        Command::Status(arguments) => return look::status(arguments, output),
        Command::Conflicts(arguments) => look::conflicts(arguments, output)?,
        Command::Resolve(arguments) => look::resolve(arguments, output)?,
        Command::History(arguments) => look::history(arguments, output)?,
        Command::Restore(arguments) => return restore::run(arguments, output),
        Command::Trash(arguments) => trash::run(arguments, output)?,
        Command::Select(arguments) => return select::run(arguments, output),
        Command::Revert(arguments) => look::revert(arguments, output)?,
        Command::Why(arguments) => look::why(arguments, output)?,
        Command::Approve(arguments) => look::approve(arguments, output)?,
        Command::Reject(arguments) => look::reject(arguments, output)?,
        Command::Tree(arguments) => look::tree(arguments, output)?,
        Command::Forget(arguments) => look::forget(arguments, output)?,
    }
    Ok(ExitCode::InSync)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command_line().debug_assert();
    }
}
