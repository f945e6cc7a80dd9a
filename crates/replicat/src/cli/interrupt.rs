//! Ctrl-C: the first asks the sync to stop at the next file, the second stops the process at once.

use std::io;

use replicat::error::ExitCode;
use replicat::options::Cancellation;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Cancels `cancellation` on the first of these signals.
pub(crate) fn cancel_on_signals(cancellation: &Cancellation) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the flag that the second handler sets arms the first for the next signal.
        let status = i32::from(ExitCode::Incomplete as u8);
        flag::register_conditional_shutdown(signal, status, cancellation.flag())?;
        flag::register(signal, cancellation.flag())?;
    }
    Ok(())
}
