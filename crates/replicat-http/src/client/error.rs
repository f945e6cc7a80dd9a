//! What keeps a client from an answer.

use std::io;
use std::path::PathBuf;

use replicat_engine::ExitCode;
use replicat_server::control::json::Object;
use serde_json::Value;

use super::address::ApiAddress;
use super::certificate::CertificateFault;

/// Why a node or a manager that was asked over HTTP did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The token cannot be one. It is not repeated: it may be mistyped by one character only.
    #[error("the token is none: it has the form that `replicat api token create` prints")]
    Token,
    /// The certificates to be trusted cannot be read.
    #[error("cannot take certificates from {}: {problem}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody was reached there.
    #[error("could not reach {address}: {problem}")]
    Unreachable {
        /// Where.
        address: ApiAddress,
        /// What went wrong.
        problem: String,
    },
    /// Its certificate cannot be that of a server, or not of this one.
    #[error("cannot trust {address}: {problem}")]
    Certificate {
        /// Where.
        address: ApiAddress,
        /// What is wrong with the certificate.
        problem: String,
    },
    /// It did not answer as the API does.
    #[error("what answers at {address} is not understood: {problem}")]
    Broken {
        /// Where.
        address: ApiAddress,
        /// What went wrong.
        problem: String,
    },
    /// It refused, or could not do it.
    #[error("{detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A stable word for programs.
        kind: String,
        /// Why.
        detail: String,
        /// What to do.
        hint: Option<String>,
    },
    /// What was followed has ended.
    #[error("{0}")]
    Ended(String),
    /// A content did not come whole, or not as it was.
    #[error("the content did not come whole: {0}")]
    Content(String),
    /// A file of this host cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ApiError {
    /// What a server answered in place of what it was asked for; `problem` is its body.
    pub(super) fn refused(status: u16, problem: &[u8]) -> Self {
        let problem: Object = serde_json::from_slice(problem).unwrap_or_default();
        let text = |key: &str| problem.get(key).and_then(Value::as_str);
        let detail = text("detail").filter(|detail| !detail.is_empty());
        Self::Refused {
            status,
            kind: text("kind").unwrap_or("http").to_owned(),
            detail: detail.map_or_else(|| format!("it answered {status}"), str::to_owned),
            hint: text("hint").map(str::to_owned),
        }
    }

    /// A stable word for programs: that of the server if it refused.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Token => "token",
            Self::Authority { .. } => "authority",
            Self::Unreachable { .. } => "unreachable",
            Self::Certificate { .. } => "certificate",
            Self::Broken { .. } => "broken",
            Self::Refused { kind, .. } => kind,
            Self::Ended(_) => "ended",
            Self::Content(_) => "content",
            Self::File { .. } => "file",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Token => "take it from where it was printed, or make another one",
            Self::Authority { .. } => "name a file with certificates in PEM",
            Self::Certificate { address, .. } => {
                return Some(CertificateFault::remedy(address.host()));
            }
            Self::Unreachable { problem, .. } if problem.contains("certificate") => {
                "name the certificate of who signed it with --ca-file"
            }
            Self::Unreachable { .. } => {
                "see that the node or manager runs there, with `--http`, and that the port is that of HTTP"
            }
            Self::Refused { hint, .. } if hint.is_some() => return hint.clone(),
            Self::Refused { status: 401, .. } => {
                "make a token where it runs with `replicat api token create`"
            }
            Self::Refused { kind, .. } if kind == "unknown-route" => {
                "see with `replicat session` whether it is a node or a manager, and of which version"
            }
            Self::Content(_) => "try again",
            Self::Broken { .. } | Self::Refused { .. } | Self::Ended(_) | Self::File { .. } => {
                return None;
            }
        };
        Some(text.to_owned())
    }

    /// What a command that fails by it ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            // The request was wrong, and will be the next time.
            Self::Refused { status, .. } if (400..500).contains(status) && *status != 408 => {
                ExitCode::Usage
            }
            Self::Token | Self::Authority { .. } => ExitCode::Usage,
            _ => ExitCode::Fatal,
        }
    }
}
