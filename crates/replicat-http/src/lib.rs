//! The HTTP API of a node and of a manager, and the dashboard.
//!
//! Goals: what the commands can do can be done from elsewhere by whoever holds a token, and by nobody else; every length, wait and
//! number of connections is bounded; no foreign web page reaches it.
//! Non-goals: deciding anything, and making JSON: the functions behind the local socket do both.
//!
//! What is answered is laid down in `docs/api.md`.

mod app;
mod caller;
pub mod client;
mod dashboard;
mod error;
mod guard;
mod listener;
mod manager;
mod metrics;
mod node;
mod openapi;
mod problem;
mod request;
mod route;
mod schemas;
mod stream;
mod tls;
pub mod tokens;

pub use app::Subject;
pub use error::HttpError;
pub use listener::{HttpConfig, HttpListener, HttpService};
pub use manager::ManagerSubject;
pub use tls::{CertificateFiles, ServedCertificate};
