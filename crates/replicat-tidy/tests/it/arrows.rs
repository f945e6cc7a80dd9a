//! Which of our crates may know which: the arrows of ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::repository;

/// For each crate, those of our own that it may depend on, tests aside.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("replicat-core", &[]),
    ("replicat-index", &["replicat-core"]),
    ("replicat-content", &["replicat-core"]),
    ("replicat-fs", &["replicat-core"]),
    ("replicat-net", &[]),
    ("replicat-notify", &[]),
    (
        "replicat-manager",
        &["replicat-core", "replicat-net", "replicat-notify"],
    ),
    ("replicat-sim", &["replicat-core"]),
    (
        "replicat-engine",
        &[
            "replicat-core",
            "replicat-index",
            "replicat-content",
            "replicat-fs",
        ],
    ),
    (
        "replicat-server",
        &[
            "replicat-core",
            "replicat-fs",
            "replicat-engine",
            "replicat-net",
            "replicat-manager",
            "replicat-notify",
        ],
    ),
    (
        "replicat-http",
        &[
            "replicat-core",
            "replicat-content",
            "replicat-engine",
            "replicat-net",
            "replicat-manager",
            "replicat-server",
        ],
    ),
    (
        "replicat",
        &[
            "replicat-core",
            "replicat-fs",
            "replicat-engine",
            "replicat-http",
            "replicat-server",
            "replicat-manager",
        ],
    ),
    (
        "replicat-bench",
        &[
            "replicat",
            "replicat-core",
            "replicat-content",
            "replicat-manager",
            "replicat-net",
        ],
    ),
    ("replicat-tidy", &[]),
];

/// Our crates, each with those of our own that it depends on outside its tests.
fn own_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .current_dir(repository::root())
        .no_deps()
        .exec()
        .expect("cargo describes the workspace");
    let own: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    metadata
        .packages
        .iter()
        .map(|package| (package.name.to_string(), dependencies_among(package, &own)))
        .collect()
}

fn dependencies_among(package: &Package, own: &BTreeSet<String>) -> BTreeSet<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.clone())
        .filter(|name| own.contains(name))
        .collect()
}

#[test]
fn crates_know_only_what_they_may() {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    for (package, dependencies) in own_dependencies() {
        let Some(allowed) = allowed.get(package.as_str()) else {
            panic!("{package} is new: say here, and in ARCHITECTURE.md, what it may depend on");
        };
        for dependency in dependencies {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}: the arrows point one way, to the core"
            );
        }
    }
}

#[test]
fn every_row_is_a_crate() {
    let own = own_dependencies();
    for (package, _) in ALLOWED {
        assert!(
            own.contains_key(package),
            "{package} is not in the workspace"
        );
    }
}
