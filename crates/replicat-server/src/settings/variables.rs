//! Settings from `REPLICAT_*` variables.

use std::path::PathBuf;

use super::error::SettingsError;
use super::text::{parse_durability, parse_mode};
use super::{FolderSettings, NodeSettings, Settings};

impl Settings {
    /// Takes what variables say, in place of what was set before. They are named as the fields are:
    /// `REPLICAT_NAME`, `REPLICAT_ADDRESS`, `REPLICAT_ADVERTISE`, `REPLICAT_CLUSTER_KEY`, `REPLICAT_CLUSTER_KEY_FILE`,
    /// `REPLICAT_ACCEPT_CLUSTER_KEY` (by white space), `REPLICAT_ACCEPT_CLUSTER_KEY_FILE` (one),
    /// `REPLICAT_MANAGER`, `REPLICAT_MANAGER_CREDENTIALS`, `REPLICAT_BWLIMIT`, `REPLICAT_DURABILITY`,
    /// `REPLICAT_SOCKET`, `REPLICAT_NODE_STATE`, `REPLICAT_FOLDERS_DIRECTORY`, `REPLICAT_HTTP`,
    /// `REPLICAT_HTTP_CERTIFICATE`, `REPLICAT_HTTP_KEY`; `REPLICAT_HTTP_HOST` (names, by white space), `REPLICAT_NODE` (`NAME=ADDRESS`, by white space), `REPLICAT_DIRECTORY` (`[NAME=]DIRECTORY`, one a
    /// line) and `REPLICAT_MODE` (of all folders of `REPLICAT_DIRECTORY`). Empty ones count as not set.
    ///
    /// ```
    /// use replicat_server::Settings;
    ///
    /// let mut settings = Settings::default();
    /// let variables = [("REPLICAT_NODE", "b=10.0.0.2:8787 c=10.0.0.3")];
    /// settings.apply_variables(|name| {
    ///     let found = variables.iter().find(|(variable, _)| *variable == name);
    ///     found.map(|(_, value)| (*value).to_owned())
    /// })?;
    /// assert_eq!(settings.nodes.len(), 2);
    /// # Ok::<(), replicat_server::SettingsError>(())
    /// ```
    ///
    /// # Errors
    /// If a value cannot be.
    pub fn apply_variables(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SettingsError> {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let parse_error =
            |name: &str, value: &str, problem: String| SettingsError::invalid(name, value, problem);
        if let Some(text) = value("REPLICAT_NAME") {
            let name = text.parse();
            self.name = Some(name.map_err(|error: replicat_net::NodeNameError| {
                parse_error("REPLICAT_NAME", &text, error.to_string())
            })?);
        }
        if let Some(text) = value("REPLICAT_CLUSTER_KEY") {
            let key = text.parse();
            self.cluster_key = Some(key.map_err(|error: replicat_net::ClusterKeyError| {
                parse_error("REPLICAT_CLUSTER_KEY", "what it is", error.to_string())
            })?);
        }
        if let Some(text) = value("REPLICAT_ACCEPT_CLUSTER_KEY") {
            let keys = text.split_whitespace().map(str::parse);
            let keys: Result<Vec<_>, replicat_net::ClusterKeyError> = keys.collect();
            self.accept_cluster_keys = keys.map_err(|error| {
                let name = "REPLICAT_ACCEPT_CLUSTER_KEY";
                parse_error(name, "what it is", error.to_string())
            })?;
        }
        if let Some(path) = value("REPLICAT_ACCEPT_CLUSTER_KEY_FILE") {
            self.accept_cluster_key_files = vec![path.into()];
        }
        if let Some(text) = value("REPLICAT_DURABILITY") {
            self.durability = parse_durability(&text)
                .map_err(|problem| parse_error("REPLICAT_DURABILITY", &text, problem))?;
        }
        let texts = [
            ("REPLICAT_ADDRESS", &mut self.address),
            ("REPLICAT_ADVERTISE", &mut self.advertise),
            ("REPLICAT_MANAGER", &mut self.manager_address),
            (
                "REPLICAT_MANAGER_CREDENTIALS",
                &mut self.manager_credentials,
            ),
            ("REPLICAT_BWLIMIT", &mut self.bwlimit),
            ("REPLICAT_HTTP", &mut self.http),
        ];
        for (name, field) in texts {
            *field = value(name).or(field.take());
        }
        let paths = [
            ("REPLICAT_CLUSTER_KEY_FILE", &mut self.cluster_key_file),
            ("REPLICAT_SOCKET", &mut self.control_socket),
            ("REPLICAT_NODE_STATE", &mut self.node_state),
            ("REPLICAT_FOLDERS_DIRECTORY", &mut self.folders_directory),
            ("REPLICAT_HTTP_CERTIFICATE", &mut self.http_certificate),
            ("REPLICAT_HTTP_KEY", &mut self.http_key),
        ];
        for (name, field) in paths {
            *field = value(name).map(PathBuf::from).or(field.take());
        }
        if let Some(hosts) = value("REPLICAT_HTTP_HOST") {
            self.http_hosts = hosts.split_whitespace().map(str::to_owned).collect();
        }
        for node in value("REPLICAT_NODE")
            .unwrap_or_default()
            .split_whitespace()
        {
            self.set_node(NodeSettings::parse(node)?);
        }
        self.apply_directories(value)
    }

    fn apply_directories(
        &mut self,
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SettingsError> {
        let mode = value("REPLICAT_MODE").map(|text| {
            parse_mode(&text)
                .map_err(|problem| SettingsError::invalid("REPLICAT_MODE", &text, problem))
        });
        let mode = mode.transpose()?;
        let directories = value("REPLICAT_DIRECTORY").unwrap_or_default();
        for line in directories.lines().filter(|line| !line.is_empty()) {
            let mut folder = FolderSettings::parse(line)?;
            folder.mode = mode.unwrap_or_default();
            self.set_folder(folder);
        }
        Ok(())
    }
}
