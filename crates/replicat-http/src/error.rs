//! Why the API is not served.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::tokens::TokenStoreError;

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is none.
    #[error("{address} is no address to serve HTTP at: write HOST:PORT, as in 127.0.0.1:8080")]
    Address {
        /// What was given.
        address: String,
    },
    /// The address cannot be listened on.
    #[error("cannot serve HTTP at {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Others could reach the address, and read what is sent.
    #[error(
        "HTTP at {address} can be reached from other hosts: give it a certificate with --http-certificate and --http-key, or \
         serve it at 127.0.0.1"
    )]
    Plain {
        /// Where.
        address: SocketAddr,
    },
    /// Others could reach the address, and nobody can be let in.
    #[error(
        "HTTP at {address} can be reached from other hosts, and there is no token: make one with `replicat api token create`"
    )]
    NoToken {
        /// Where.
        address: SocketAddr,
    },
    /// Only one of certificate and key is given.
    #[error(
        "a certificate needs its key, and a key its certificate: give both --http-certificate and --http-key"
    )]
    Half,
    /// The certificate or its key cannot be used.
    #[error("cannot use {} for TLS: {problem}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenStoreError),
}
