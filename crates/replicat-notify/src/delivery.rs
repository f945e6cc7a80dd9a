//! One attempt to deliver a notification.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::notification::Notification;
use crate::subscription::Destination;

/// Why a notification was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The program cannot be run.
    #[error("it cannot be run: {0}")]
    Start(std::io::Error),
    /// The program ended otherwise than with 0.
    #[error("it ended with {0}")]
    Failed(std::process::ExitStatus),
    /// It took too long.
    #[error("it took more than {} seconds", .0.as_secs())]
    TooSlow(Duration),
    /// The server answered that it does not want it.
    #[error("it answered {0}")]
    Refused(u16),
    /// The server answered that it could not take it, or redirects.
    #[error("it answered {0}")]
    Answered(u16),
    /// The server was not reached.
    #[error("{0}")]
    Unreachable(String),
}

impl DeliveryError {
    /// Whether another attempt could go better.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// What delivers to webhooks. Clones share connections.
pub(crate) fn agent(patience: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(patience))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("replicat/", env!("CARGO_PKG_VERSION")))
        .build();
    config.new_agent()
}

/// Posts it.
pub(crate) async fn post(
    agent: &Agent,
    url: &str,
    authorization: Option<&str>,
    notification: &Notification,
) -> Result<(), DeliveryError> {
    let mut request = agent.post(url).header("Content-Type", "application/json");
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let body = notification.to_json().to_string();
    let sending = tokio::task::spawn_blocking(move || request.send(body));
    let unreachable = |problem: String| DeliveryError::Unreachable(problem);
    let answer = sending
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let answer = answer.map_err(|error| unreachable(error.to_string()))?;
    match answer.status().as_u16() {
        200..300 => Ok(()),
        status @ (408 | 429) => Err(DeliveryError::Answered(status)),
        status @ 400..500 => Err(DeliveryError::Refused(status)),
        status => Err(DeliveryError::Answered(status)),
    }
}

/// Runs a program with it.
pub(crate) async fn run(
    program: &str,
    arguments: &[String],
    notification: &Notification,
    patience: Duration,
) -> Result<(), DeliveryError> {
    let variables = [
        ("KIND", Some(notification.kind.as_str())),
        ("TEXT", Some(notification.text.as_str())),
        ("FOLDER", notification.folder.as_deref()),
        ("NODE", notification.node.as_deref()),
    ];
    let variables = variables.map(|(name, value)| {
        let name = format!("REPLICAT_NOTIFICATION_{name}");
        (name, value.unwrap_or_default().replace('\0', ""))
    });
    let mut child = Command::new(program)
        .args(arguments)
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(DeliveryError::Start)?;
    let line = format!("{}\n", notification.to_json());
    let ended = tokio::time::timeout(patience, feed_and_wait(&mut child, line.as_bytes()));
    match ended.await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(DeliveryError::Failed(status)),
        Ok(Err(error)) => Err(DeliveryError::Start(error)),
        Err(_) => {
            // One that has ended meanwhile cannot be killed, which is as good.
            let _ = child.kill().await;
            Err(DeliveryError::TooSlow(patience))
        }
    }
}

/// A program need not read what it is given.
async fn feed_and_wait(
    child: &mut Child,
    line: &[u8],
) -> std::io::Result<std::process::ExitStatus> {
    let input = child.stdin.take();
    let feed = async {
        if let Some(mut input) = input {
            let _ = input.write_all(line).await;
        }
    };
    let ((), status) = tokio::join!(feed, child.wait());
    status
}

/// Delivers it, or says why not.
pub(crate) async fn deliver(
    destination: &Destination,
    agent: &Agent,
    notification: &Notification,
    patience: Duration,
) -> Result<(), DeliveryError> {
    match destination {
        Destination::Command { program, arguments } => {
            run(program, arguments, notification, patience).await
        }
        Destination::Webhook { url, authorization } => {
            post(agent, url, authorization.as_deref(), notification).await
        }
    }
}
