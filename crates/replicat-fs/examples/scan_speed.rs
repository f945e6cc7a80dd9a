//! Times scans of a directory of which all is known: `scan_speed DIRECTORY [ROUNDS]`.

use std::collections::HashMap;
use std::io::{Error, Write, stdout};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Instant;

use replicat_core::path::RelPath;
use replicat_core::record::{Local, Record};
use replicat_core::store::{Children, StoreError};
use replicat_fs::filter::Filter;
use replicat_fs::observe::{AttributesOfFiles, Tracking};
use replicat_fs::root::Root;
use replicat_fs::scan::{Baseline, Scan, ScanItem, default_threads};

#[derive(Default)]
struct Known(HashMap<RelPath, Children>);

impl Baseline for Known {
    fn children(&self, directory: &RelPath) -> Result<Children, StoreError> {
        Ok(self.0.get(directory).cloned().unwrap_or_default())
    }

    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError> {
        let siblings = path.parent().and_then(|parent| self.0.get(&parent));
        let found = siblings.and_then(|all| all.iter().find(|(name, _)| name == path.name()));
        Ok(found.map(|(_, record)| record.clone()))
    }
}

fn scan(root: &Root, known: &Known) -> Result<Vec<ScanItem>, Error> {
    let items = Mutex::new(Vec::new());
    let sink = |item| match items.lock() {
        Ok(mut items) => {
            items.push(item);
            ControlFlow::Continue(())
        }
        Err(_) => ControlFlow::Break(()),
    };
    let filter = Filter::default();
    let scan = Scan {
        root,
        filter: &filter,
        tracking: Tracking::of_process(),
        attributes: AttributesOfFiles::Observed,
        baseline: known,
        sink: &sink,
        threads: default_threads(),
    };
    scan.run().map_err(Error::other)?;
    items
        .into_inner()
        .map_err(|_| Error::other("a scanning thread panicked"))
}

fn learn(items: Vec<ScanItem>) -> Known {
    let mut known = Known::default();
    for item in items {
        if let ScanItem::Changed { path, observation } = item {
            let local = Some(Local {
                fingerprint: observation.fingerprint,
                racy: false,
                base: None,
                unheld: None,
            });
            let record = Record {
                local,
                ..Record::default()
            };
            let parent = path.parent().unwrap_or_else(RelPath::root);
            let siblings = known.0.entry(parent).or_default();
            siblings.push((path.name().to_vec(), record));
        }
    }
    for children in known.0.values_mut() {
        children.sort_by(|a, b| a.0.cmp(&b.0));
    }
    known
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = || Error::other("usage: scan_speed DIRECTORY [ROUNDS]");
    let root = Root::open(arguments.next().ok_or_else(usage)?).map_err(Error::other)?;
    let rounds = match arguments.next() {
        Some(text) => text.to_string_lossy().parse().map_err(Error::other)?,
        None => 5_u32,
    };
    let mut out = stdout();
    let begun = Instant::now();
    let items = scan(&root, &Known::default())?;
    writeln!(out, "new: {} items in {:?}", items.len(), begun.elapsed())?;
    let known = learn(items);
    for _ in 0..rounds {
        let begun = Instant::now();
        let told = scan(&root, &known)?.len();
        writeln!(out, "known: {told} items in {:?}", begun.elapsed())?;
    }
    Ok(())
}
