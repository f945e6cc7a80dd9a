//! Safety brakes: what looks like an accident stops a root until somebody approves.

use replicat_core::store::Store;
use replicat_fs::scan::ScanReport;

use super::local::LocalReplica;
use crate::error::SyncError;
use crate::report::Brake;

/// The setting under which a brake waits for approval.
pub(super) const SETTING_BRAKE: &str = "brake";
/// The setting that lets the next scan pass whatever is gone.
pub(super) const SETTING_APPROVED: &str = "approved";
/// From how many recorded paths on a folder is large enough for the brake.
const RECORDED_MIN: u64 = 20;

/// Whether more than half of what was recorded is gone, renames not counted, or the root is empty that was not.
///
/// Must be asked before any deletion is told to the replica. An approval is used up by it.
pub(super) fn mass_deletion(
    local: &mut LocalReplica,
    report: &ScanReport,
    gone: u64,
) -> Result<Option<Brake>, SyncError> {
    let recorded = report.known.max(gone);
    let emptied = report.root_empty && gone > 1;
    if !(is_most(gone, recorded) || emptied) {
        return Ok(None);
    }
    set(local, gone, recorded)
}

/// The same for what is found gone while a root is watched, where nobody counts all that is there.
pub(super) fn sudden_deletion(
    local: &mut LocalReplica,
    gone: u64,
) -> Result<Option<Brake>, SyncError> {
    if gone < RECORDED_MIN / 2 {
        return Ok(None);
    }
    let recorded = local.replica.store().record_count();
    let recorded = recorded.map_err(|error| local.failed(error))?;
    match is_most(gone, recorded) {
        true => set(local, gone, recorded),
        false => Ok(None),
    }
}

fn is_most(gone: u64, recorded: u64) -> bool {
    recorded >= RECORDED_MIN && gone.saturating_mul(2) > recorded
}

/// Sets the brake, unless it was approved before.
fn set(local: &mut LocalReplica, gone: u64, recorded: u64) -> Result<Option<Brake>, SyncError> {
    let approved = local.setting(SETTING_APPROVED)?.is_some();
    if approved {
        local.set_setting(SETTING_APPROVED, None)?;
        local.set_setting(SETTING_BRAKE, None)?;
        return Ok(None);
    }
    let brake = Brake::MassDeletion { gone, recorded };
    local.set_setting(SETTING_BRAKE, Some(format!("{gone} {recorded}").as_bytes()))?;
    // The run ends here, and somebody is to find the brake and approve.
    local.commit()?;
    Ok(Some(brake))
}

/// The brake that holds a root, if one does.
pub(super) fn held(setting: Option<&[u8]>) -> Option<Brake> {
    let text = std::str::from_utf8(setting?).ok()?;
    let (gone, recorded) = text.split_once(' ')?;
    Some(Brake::MassDeletion {
        gone: gone.parse().ok()?,
        recorded: recorded.parse().ok()?,
    })
}

/// Whether a plan deletes more paths of a root than is allowed.
pub(super) fn max_delete(planned: u64, allowed: Option<u64>) -> Option<Brake> {
    let allowed = allowed.filter(|allowed| planned > *allowed)?;
    Some(Brake::MaxDelete { planned, allowed })
}
