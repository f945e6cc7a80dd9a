//! All that a node needs to know before it starts.
//!
//! Goals: one set of settings, whether it comes from a file (TOML or JSON), from `REPLICAT_*` variables or from flags;
//! a mistake is named together with the field that was meant.
//! Non-goals: reading the environment: it is handed in, so that a library never depends on it.

mod checking;
mod directories;
mod error;
mod fields;
mod file;
mod global;
mod place;
mod reading;
mod text;
mod variables;

use std::path::{Path, PathBuf};
use std::time::Duration;

use replicat_core::id::FolderId;
use replicat_core::path::RelPath;
use replicat_engine::live::{FolderMode, LiveSettings};
use replicat_engine::options::{
    Durability, FilterAction, FilterRule, ForeignRoot, MissingRoot, PatternError, RootLocation,
    RuleSource,
};
use replicat_engine::selection::Selection;
use replicat_engine::trash_limits::{self, TrashAge, TrashSize};
use replicat_manager::MANAGER_PORT;
use replicat_net::{BandwidthLimit, ClusterId, ClusterKey, NodeName};
use replicat_notify::Subscription;
use serde::{Deserialize, Serialize};

pub use directories::{is_folder_of_node, is_remote_place};
pub use error::SettingsError;
pub use global::{global_settings, set_global_settings};
use place::FieldPath;
use reading::Fault;
pub use replicat_net::NodeNameError;
pub use text::{FolderName, FolderNameError, parse_durability, parse_mode, wrong_address};

/// The name of a folder whose name nobody gave.
pub const DEFAULT_FOLDER: &str = FolderName::DEFAULT;
/// The port that a node listens on where none is given.
pub const DEFAULT_PORT: u16 = 8787;
/// How long a node has to be away to be told to be lost, if nothing else is said.
pub const NODE_LOST_AFTER: Duration = Duration::from_secs(60);
/// What sets the derivation of folder ids apart from all others.
const FOLDER_ID_CONTEXT: &str = "replicat 2026-11 folder id of cluster and name v1";

/// All that a node needs to run and to find its cluster.
///
/// ```
/// use replicat_server::Settings;
///
/// let settings = Settings::from_toml(
///     r#"
///     name = "office"
///     address = "0.0.0.0:8787"
///     bwlimit = "08:00,512k 18:00,off"
///
///     [[nodes]]
///     name = "nas"
///     address = "10.0.0.2:8787"
///
///     [[folders]]
///     name = "site"
///     directory = "/srv/site"
///     mode = "send-only"
///     "#,
/// )?;
/// assert_eq!(settings.folders[0].name.as_str(), "site");
///
/// let error = Settings::from_toml("adress = \"0.0.0.0:8787\"").unwrap_err();
/// assert!(error.to_string().contains("did you mean `address`?"));
/// # Ok::<(), replicat_server::SettingsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name of the node; that of the host if it is left out.
    #[serde(skip_serializing_if = "Option::is_none", with = "text::optional")]
    pub name: Option<NodeName>,
    /// Where to listen, `host:port`; a port alone or a host alone is filled up. Left out: the node only dials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where others reach this node, if that is not where it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// The secret that all nodes of the cluster share.
    #[serde(skip_serializing_if = "Option::is_none", with = "text::cluster_key")]
    pub cluster_key: Option<ClusterKey>,
    /// A file that holds the cluster key on its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_key_file: Option<PathBuf>,
    /// Other keys that the node accepts beside that one, while the key of the cluster is changed.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "text::cluster_keys")]
    pub accept_cluster_keys: Vec<ClusterKey>,
    /// Files that hold such keys on their first lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept_cluster_key_files: Vec<PathBuf>,
    /// Where the manager of the cluster is, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager_address: Option<String>,
    /// What this node shows the manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager_credentials: Option<String>,
    /// Where a node with a manager keeps who it is and what it was told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_state: Option<PathBuf>,
    /// Below it lie the folders that a manager places at this node and that are not among `folders`; left out, it is
    /// `folders` in `node_state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folders_directory: Option<PathBuf>,
    /// The nodes to dial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeSettings>,
    /// The folders to keep in sync.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderSettings>,
    /// How much content may be sent, in all: `512k`, or a timetable, see [`BandwidthLimit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bwlimit: Option<String>,
    /// What a power loss may cost: `group` or `none`.
    #[serde(with = "text::durability")]
    pub durability: Durability,
    /// Whom to notify of what needs a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Subscription>,
    /// How many seconds a node has to be away to be told to be lost; 60 if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_lost_after: Option<u64>,
    /// The local socket that commands reach the node by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_socket: Option<PathBuf>,
    /// Where the HTTP API and the dashboard are served, `host:port`, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// The chain of certificates that encrypts HTTP, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_certificate: Option<PathBuf>,
    /// The key of that certificate, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_key: Option<PathBuf>,
    /// The names by which browsers may call the node, beside `localhost` and IP addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_hosts: Vec<String>,
}

/// A node to dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// The name that it must prove; left out, any node of the cluster will do.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "text::optional"
    )]
    pub name: Option<NodeName>,
    /// Where it is reached, `host:port`.
    pub address: String,
}

/// A folder to keep in sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSettings {
    /// Its name, the same on all nodes.
    #[serde(default, with = "text::plain")]
    pub name: FolderName,
    /// The directory.
    pub directory: PathBuf,
    /// Which way changes go: `read-write`, `send-only` or `receive-only`.
    #[serde(default, with = "text::mode")]
    pub mode: FolderMode,
    /// What does not take part: patterns as in rsync; one that begins with `+ ` takes part. The first match decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Which paths are synced, with what is below them. If it is left out, `replicat select` says so, at first everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Vec<String>>,
    /// Where state is kept, if not in `.replicat` inside the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// How long its trash keeps something: `30d`; `off`: as long as there is room. 30 days if it is left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "text::optional"
    )]
    pub trash_age: Option<TrashAge>,
    /// How much its trash keeps: `10g`; `off`: whatever its age allows. A tenth of the filesystem, and 10 GiB at most, if it
    /// is left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "text::optional"
    )]
    pub trash_size: Option<TrashSize>,
    /// Whether the directory may have been part of another folder: it is united with this one, and nothing is deleted.
    #[serde(default)]
    pub join: bool,
    /// Whether the directory is created if it does not exist.
    #[serde(default)]
    pub create: bool,
    /// The most files that may be deleted within ten minutes: of more, the deletion is held until a person decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delete: Option<u64>,
}

impl NodeSettings {
    /// Reads `NAME=ADDRESS` or `ADDRESS`.
    ///
    /// # Errors
    /// If the name is not one of a node, or there is no address.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let invalid = |problem: String| SettingsError::invalid("node", text, problem);
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (Some(name), address),
            None => (None, text),
        };
        let name = name.map(str::parse).transpose();
        if address.trim().is_empty() {
            return Err(invalid(
                "write NAME=HOST:PORT, as in b=10.0.0.2:8787".to_owned(),
            ));
        }
        Ok(Self {
            name: name.map_err(|error: replicat_net::NodeNameError| invalid(error.to_string()))?,
            address: address.trim().to_owned(),
        })
    }

    /// The address with a port.
    #[must_use]
    pub fn address_with_port(&self) -> String {
        text::with_port(&self.address, None, DEFAULT_PORT)
    }
}

impl FolderSettings {
    /// A folder in `directory`, all else by default.
    #[must_use]
    pub fn new(name: FolderName, directory: impl Into<PathBuf>) -> Self {
        Self {
            name,
            directory: directory.into(),
            mode: FolderMode::default(),
            exclude: Vec::new(),
            select: None,
            state_dir: None,
            trash_age: None,
            trash_size: None,
            join: false,
            create: false,
            max_delete: None,
        }
    }

    /// Reads `NAME=DIRECTORY` or `DIRECTORY`. What stands before the first `=` is a name only if it can be one: a
    /// directory whose path holds a `=` can be written with `./` in front.
    ///
    /// # Errors
    /// If there is no directory.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let named = text
            .split_once('=')
            .and_then(|(name, directory)| Some((name.parse().ok()?, directory)));
        let (name, directory) = named.unwrap_or((FolderName::default(), text));
        if directory.is_empty() {
            let problem = "write NAME=DIRECTORY or DIRECTORY".to_owned();
            return Err(SettingsError::invalid("directory", text, problem));
        }
        Ok(Self::new(name, directory))
    }

    /// The rules that its patterns make, in order.
    ///
    /// # Errors
    /// If a pattern cannot match anything.
    pub fn rules(&self) -> Result<Vec<FilterRule>, PatternError> {
        let lines = self.exclude.join("\n");
        let rules = FilterRule::list(FilterAction::Exclude, lines.as_bytes())?;
        let source = format!("`exclude` (--exclude) of folder {}", self.name);
        let source = RuleSource::Named(source.into());
        let located = rules.into_iter();
        Ok(located
            .map(|rule| rule.from_source(source.clone()))
            .collect())
    }

    /// What it selects; `None` if that is left to commands.
    fn checked_selection(&self, field: &str) -> Result<Option<Selection>, SettingsError> {
        let Some(select) = &self.select else {
            return Ok(None);
        };
        let path = |text: &String| {
            let trimmed = text.trim_start_matches("./").trim_matches('/');
            let path = RelPath::new(trimmed.as_bytes());
            path.map_err(|error| SettingsError::invalid(field, text, error.to_string()))
        };
        let paths = select.iter().map(path).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Selection::only(paths)))
    }

    /// Where it lies.
    pub(crate) fn location(&self) -> RootLocation {
        RootLocation {
            root: self.directory.clone(),
            state_dir: self.state_dir.clone(),
        }
    }

    fn checked_rules(&self, field: &str) -> Result<Vec<FilterRule>, SettingsError> {
        self.rules().map_err(|error| {
            SettingsError::invalid(field, &self.exclude.join(", "), error.to_string())
        })
    }

    /// What the live folder is told.
    pub(crate) fn live(
        &self,
        cluster: ClusterId,
        node: &NodeName,
        durability: Durability,
    ) -> Result<LiveSettings, SettingsError> {
        if directories::has_tilde(&self.directory) {
            let problem =
                "`Settings::expand_home` puts a home directory in the place of ~".to_owned();
            let field = format!("folders.{}.directory", self.name);
            let directory = self.directory.to_string_lossy();
            return Err(SettingsError::invalid(&field, &directory, problem));
        }
        let folder = folder_id(cluster, &self.name);
        let rules = self.checked_rules(&format!("folders.{}.exclude", self.name))?;
        let mut live = LiveSettings::new(self.directory.clone(), folder, node.to_string());
        live.state_dir.clone_from(&self.state_dir);
        live.mode = self.mode;
        live.rules = rules;
        live.selection = self.checked_selection(&format!("folders.{}.select", self.name))?;
        live.durability = durability;
        live.max_delete = self.max_delete;
        live.trash = trash_limits::policy(self.trash_age, self.trash_size);
        if self.create {
            live.missing_root = MissingRoot::Create;
        }
        if self.join {
            live.foreign_root = ForeignRoot::Join;
        }
        Ok(live)
    }
}

impl Settings {
    /// The name of the node: the one that is set, else that of the host.
    #[must_use]
    pub fn node_name(&self) -> NodeName {
        self.name.clone().unwrap_or_else(text::host_name)
    }

    /// The address to listen on, with host and port.
    #[must_use]
    pub fn listen_address(&self) -> Option<String> {
        let address = self.address.as_deref()?;
        Some(text::with_port(address, Some("0.0.0.0"), DEFAULT_PORT))
    }

    /// Where the manager is, with a port.
    #[must_use]
    pub fn manager_address(&self) -> Option<String> {
        let address = self.manager_address.as_deref()?;
        Some(text::with_port(address, None, MANAGER_PORT))
    }

    /// The cluster key, from where the settings say.
    ///
    /// # Errors
    /// If there is none, or its file cannot be read.
    pub fn load_cluster_key(&self) -> Result<ClusterKey, SettingsError> {
        match (&self.cluster_key, &self.cluster_key_file) {
            (Some(key), _) => Ok(key.clone()),
            (None, Some(path)) => file::cluster_key(path),
            (None, None) => Err(SettingsError::NoClusterKey),
        }
    }

    /// The keys that are accepted beside [`Settings::load_cluster_key`], from where the settings say; none for a node with
    /// a manager, which certifies it.
    ///
    /// # Errors
    /// If a file cannot be read or holds no key.
    pub fn load_accepted_keys(&self) -> Result<Vec<ClusterKey>, SettingsError> {
        if self.manager_address.is_some() {
            return Ok(Vec::new());
        }
        let own = self.load_cluster_key().ok();
        let mut keys = self.accept_cluster_keys.clone();
        for path in &self.accept_cluster_key_files {
            keys.push(file::cluster_key(path)?);
        }
        keys.retain(|key| Some(key) != own.as_ref());
        Ok(keys)
    }

    /// The limit of bandwidth.
    ///
    /// # Errors
    /// If it is not one.
    pub fn bandwidth(&self) -> Result<Option<BandwidthLimit>, SettingsError> {
        let parse = |text: &String| {
            text.parse()
                .map_err(|error: replicat_net::BandwidthLimitError| {
                    SettingsError::invalid("bwlimit", text, error.to_string())
                })
        };
        self.bwlimit.as_ref().map(parse).transpose()
    }

    /// Finds directories that are none of this host, and what no field alone shows: folders of one name, or of one
    /// directory.
    ///
    /// # Errors
    /// If there are such mistakes.
    pub fn check(&self) -> Result<(), SettingsError> {
        let faults = self.faults().into_iter();
        SettingsError::of_all(faults.map(|fault| fault.error).collect())
    }

    fn faults(&self) -> Vec<Fault> {
        let whole = FieldPath::default();
        let mut faults = Vec::new();
        let mut put = |path: FieldPath, error| faults.push(Fault { path, error });
        if let Err(error) = self.bandwidth() {
            put(whole.key("bwlimit"), error);
        }
        for (path, field, directory) in self.directories() {
            if let Err(error) = directories::check_directory(&field, directory) {
                put(path, error);
            }
        }
        for (at, subscription) in self.notify.iter().enumerate() {
            if let Err(error) = subscription.destination() {
                let path = whole.key("notify").element(at);
                // The values may be secrets.
                let (field, value) = (path.to_string(), "what it is");
                put(
                    path,
                    SettingsError::invalid(&field, value, error.to_string()),
                );
            }
        }
        for (at, folder) in self.folders.iter().enumerate() {
            let path = whole.key("folders").element(at);
            if let Err(error) = folder.checked_rules(&path.key("exclude").to_string()) {
                put(path.key("exclude"), error);
            }
            if let Err(error) = folder.checked_selection(&path.key("select").to_string()) {
                put(path.key("select"), error);
            }
            let others = &self.folders[..at];
            if others.iter().any(|other| other.name == folder.name) {
                put(path, SettingsError::FolderTwice(folder.name.clone()));
            } else if let Some(other) = others.iter().find(|other| nested(other, folder)) {
                let (one, other) = (other.directory.clone(), folder.directory.clone());
                put(path, SettingsError::DirectoryTwice { one, other });
            }
        }
        faults
    }

    /// The directories that have to be of this host: where they stand, and their fields.
    fn directories(&self) -> Vec<(FieldPath, String, &Path)> {
        let whole = FieldPath::default();
        let mut found = Vec::new();
        for (at, folder) in self.folders.iter().enumerate() {
            let path = whole.key("folders").element(at);
            let field = |field: &str| format!("folders.{}.{field}", folder.name);
            let directory = folder.directory.as_path();
            found.push((path.key("directory"), field("directory"), directory));
            if let Some(state) = &folder.state_dir {
                found.push((path.key("state_dir"), field("state_dir"), state.as_path()));
            }
        }
        for (field, path) in [
            ("node_state", &self.node_state),
            ("folders_directory", &self.folders_directory),
        ] {
            if let Some(directory) = path {
                found.push((whole.key(field), field.to_owned(), directory.as_path()));
            }
        }
        found
    }

    /// How long a node has to be away to be told to be lost.
    #[must_use]
    pub fn node_lost_after(&self) -> Duration {
        self.node_lost_after
            .map_or(NODE_LOST_AFTER, Duration::from_secs)
    }

    /// Puts a folder in, in place of one of its name.
    pub fn set_folder(&mut self, folder: FolderSettings) {
        let found = self.folders.iter_mut().find(|old| old.name == folder.name);
        match found {
            Some(old) => *old = folder,
            None => self.folders.push(folder),
        }
    }

    /// Puts a node in, in place of one of its name.
    pub fn set_node(&mut self, node: NodeSettings) {
        self.nodes
            .retain(|old| *old != node && (node.name.is_none() || old.name != node.name));
        self.nodes.push(node);
    }
}

/// Whether one folder's directory is the other's, or lies in it.
fn nested(one: &FolderSettings, other: &FolderSettings) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (one, other) = (real(&one.directory), real(&other.directory));
    one.starts_with(&other) || other.starts_with(&one)
}

/// The id of a folder: the first 16 bytes of the BLAKE3 hash of cluster and name, read as a number, little endian. All
/// nodes of a cluster agree on it without asking.
#[must_use]
pub fn folder_id(cluster: ClusterId, name: &FolderName) -> FolderId {
    let mut hasher = blake3::Hasher::new_derive_key(FOLDER_ID_CONTEXT);
    hasher.update(cluster.to_string().as_bytes());
    hasher.update(name.as_str().as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    FolderId(u128::from_le_bytes(id))
}

#[cfg(test)]
mod tests;
