//! Values as settings spell them.

use std::fmt;
use std::str::FromStr;

pub use replicat_core::name::{FolderName, FolderNameError};
use replicat_engine::live::FolderMode;
use replicat_engine::options::Durability;
use replicat_net::NodeName;
use serde::{Deserialize, Deserializer, Serializer};

/// The name of a node whose host has none that will do.
const UNNAMED_NODE: &str = "node";

/// A value by its text.
pub(super) mod plain {
    use super::{Deserializer, FromStr, Serializer, fmt, parsed};

    pub(in super::super) fn serialize<S: Serializer, T: fmt::Display>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in super::super) fn deserialize<
        'de,
        D: Deserializer<'de>,
        T: FromStr<Err: fmt::Display>,
    >(
        deserializer: D,
    ) -> Result<T, D::Error> {
        parsed(deserializer)
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// A value that is there or not, by its text.
pub(super) mod optional {
    use super::{Deserializer, FromStr, Serializer, fmt, parsed};

    pub(in super::super) fn serialize<S: Serializer, T: fmt::Display>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<
        'de,
        D: Deserializer<'de>,
        T: FromStr<Err: fmt::Display>,
    >(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        parsed(deserializer).map(Some)
    }
}

/// The cluster key by its text, which is the secret itself.
pub(super) mod cluster_key {
    use replicat_net::ClusterKey;

    use super::{Deserializer, Serializer, parsed};

    pub(in super::super) fn serialize<S: Serializer>(
        key: &Option<ClusterKey>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => serializer.serialize_str(&key.to_text()),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ClusterKey>, D::Error> {
        parsed(deserializer).map(Some)
    }
}

/// Cluster keys by their texts.
pub(super) mod cluster_keys {
    use replicat_net::ClusterKey;
    use serde::ser::SerializeSeq;

    use super::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        keys: &[ClusterKey],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(keys.len()))?;
        for key in keys {
            list.serialize_element(key.to_text().as_str())?;
        }
        list.end()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<ClusterKey>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let keys = texts.iter().map(|text| text.parse());
        keys.collect::<Result<_, _>>()
            .map_err(serde::de::Error::custom)
    }
}

/// Words for the values of an enumeration.
macro_rules! words {
    ($module:ident, $type:ty, $parse:ident, $($word:literal => $value:expr),+) => {
        /// One of a few words.
        pub(super) mod $module {
            use super::{Deserialize, Deserializer, Serializer, $parse};

            #[allow(unused_imports)]
            use super::{Durability, FolderMode};

            pub(in super::super) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let word = match value { $(value if *value == $value => $word,)+ _ => "" };
                serializer.serialize_str(word)
            }

            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let word = String::deserialize(deserializer)?;
                $parse(&word).map_err(serde::de::Error::custom)
            }
        }

        /// The value that a word stands for.
        ///
        /// # Errors
        /// Which words there are, if it is none of them.
        pub fn $parse(word: &str) -> Result<$type, String> {
            match word {
                $($word => Ok($value),)+
                other => Err(format!("{other:?} is none of {}", [$($word),+].join(", "))),
            }
        }
    };
}

words!(mode, FolderMode, parse_mode,
    "read-write" => FolderMode::ReadWrite,
    "send-only" => FolderMode::SendOnly,
    "receive-only" => FolderMode::ReceiveOnly);
words!(durability, Durability, parse_durability,
    "group" => Durability::Group,
    "none" => Durability::None);

/// An address with a port, `port` if it names none, and with a host if one is given for those that lack it: `8787`, `:8787`, `host`, `[::1]`.
pub(super) fn with_port(address: &str, host: Option<&str>, port: u16) -> String {
    let address = address.trim();
    let bare = address.strip_prefix(':').unwrap_or(address);
    if let (Some(host), Ok(port)) = (host, bare.parse::<u16>()) {
        return format!("{host}:{port}");
    }
    let has_port = match address.rsplit_once(':') {
        Some((before, port)) => {
            port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
        }
        None => false,
    };
    let is_bare_v6 = !has_port && address.parse::<std::net::Ipv6Addr>().is_ok();
    match (has_port, is_bare_v6) {
        (true, _) => address.to_owned(),
        (false, true) => format!("[{address}]:{port}"),
        (false, false) => format!("{address}:{port}"),
    }
}

/// What is wrong with the form of `HOST:PORT`, if something is. Nothing is resolved.
#[must_use]
pub fn wrong_address(address: &str) -> Option<&'static str> {
    let form = "write HOST:PORT, as in 10.0.0.2:8787 or [::1]:8787";
    let Some((host, port)) = address.rsplit_once(':') else {
        return Some(form);
    };
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && host
            .chars()
            .all(|letter| letter.is_alphanumeric() || "-._".contains(letter));
    match (port.parse::<u16>(), is_v6 || is_name) {
        (Err(_), _) => Some("the port is a number from 0 to 65535"),
        (Ok(_), false) => Some(form),
        (Ok(_), true) => None,
    }
}

/// The name of this host, as far as it can name a node.
pub(super) fn host_name() -> NodeName {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let host = host.split('.').next().unwrap_or_default();
    let plain: String = host
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() || letter == '-' => letter,
            _ => '_',
        })
        .take(64)
        .collect();
    plain.parse().unwrap_or_else(|_| unnamed())
}

fn unnamed() -> NodeName {
    match UNNAMED_NODE.parse() {
        Ok(name) => name,
        Err(_) => unreachable!("a plain word names a node"),
    }
}
