//! `serve --check` and `manager serve --check`: all that is wrong with the settings, and nothing is started.

use std::env;
use std::io;

use replicat::error::ExitCode;
use replicat::{Settings, SettingsError};

use super::failure::Failure;
use super::output::{Format, Output};
use super::progress::print_error_line;
use super::serve::Flags;
use super::terminal::sentence;
use super::{api, json};

/// What would keep a node from starting, or from doing what its settings say.
pub(super) async fn of_node(flags: &Flags) -> Vec<String> {
    let (settings, errors) = flags.collect();
    let mut found = texts(&errors);
    let own_manager = flags.given.with_manager.with_manager;
    let path = env::var_os("PATH");
    // The manager in the process of a node makes a key, if there is none.
    let has_key = settings.cluster_key.is_some() || settings.cluster_key_file.is_some();
    found.extend(texts(&match own_manager && !has_key {
        true => settings.problems_without_key(path.as_deref()),
        false => settings.problems_here(path.as_deref()),
    }));
    match api::of_node(&settings) {
        Ok(tokens) => found.extend(http(&settings, &tokens).await),
        Err(error) if settings.http.is_some() => found.push(error.text()),
        Err(_) => {}
    }
    unique(found)
}

/// What would keep HTTP from being served.
pub(super) async fn http(settings: &Settings, tokens: &std::path::Path) -> Option<String> {
    let checked = match api::config(settings, tokens) {
        Ok(Some(config)) => config.check().await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    checked.err().map(|error| error.to_string())
}

pub(super) fn texts(errors: &[SettingsError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Each once: what is wrong may be found in two ways.
pub(super) fn unique(found: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for problem in found {
        if !unique.contains(&problem) {
            unique.push(problem);
        }
    }
    unique
}

/// Prints what was found; the exit code.
pub(super) fn tell(found: &[String], format: Format, output: Output) -> Result<ExitCode, Failure> {
    let told: io::Result<()> = match format {
        Format::Json => {
            let mut object = json::object("settings-check");
            json::put(&mut object, "problems", found.to_vec());
            output.object(&object)
        }
        Format::Text if found.is_empty() => output.line("Settings are fine."),
        Format::Text => {
            for problem in found {
                print_error_line(&format!("replicat: {}", sentence(problem)));
            }
            Ok(())
        }
    };
    told?;
    Ok(match found.is_empty() {
        true => ExitCode::InSync,
        false => ExitCode::Usage,
    })
}
