//! `replicat api`, and serving it.

use std::env;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use replicat::Settings;
use replicat::http::tokens::{Token, TokenStore};
use replicat::http::{CertificateFiles, HttpConfig, HttpError, HttpListener, ServedCertificate};

use super::api_arguments::{ApiArguments, ApiCommand, ApiTokenCommand};
use super::failure::Failure;
use super::json::{self, Object};
use super::live_arguments::HttpArguments;
use super::output::{Format, Output};
use super::state;
use super::terminal::sentence;

/// Does what is asked about the tokens of the API.
pub(crate) fn run(arguments: &ApiArguments, output: Output) -> Result<(), Failure> {
    let store = TokenStore::new(place(arguments)?);
    let format = Format::by_flag(arguments.json);
    let ApiCommand::Token(command) = &arguments.command;
    match command {
        ApiTokenCommand::Create(wanted) => {
            let now = SystemTime::now();
            let made = store.create(&wanted.name, wanted.scope, wanted.expires, now);
            let (token, text) = made.map_err(HttpError::from)?;
            match format {
                // The token alone, so that it can be taken from the output.
                Format::Text => output.line(&text)?,
                Format::Json => {
                    let mut object = object(&token);
                    json::put(&mut object, "token", text.as_str());
                    output.object(&object)?;
                }
            }
        }
        ApiTokenCommand::List => {
            for token in store.list().map_err(HttpError::from)?.iter() {
                match format {
                    Format::Text => output.line(&line(token))?,
                    Format::Json => output.object(&object(token))?,
                }
            }
        }
        ApiTokenCommand::Revoke { id } => {
            store.revoke(id).map_err(HttpError::from)?;
            let mut object = json::object("api-token-revoked");
            json::put(&mut object, "id", id.as_str());
            match format {
                Format::Text => {
                    output.line(&format!(
                        "token {} is good for nothing any more",
                        sentence(id)
                    ))?;
                }
                Format::Json => output.object(&object)?,
            }
        }
    }
    Ok(())
}

/// Where the tokens are that are meant.
fn place(arguments: &ApiArguments) -> Result<PathBuf, Failure> {
    if arguments.manager {
        let place = arguments.manager_state.clone().or_else(state::of_manager);
        return place.ok_or(Failure::NoStatePlace("--manager-state"));
    }
    if let Some(place) = &arguments.node_state {
        return Ok(place.clone());
    }
    let mut settings = Settings::default();
    settings.apply_variables(|name| match name {
        "REPLICAT_NAME" => env::var(name).ok(),
        _ => None,
    })?;
    settings.name = arguments.node.clone().or(settings.name);
    of_node(&settings)
}

/// Where the tokens of a node are.
pub(crate) fn of_node(settings: &Settings) -> Result<PathBuf, Failure> {
    let place = settings.node_state.clone();
    let place = place.or_else(|| state::of_node(settings.node_name().as_str()));
    place.ok_or(Failure::NoStatePlace("--node-state"))
}

/// Takes what the flags say of HTTP.
pub(crate) fn apply_flags(settings: &mut Settings, flags: &HttpArguments) {
    settings.http = flags.http.clone().or(settings.http.take());
    let certificate = flags.http_certificate.clone();
    settings.http_certificate = certificate.or(settings.http_certificate.take());
    settings.http_key = flags.http_key.clone().or(settings.http_key.take());
    if !flags.http_host.is_empty() {
        settings.http_hosts.clone_from(&flags.http_host);
    }
}

/// Listens for HTTP, if the settings say so.
pub(crate) async fn listen(
    settings: &Settings,
    tokens: &Path,
) -> Result<Option<HttpListener>, Failure> {
    match config(settings, tokens)? {
        Some(config) => Ok(Some(HttpListener::bind(config).await?)),
        None => Ok(None),
    }
}

/// How HTTP is to be served, if the settings say so.
pub(crate) fn config(settings: &Settings, tokens: &Path) -> Result<Option<HttpConfig>, HttpError> {
    let certificate = certificate_files(settings)?;
    let Some(address) = &settings.http else {
        return Ok(None);
    };
    let mut config = HttpConfig::new(address, tokens);
    config.certificate = certificate;
    config.hosts.clone_from(&settings.http_hosts);
    Ok(Some(config))
}

/// The files of the certificate, if there is to be one.
pub(crate) fn certificate_files(
    settings: &Settings,
) -> Result<Option<CertificateFiles>, HttpError> {
    match (&settings.http_certificate, &settings.http_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(CertificateFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        })),
        _ => Err(HttpError::Half),
    }
}

/// Shows the certificate in the files from now on, and logs whether that is so.
pub(crate) fn reload_certificate(served: &ServedCertificate, files: &CertificateFiles) {
    match served.reload(files) {
        Ok(()) => tracing::info!(
            "Reloaded the HTTP certificate from {}.",
            files.certificate.display()
        ),
        Err(error) => {
            tracing::error!("HTTP certificate not reloaded, the one before stays in use: {error}");
        }
    }
}

/// The same for the certificate that the settings name, if HTTP is encrypted.
pub(crate) fn reload(served: Option<&ServedCertificate>, settings: &Settings) {
    let Some(served) = served else { return };
    match certificate_files(settings) {
        Ok(Some(files)) => reload_certificate(served, &files),
        // That needs a restart, which the node says itself.
        Ok(None) => {}
        Err(error) => {
            tracing::error!("HTTP certificate not reloaded, the one before stays in use: {error}");
        }
    }
}

fn object(token: &Token) -> Object {
    let mut object = json::object("api-token");
    json::put(&mut object, "id", token.id.as_str());
    json::put(&mut object, "name", token.name.as_str());
    json::put(&mut object, "scope", token.scope.as_str());
    json::put(&mut object, "created", token.created.to_string());
    let expires = token.expires.map(|expires| expires.to_string());
    json::put(&mut object, "expires", expires);
    object
}

fn line(token: &Token) -> String {
    let end = match token.expires {
        _ if token.is_expired(SystemTime::now()) => "ended".to_owned(),
        Some(expires) => format!("good until {expires:.0}"),
        None => "good until it is revoked".to_owned(),
    };
    format!(
        "{}  {}, {}, {end}",
        token.id,
        sentence(&token.name),
        token.scope
    )
}
