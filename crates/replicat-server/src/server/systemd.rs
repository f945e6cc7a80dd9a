//! Telling systemd how a service stands (sd_notify(3)): one datagram of lines.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

/// Where systemd listens, if it does.
#[derive(Clone, Debug, Default)]
pub(super) struct Systemd(Option<PathBuf>);

impl Systemd {
    /// `socket` is what `NOTIFY_SOCKET` says.
    pub(super) fn new(socket: Option<PathBuf>) -> Self {
        Self(socket)
    }

    /// Tells a state, such as `READY=1`.
    pub(super) fn tell(&self, state: &str) {
        let Some(path) = &self.0 else {
            return;
        };
        if let Err(error) = send(path.as_os_str().as_bytes(), state) {
            tracing::debug!(%error, state, "cannot notify the service manager");
        }
    }
}

fn send(path: &[u8], state: &str) -> io::Result<()> {
    let address = match path {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_reach_the_socket() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Systemd::new(Some(path)).tell("READY=1\nSTATUS=Online");
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1\nSTATUS=Online");
        Systemd::default().tell("nobody hears it");
    }
}
