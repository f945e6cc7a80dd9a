//! A client of the API: what the local socket does on a host, from another one.
//!
//! Goals: the same commands and the same objects as [`control::client`](replicat_server::control::client), page by page, so that
//! memory does not grow with what is answered; a token that goes nowhere unencrypted; contents that are checked when they come.
//! Non-goals: what is printed; which node is meant.

mod address;
mod call;
mod certificate;
mod error;
mod files;
mod following;
mod managing;
mod tree;

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Response, header};
use replicat_server::control::Command;
use replicat_server::control::json::Object;
use rustls::crypto::aws_lc_rs;
use serde_json::Value;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, AsSendBody, Body, Proxy};

pub use address::{ApiAddress, ApiAddressError};
use call::{Call, Reply};
use certificate::CertificateFault;
pub use error::ApiError;
pub use files::{Downloaded, PutIf};
pub use managing::ManagerCommand;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may come. A stream says something every 15 s.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// How long an upload may go unanswered when it is all there: it is made durable before.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(900);
/// The longest answer that is taken as a whole, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Speaks with one node or manager.
pub struct ApiClient {
    agent: Agent,
    address: ApiAddress,
    authorization: HeaderValue,
}

impl ApiClient {
    /// A client that shows `token`. `authority` is a file of certificates (PEM) that are trusted in place of the system's.
    ///
    /// # Errors
    /// [`ApiError::Token`] and [`ApiError::Authority`]. Nobody is asked yet.
    pub fn new(
        address: ApiAddress,
        token: &str,
        authority: Option<&Path>,
    ) -> Result<Self, ApiError> {
        let bearer = format!("Bearer {}", token.trim());
        let mut authorization = HeaderValue::try_from(bearer).map_err(|_| ApiError::Token)?;
        authorization.set_sensitive(true);
        let roots = match authority {
            Some(path) => trusted(path)?,
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(roots)
            .build();
        // What is not encrypted stays on this host.
        let proxy = Proxy::try_from_env().filter(|_| address.is_encrypted());
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .timeout_connect(Some(CONNECT_PATIENCE))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("replicat/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            address,
            authorization,
        })
    }

    /// Where it asks.
    #[must_use]
    pub fn address(&self) -> &ApiAddress {
        &self.address
    }

    /// Who asks, and whom: a `session`.
    ///
    /// # Errors
    /// If it is not answered.
    pub fn session(&self) -> Result<Object, ApiError> {
        self.one(&Call::get("/session"))
    }

    /// Asks a node, and calls `take` with each object of its answer, as long as that returns `Ok`.
    ///
    /// A [`Command::Tree`] begins with what a directory holds, not with the directory.
    ///
    /// # Errors
    /// If the node is not reached, refuses, or cannot do it. What `take` returns, if that is an error.
    pub fn ask<E: From<ApiError>>(
        &self,
        command: &Command,
        mut take: impl FnMut(Object) -> Result<(), E>,
    ) -> Result<(), E> {
        match command {
            Command::Tree { folder, path } => tree::walk(self, folder, path, &mut take),
            Command::Events { follow: true } => following::events(self, &mut take),
            command => self.take(&Call::of(command), &mut take),
        }
    }

    /// Asks, and takes the objects of the answer.
    fn take<E: From<ApiError>>(
        &self,
        call: &Call,
        take: &mut dyn FnMut(Object) -> Result<(), E>,
    ) -> Result<(), E> {
        match call.reply {
            Reply::One => take(self.one(call)?),
            Reply::Page => self.page(call, None)?.0.into_iter().try_for_each(take),
            Reply::Items => {
                let mut after = None;
                loop {
                    let (items, next) = self.page(call, after.as_deref())?;
                    items.into_iter().try_for_each(&mut *take)?;
                    match next {
                        Some(next) => after = Some(next),
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// Asks for one object.
    fn one(&self, call: &Call) -> Result<Object, ApiError> {
        let response = self.send(call)?;
        self.object(response)
    }

    /// Asks for a page, and returns what the next one is asked for with.
    fn page(
        &self,
        call: &Call,
        after: Option<&str>,
    ) -> Result<(Vec<Object>, Option<String>), ApiError> {
        let call = match after {
            Some(after) => Cow::Owned(call.clone().query("after", after.as_bytes())),
            None => Cow::Borrowed(call),
        };
        let mut page = self.one(&call)?;
        let items = match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => return Err(self.broken("there are no `items` in it")),
        };
        let items = items.into_iter().filter_map(|item| match item {
            Value::Object(object) => Some(object),
            _ => None,
        });
        let next = page.get("next").and_then(Value::as_str);
        Ok((items.collect(), next.map(str::to_owned)))
    }

    /// Sends a request without a body of bytes, and returns an answer that says yes.
    fn send(&self, call: &Call) -> Result<Response<Body>, ApiError> {
        let patience = match call.is_long() {
            true => UPLOAD_PATIENCE,
            false => READ_PATIENCE,
        };
        match &call.body {
            Some(json) => self.send_with(call, json.to_string(), patience),
            None => self.send_with(call, (), READ_PATIENCE),
        }
    }

    /// Sends a request with a body, and returns an answer that says yes; nothing may come for `patience`.
    fn send_with(
        &self,
        call: &Call,
        body: impl AsSendBody,
        patience: Duration,
    ) -> Result<Response<Body>, ApiError> {
        let request = call.request(&self.address);
        let request = request.header(header::AUTHORIZATION, self.authorization.clone());
        let request = request
            .body(body)
            .map_err(|error| self.broken(&error.to_string()))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_per_read(Some(patience)).build();
        let response = self.agent.run(request);
        let response = response.map_err(|error| self.unreachable(&error.to_string()))?;
        match response.status().as_u16() {
            200..300 => Ok(response),
            status => {
                let body = self.whole(response).unwrap_or_default();
                Err(ApiError::refused(status, &body))
            }
        }
    }

    /// The object that an answer is.
    fn object(&self, response: Response<Body>) -> Result<Object, ApiError> {
        let body = self.whole(response)?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error.to_string()))
    }

    fn whole(&self, response: Response<Body>) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        let reader = response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        let read = reader.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        read.map_err(|error| self.broken(&error.to_string()))?;
        Ok(body)
    }

    fn unreachable(&self, problem: &str) -> ApiError {
        let address = self.address.clone();
        match CertificateFault::of(problem) {
            Some(fault) => ApiError::Certificate {
                problem: fault.describe(address.host()),
                address,
            },
            None => ApiError::Unreachable {
                address,
                problem: problem.to_owned(),
            },
        }
    }

    fn broken(&self, problem: &str) -> ApiError {
        ApiError::Broken {
            address: self.address.clone(),
            problem: problem.to_owned(),
        }
    }
}

/// The certificates in a file.
fn trusted(path: &Path) -> Result<RootCerts, ApiError> {
    let wrong = |problem: String| ApiError::Authority {
        path: path.to_owned(),
        problem,
    };
    let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(wrong("there is none in it".to_owned())),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}
