//! Who is told of what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::notification::Kind;

/// A destination, and what it is told of; as settings spell it.
///
/// ```
/// use replicat_notify::Subscription;
///
/// let settings = serde_json::json!({"webhook": "https://hooks.example.org/T0", "on": ["brake", "node-lost"]});
/// let subscription: Subscription = serde_json::from_value(settings)?;
/// assert!(subscription.destination().is_ok());
/// assert!(Subscription::webhook("hooks.example.org").destination().is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscription {
    /// Where to post to, `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What the `Authorization` header of the webhook is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// The program to run, and its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// What is told; everything if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<Kind>>,
}

/// Where notifications go.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// A program with its arguments.
    Command {
        /// The program; looked up in `PATH` if it has no slash.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// An address that is posted to.
    Webhook {
        /// The address.
        url: String,
        /// The `Authorization` header.
        authorization: Option<String>,
    },
}

/// What is wrong with a subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// Neither or both of the two.
    #[error("give it either a webhook or a command")]
    OneDestination,
    /// No such address can be posted to.
    #[error("the webhook must begin with http:// or https://, and name a host")]
    Address,
    /// The header has characters that none can have.
    #[error("the authorization must be of printable ASCII")]
    Authorization,
    /// A header for a command.
    #[error("the authorization belongs to a webhook")]
    AuthorizationOfCommand,
    /// No program.
    #[error("the command is empty: name a program, as in [\"/usr/local/bin/page\"]")]
    NoProgram,
    /// It is told nothing.
    #[error("`on` is empty: leave it out to be told of everything")]
    Nothing,
}

impl Subscription {
    /// Everything, by a webhook.
    #[must_use]
    pub fn webhook(url: &str) -> Self {
        Self {
            webhook: Some(url.to_owned()),
            ..Self::default()
        }
    }

    /// Everything, by a program without arguments.
    #[must_use]
    pub fn command(program: &str) -> Self {
        Self {
            command: Some(vec![program.to_owned()]),
            ..Self::default()
        }
    }

    /// Whether it is told of this kind.
    #[must_use]
    pub fn wants(&self, kind: Kind) -> bool {
        self.on.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Where it goes.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn destination(&self) -> Result<Destination, SubscriptionError> {
        if self.on.as_ref().is_some_and(Vec::is_empty) {
            return Err(SubscriptionError::Nothing);
        }
        match (&self.webhook, &self.command) {
            (Some(url), None) => {
                check_url(url)?;
                let is_sendable = |text: &String| {
                    text.bytes()
                        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
                };
                if !self.authorization.as_ref().is_none_or(is_sendable) {
                    return Err(SubscriptionError::Authorization);
                }
                Ok(Destination::Webhook {
                    url: url.clone(),
                    authorization: self.authorization.clone(),
                })
            }
            (None, Some(_)) if self.authorization.is_some() => {
                Err(SubscriptionError::AuthorizationOfCommand)
            }
            (None, Some(command)) => match command.split_first() {
                Some((program, arguments)) if !program.is_empty() => Ok(Destination::Command {
                    program: program.clone(),
                    arguments: arguments.to_vec(),
                }),
                _ => Err(SubscriptionError::NoProgram),
            },
            _ => Err(SubscriptionError::OneDestination),
        }
    }
}

fn check_url(url: &str) -> Result<(), SubscriptionError> {
    let parsed: ureq::http::Uri = url.parse().map_err(|_| SubscriptionError::Address)?;
    let is_web = matches!(parsed.scheme_str(), Some("http" | "https"));
    match is_web && parsed.host().is_some_and(|host| !host.is_empty()) {
        true => Ok(()),
        false => Err(SubscriptionError::Address),
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Subscription");
        match self.destination() {
            Ok(destination) => shown.field("destination", &destination.to_string()),
            Err(error) => shown.field("error", &error),
        };
        shown.field("on", &self.on).finish_non_exhaustive()
    }
}

/// Without what may be secret: arguments, and all of an address but its host.
impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { program, .. } => write!(formatter, "command {program:?}"),
            Self::Webhook { url, .. } => {
                let parsed = url.parse::<ureq::http::Uri>().ok();
                let host = parsed.as_ref().and_then(|url| url.host());
                write!(formatter, "webhook at {}", host.unwrap_or("an address"))
            }
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_one_and_usable() {
        let refused = |subscription: &Subscription| subscription.destination().unwrap_err();
        let mut both = Subscription::webhook("https://a.example/x");
        both.command = Some(vec!["page".to_owned()]);
        assert_eq!(refused(&both), SubscriptionError::OneDestination);
        assert_eq!(
            refused(&Subscription::default()),
            SubscriptionError::OneDestination
        );
        for url in ["ftp://a.example/", "a.example", "https://", "http:///x", ""] {
            let subscription = Subscription::webhook(url);
            assert_eq!(refused(&subscription), SubscriptionError::Address, "{url}");
        }
        assert_eq!(
            refused(&Subscription::command("")),
            SubscriptionError::NoProgram
        );
        let mut split = Subscription::webhook("http://a.example/");
        split.authorization = Some("a\r\nb: c".to_owned());
        assert_eq!(refused(&split), SubscriptionError::Authorization);
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut subscription =
            Subscription::webhook("https://me:pw@a.example/T0/s3cret?key=s3cret");
        subscription.authorization = Some("Bearer s3cret".to_owned());
        let destination = subscription.destination().unwrap();
        for shown in [format!("{subscription:?}"), format!("{destination:?}")] {
            assert!(shown.contains("a.example"), "{shown}");
            assert!(
                !shown.contains("s3cret") && !shown.contains("pw"),
                "{shown}"
            );
        }
    }
}
