//! Where a client finds an API.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::{Authority, Scheme};

/// Where a node or a manager serves its API: `http://HOST:PORT` on this host, else `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddress {
    is_encrypted: bool,
    authority: Authority,
}

/// Why a text is no [`ApiAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiAddressError {
    /// It is neither `HOST:PORT` nor a URL.
    #[error("write HOST:PORT or https://HOST")]
    Form,
    /// It says more than where.
    #[error("leave out what is not scheme, host and port")]
    TooMuch,
    /// What is sent there could be read on its way.
    #[error("write https://: on its way to another host the token could be read")]
    Unencrypted,
}

impl FromStr for ApiAddress {
    type Err = ApiAddressError;

    /// Reads `HOST:PORT`, `http://HOST[:PORT]` or `https://HOST[:PORT]`. Without a scheme it is http at a loopback address, and
    /// https elsewhere.
    fn from_str(text: &str) -> Result<Self, ApiAddressError> {
        let uri: Uri = text.parse().map_err(|_| ApiAddressError::Form)?;
        let has_rest = !matches!(uri.path(), "" | "/") || uri.query().is_some();
        let authority = uri.authority().ok_or(ApiAddressError::Form)?.clone();
        if has_rest || authority.as_str().contains('@') {
            return Err(ApiAddressError::TooMuch);
        }
        let is_here = is_loopback(authority.host());
        let is_encrypted = match uri.scheme() {
            None if authority.port_u16().is_none() => return Err(ApiAddressError::Form),
            None => !is_here,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP && is_here => false,
            Some(scheme) if *scheme == Scheme::HTTP => return Err(ApiAddressError::Unencrypted),
            Some(_) => return Err(ApiAddressError::Form),
        };
        Ok(Self {
            is_encrypted,
            authority,
        })
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(to, "{scheme}://{}", self.authority)
    }
}

impl ApiAddress {
    /// The host, without the port.
    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    /// Whether what is sent there is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let address = bare.parse::<IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, read) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:8080", "http://localhost:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("nas:8080", "https://nas:8080"),
            ("10.0.0.2:8080", "https://10.0.0.2:8080"),
            ("https://nas.example.org", "https://nas.example.org"),
            ("https://localhost:8443/", "https://localhost:8443"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ] {
            let address = text.parse::<ApiAddress>().map(|read| read.to_string());
            assert_eq!(address.as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_or_would_show_a_token_is_refused() {
        for (text, error) in [
            ("", ApiAddressError::Form),
            ("nas", ApiAddressError::Form),
            ("/run/sock", ApiAddressError::Form),
            ("ftp://nas", ApiAddressError::Form),
            ("https://nas/api/v1", ApiAddressError::TooMuch),
            ("https://nas?x=1", ApiAddressError::TooMuch),
            ("https://me:secret@nas", ApiAddressError::TooMuch),
            ("http://nas:8080", ApiAddressError::Unencrypted),
            ("http://127.0.0.1.example.org", ApiAddressError::Unencrypted),
        ] {
            assert_eq!(text.parse::<ApiAddress>(), Err(error), "{text}");
        }
    }
}
