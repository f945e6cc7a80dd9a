//! The names of all fields, to tell which one was meant.

use serde_json::Value;

use super::error::SettingsError;
use super::place::FieldPath;
use super::reading::Fault;

/// Fields of [`Settings`](super::Settings).
const SETTINGS: &[&str] = &[
    "name",
    "address",
    "advertise",
    "cluster_key",
    "cluster_key_file",
    "accept_cluster_keys",
    "accept_cluster_key_files",
    "manager_address",
    "manager_credentials",
    "node_state",
    "folders_directory",
    "nodes",
    "folders",
    "bwlimit",
    "durability",
    "notify",
    "node_lost_after",
    "control_socket",
    "http",
    "http_certificate",
    "http_key",
    "http_hosts",
];
/// Fields of [`NodeSettings`](super::NodeSettings).
const NODE: &[&str] = &["name", "address"];
/// Fields of [`FolderSettings`](super::FolderSettings).
const FOLDER: &[&str] = &[
    "name",
    "directory",
    "mode",
    "exclude",
    "select",
    "state_dir",
    "trash_age",
    "trash_size",
    "join",
    "create",
    "max_delete",
];
/// Fields of [`Subscription`](replicat_notify::Subscription).
const NOTIFY: &[&str] = &["webhook", "authorization", "command", "on"];
/// How alike two words must be for one to be taken for the other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.7;

/// Leaves out the fields that there are not, and says which these are.
pub(super) fn unknown(settings: &mut Value) -> Vec<Fault> {
    let whole = FieldPath::default();
    let mut faults = check_object(settings, &whole, SETTINGS);
    let lists = [("nodes", NODE), ("folders", FOLDER), ("notify", NOTIFY)];
    for (list, known) in lists {
        let Some(Value::Array(rows)) = settings.get_mut(list) else {
            continue;
        };
        for (at, row) in rows.iter_mut().enumerate() {
            faults.extend(check_object(row, &whole.key(list).element(at), known));
        }
    }
    faults
}

fn check_object(
    object: &mut Value,
    within: &FieldPath,
    known: &'static [&'static str],
) -> Vec<Fault> {
    let Value::Object(fields) = object else {
        return Vec::new();
    };
    let names = fields.keys().cloned();
    let unknown: Vec<_> = names
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    for name in &unknown {
        fields.remove(name);
    }
    let fault = |name: String| {
        let path = within.key(&name);
        let nearest = nearest(&name, known).map(str::to_owned);
        let error = SettingsError::Unknown {
            field: path.to_string(),
            nearest,
            known,
        };
        Fault { path, error }
    };
    unknown.into_iter().map(fault).collect()
}

/// The known word that is most like `word`, if it is alike at all.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let likeness = |known: &str| strsim::jaro_winkler(&word, known);
    let best = known
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(best) >= LIKENESS_MIN).then_some(best)
}
