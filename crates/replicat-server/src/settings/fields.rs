//! The names of all fields, to tell which one was meant.

use serde_json::Value;

use super::error::SettingsError;

/// Fields of [`Settings`](super::Settings).
const SETTINGS: [&str; 20] = [
    "name",
    "address",
    "advertise",
    "cluster_key",
    "cluster_key_file",
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
const NODE: [&str; 2] = ["name", "address"];
/// Fields of [`FolderSettings`](super::FolderSettings).
const FOLDER: [&str; 9] = [
    "name",
    "directory",
    "mode",
    "exclude",
    "state_dir",
    "trash_age",
    "trash_size",
    "join",
    "create",
];
/// Fields of [`Subscription`](replicat_notify::Subscription).
const NOTIFY: [&str; 4] = ["webhook", "authorization", "command", "on"];
/// How alike two words must be for one to be taken for the other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.7;

/// Refuses the first field that there is not.
pub(super) fn check(settings: &Value) -> Result<(), SettingsError> {
    check_object(settings, "", &SETTINGS)?;
    let lists = [
        ("nodes", &NODE[..]),
        ("folders", &FOLDER[..]),
        ("notify", &NOTIFY[..]),
    ];
    for (list, known) in lists {
        let Some(Value::Array(rows)) = settings.get(list) else {
            continue;
        };
        for (at, row) in rows.iter().enumerate() {
            check_object(row, &format!("{list}[{at}]."), known)?;
        }
    }
    Ok(())
}

fn check_object(object: &Value, within: &str, known: &[&str]) -> Result<(), SettingsError> {
    let Value::Object(fields) = object else {
        return Ok(());
    };
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => Err(SettingsError::Unknown {
            field: format!("{within}{field}"),
            nearest: nearest(field, known).map(str::to_owned),
        }),
    }
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
