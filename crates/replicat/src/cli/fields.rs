//! The members of JSON objects, as those need them who show them to people.

use jiff::tz::TimeZone;
use replicat::control::json;
use serde_json::Value;

use super::json::Object;
use super::terminal::{path_text, sentence};

/// A text; empty if there is none.
pub(crate) fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A text as a terminal may be shown it: whoever answers may be anybody.
pub(crate) fn shown(object: &Object, key: &str) -> String {
    sentence(text(object, key))
}

/// A number; 0 if there is none.
pub(crate) fn number(object: &Object, key: &str) -> u64 {
    object.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// Whether it is said to be so.
pub(crate) fn is_set(object: &Object, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool) == Some(true)
}

/// The objects of a list.
pub(crate) fn objects<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    let rows = object.get(key).and_then(Value::as_array);
    rows.into_iter().flatten().filter_map(Value::as_object)
}

/// The texts of a list.
pub(crate) fn texts<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a str> {
    let rows = object.get(key).and_then(Value::as_array);
    rows.into_iter().flatten().filter_map(Value::as_str)
}

/// A path as a terminal may be shown it, whole.
pub(crate) fn path(object: &Object, key: &str) -> String {
    path_text(&bytes(object, key))
}

/// The bytes of a path.
pub(crate) fn bytes(object: &Object, key: &str) -> Vec<u8> {
    let digits = object.get(&format!("{key}_hex")).and_then(Value::as_str);
    let bytes = digits.and_then(json::from_hexadecimal);
    bytes.unwrap_or_else(|| text(object, key).as_bytes().to_vec())
}

/// A time, by the clock of `zone`, in the form of `strftime`.
pub(crate) fn time_as(object: &Object, key: &str, zone: &TimeZone, form: &str) -> String {
    let parsed: Option<jiff::Timestamp> = text(object, key).parse().ok();
    match (parsed, object.get(key)) {
        (Some(time), _) => time.to_zoned(zone.clone()).strftime(form).to_string(),
        // Beyond the calendar.
        (None, Some(Value::Number(seconds))) => format!("@{seconds}"),
        (None, _) => "-".to_owned(),
    }
}

/// A time, by the clock of `zone`, to the second.
pub(crate) fn time(object: &Object, key: &str, zone: &TimeZone) -> String {
    time_as(object, key, zone, "%Y-%m-%d %H:%M:%S")
}
