//! The settings that a node was started with: some of them count until it is restarted.

use replicat_net::ClusterKey;

use crate::settings::{Settings, SettingsError};

/// What a node was started with.
pub(super) struct Boot {
    settings: Settings,
    /// What the key file held.
    key: Option<ClusterKey>,
    accepted: Vec<ClusterKey>,
}

impl Boot {
    /// Of the owner's settings, before a manager adds to them.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            settings: settings.clone(),
            key: key(settings)?,
            accepted: settings.load_accepted_keys()?,
        })
    }

    /// The fields whose new value needs a restart.
    ///
    /// # Errors
    /// If the file of a key cannot be used.
    pub(super) fn changed_since_start(
        &self,
        new: &Settings,
    ) -> Result<Vec<&'static str>, SettingsError> {
        let old = &self.settings;
        let is_encrypted = |settings: &Settings| settings.http_certificate.is_some();
        let key_field = match new.cluster_key.is_none() && new.cluster_key_file.is_some() {
            true => "cluster_key_file",
            false => "cluster_key",
        };
        let fields = [
            ("name", old.node_name() != new.node_name()),
            ("address", old.listen_address() != new.listen_address()),
            ("advertise", old.advertise != new.advertise),
            (
                "manager_address",
                old.manager_address() != new.manager_address(),
            ),
            (
                "accept_cluster_keys",
                self.accepted != new.load_accepted_keys()?,
            ),
            (key_field, self.key != key(new)?),
            ("node_state", old.node_state != new.node_state),
            (
                "folders_directory",
                old.folders_directory != new.folders_directory,
            ),
            ("durability", old.durability != new.durability),
            ("control_socket", old.control_socket != new.control_socket),
            ("http", old.http != new.http),
            ("http_hosts", old.http_hosts != new.http_hosts),
            ("http_certificate", is_encrypted(old) != is_encrypted(new)),
        ];
        let changed = fields.into_iter().filter(|(_, is_other)| *is_other);
        Ok(changed.map(|(field, _)| field).collect())
    }
}

fn key(settings: &Settings) -> Result<Option<ClusterKey>, SettingsError> {
    let has_manager = settings.manager_address.is_some();
    match (&settings.cluster_key, &settings.cluster_key_file) {
        (None, None) => Ok(None),
        // The manager certifies the node.
        _ if has_manager => Ok(None),
        _ => settings.load_cluster_key().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_file_needs_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let write = || {
            let key = ClusterKey::generate().unwrap();
            std::fs::write(&file, key.to_text().as_bytes()).unwrap();
        };
        write();
        let settings = Settings {
            cluster_key_file: Some(file.clone()),
            ..Settings::default()
        };
        let boot = Boot::new(&settings).unwrap();
        assert_eq!(boot.changed_since_start(&settings).unwrap(), [""; 0]);
        write();
        let changed = boot.changed_since_start(&settings).unwrap();
        assert_eq!(changed, ["cluster_key_file"]);
        std::fs::write(&file, "no key").unwrap();
        assert!(boot.changed_since_start(&settings).is_err());
    }

    #[test]
    fn changed_http_needs_a_restart_and_new_nodes_do_not() {
        let boot = Boot::new(&Settings::default()).unwrap();
        let text = "http = \"127.0.0.1:1\"\nbwlimit = \"1m\"\n[[nodes]]\naddress = \"b\"";
        let new = Settings::from_toml(text).unwrap();
        assert_eq!(boot.changed_since_start(&new).unwrap(), ["http"]);
    }
}
