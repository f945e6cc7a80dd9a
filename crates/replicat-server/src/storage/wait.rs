//! Waiting politely.

use std::thread;
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;

/// The first pause between two looks; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// How long is waited in all.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was waited for did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was waited for at {folder:?} did not come within {} s", PATIENCE.as_secs())]
pub struct WaitTimeout {
    /// Where it was waited for.
    pub folder: RelPath,
}

/// Waits until `helper` answers `waiting_for` of a folder of a storage. It is asked again and again, less and less often,
/// for a minute.
///
/// ```
/// use replicat_server::{RelPath, wait_for};
///
/// let mut asked = 0;
/// wait_for(&(), &RelPath::root(), true, |_, _| {
///     asked += 1;
///     asked == 3
/// })?;
/// assert_eq!(asked, 3);
/// # Ok::<(), replicat_server::WaitTimeout>(())
/// ```
///
/// # Errors
/// If a minute was not enough.
// Mostly a plain value: to borrow it would only burden the callers.
#[allow(clippy::needless_pass_by_value)]
pub fn wait_for<T: ?Sized, R: PartialEq>(
    tracker: &T,
    folder: &RelPath,
    waiting_for: R,
    mut helper: impl FnMut(&T, &RelPath) -> R,
) -> Result<(), WaitTimeout> {
    let started = Instant::now();
    let mut pause = PAUSE_MIN;
    while helper(tracker, folder) != waiting_for {
        if started.elapsed() >= PATIENCE {
            return Err(WaitTimeout {
                folder: folder.clone(),
            });
        }
        thread::sleep(pause);
        pause = PAUSE_MAX.min(pause * 2);
    }
    Ok(())
}
