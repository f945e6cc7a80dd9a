//! What is wrong with a certificate that a server shows, and how a good one is made.

use std::net::IpAddr;

/// A fault of a certificate that no option of a client mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateFault {
    /// It says of itself that it signs others: what `openssl req -x509` makes if nothing else is said.
    SignsOthers,
    /// It lists no names, or not the one that was asked for.
    Names,
}

impl CertificateFault {
    /// The fault that an error of TLS speaks of. There is nothing but its text: the HTTP client hands on no more.
    pub(super) fn of(problem: &str) -> Option<Self> {
        if problem.contains("CaUsedAsEndEntity") {
            return Some(Self::SignsOthers);
        }
        problem
            .contains("certificate not valid for name")
            .then_some(Self::Names)
    }

    /// What is wrong, for people.
    pub(super) fn describe(self, host: &str) -> String {
        match self {
            Self::SignsOthers => "its certificate is one that signs others (CA:TRUE), as \
                `openssl req -x509` makes it, and a server must not show such a one"
                .to_owned(),
            Self::Names => {
                let host = bare(host);
                format!(
                    "its certificate does not list {host} as a subjectAltName; the CN of a subject is no name"
                )
            }
        }
    }

    /// How a certificate for `host` is made that needs no authority.
    pub(super) fn remedy(host: &str) -> String {
        let host = bare(host);
        let kind = match host.parse::<IpAddr>() {
            Ok(_) => "IP",
            Err(_) => "DNS",
        };
        format!(
            "make another one for the server, and name it with --ca-file: openssl req -x509 -newkey rsa:2048 -nodes \
             -days 365 -subj /CN={host} -addext subjectAltName={kind}:{host} -addext basicConstraints=critical,CA:FALSE \
             -keyout key.pem -out certificate.pem"
        )
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedy_names_the_host_by_its_kind() {
        assert!(CertificateFault::remedy("nas.lan").contains("subjectAltName=DNS:nas.lan "));
        assert!(CertificateFault::remedy("[::1]").contains("subjectAltName=IP:::1 "));
    }
}
