//! The settings of the process, for programs that run one node.

use std::sync::{PoisonError, RwLock};

use super::Settings;

static SETTINGS: RwLock<Option<Settings>> = RwLock::new(None);

/// The settings of the process: those that were set last, or the default.
///
/// ```
/// use replicat_server::{Settings, global_settings, set_global_settings};
///
/// let mut settings = global_settings();
/// settings.bwlimit = Some("1m".to_owned());
/// set_global_settings(settings);
/// assert_eq!(global_settings().bwlimit.as_deref(), Some("1m"));
/// ```
#[must_use]
pub fn global_settings() -> Settings {
    let settings = SETTINGS.read().unwrap_or_else(PoisonError::into_inner);
    settings.clone().unwrap_or_default()
}

/// Sets the settings of the process. A server that runs already keeps those that it was started with.
pub fn set_global_settings(settings: Settings) {
    let mut current = SETTINGS.write().unwrap_or_else(PoisonError::into_inner);
    *current = Some(settings);
}
