//! Measures an index: `cargo run --release -p replicat-index --example measure -- FILES DIRECTORY`.
//!
//! It fills an index with FILES records as after a first sync, in path order or scattered, and prints
//! bytes a file beside the path, and the time of writing, scanning by directories, and settling.

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use replicat_core::entry::{Entry, Metadata, Payload, Stamps, Timestamp, Version};
use replicat_core::id::{ContentHash, FolderId, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::record::{Fingerprint, Local, Record};
use replicat_core::store::{Identity, Store};
use replicat_core::version::{Context, Dot, Hlc};
use replicat_index::{Durability, Index, Reader};

const FILES_A_DIRECTORY: u64 = 50;
const FILES_A_COMMIT: u64 = 4_000;
const FILES_UPDATED: u64 = 50_000;
const START_MS: u64 = 1_763_856_000_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let files: u64 = arguments.next().as_deref().unwrap_or("50000").parse()?;
    let directory = arguments.next().unwrap_or_else(|| ".".to_owned());
    for (name, order) in [("in path order", 1), ("scattered", 7_368_787)] {
        let path = Path::new(&directory).join("measured.index");
        measure(&path, name, files, order)?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

/// Writes file `n * order % files` for each n, and reads them all back.
fn measure(path: &Path, name: &str, files: u64, order: u64) -> Outcome<()> {
    let mut index = Index::create(path, &identity())?;
    let mut path_bytes = 0;
    let (written, wrote_cpu) = timed(|| {
        for n in 0..files {
            let number = n * order % files;
            let path = path_of(number)?;
            path_bytes += path.as_bytes().len() as u64;
            if number.is_multiple_of(FILES_A_DIRECTORY) {
                set_directory(&mut index, &path)?;
            }
            index.set_record(&path, &record_of(number, false))?;
            if n % FILES_A_COMMIT == FILES_A_COMMIT - 1 {
                index.commit(Durability::Group)?;
            }
        }
        Ok(index.commit(Durability::Group)?)
    })?;
    drop(index);
    let first_bytes = disk_bytes(path)?;
    let (opened, _) = timed(|| {
        Index::open(path)?;
        Ok(())
    })?;
    let mut index = Index::open(path)?;
    let (compacted, _) = timed(|| Ok(index.compact()?))?;
    let compact_bytes = disk_bytes(path)?;
    let (scanned, _) = timed(|| scan(&index.reader(), &RelPath::root(), files))?;
    let (found, _) = timed(|| look_up(&index.reader(), files))?;
    let (settled, settled_cpu) = timed(|| settle(&mut index, files.min(FILES_UPDATED)))?;
    drop(index);
    let bytes = disk_bytes(path)?;
    println!(
        "{files} files {name}: {} bytes a file beside the path, {} compacted in {compacted:?}, {} after updates; opened in {opened:?}; written in {written:?} \
         ({wrote_cpu:?} CPU), scanned in {scanned:?}, looked up in {found:?}; \
         {} updated in {settled:?} ({settled_cpu:?} CPU)",
        (first_bytes - path_bytes.min(first_bytes)) / files,
        (compact_bytes - path_bytes.min(compact_bytes)) / files,
        (bytes - path_bytes.min(bytes)) / files,
        files.min(FILES_UPDATED),
    );
    Ok(())
}

/// The space a file takes on its disk; redb grows a file ahead of what it writes.
fn disk_bytes(path: &Path) -> Outcome<u64> {
    Ok(std::fs::metadata(path)?.blocks() * 512)
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<(Duration, Duration)> {
    let (start, cpu) = (Instant::now(), cpu_time()?);
    work()?;
    Ok((start.elapsed(), cpu_time()?.saturating_sub(cpu)))
}

/// The processor time of this process, in the kernel's ticks of 10 ms.
fn cpu_time() -> Outcome<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().unwrap_or("").split(' ');
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>);
    Ok(Duration::from_millis(ticks.sum::<Result<u64, _>>()? * 10))
}

/// Reads every record by its directory, as a scan does.
fn scan(reader: &Reader, root: &RelPath, files: u64) -> Outcome<()> {
    let mut unread = vec![root.clone()];
    let mut seen = 0;
    while let Some(directory) = unread.pop() {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = reader.children(&directory, after.as_deref(), 1_000)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let full = page.len() == 1_000;
            for (name, record) in page {
                let live = record
                    .entry
                    .versions()
                    .first()
                    .map(|version| &version.payload);
                if live.is_some_and(Payload::is_directory) {
                    unread.push(directory.join(&name)?);
                } else {
                    seen += 1;
                }
            }
            if !full {
                break;
            }
        }
    }
    if seen != files {
        return Err(format!("{seen} of {files} files were found").into());
    }
    Ok(())
}

fn look_up(reader: &Reader, files: u64) -> Outcome<()> {
    for number in 0..files {
        reader
            .record(&path_of(number)?)?
            .ok_or("a record is gone")?;
    }
    Ok(())
}

/// The common update: work is done, and the storage's fingerprint is known.
fn settle(index: &mut Index, files: u64) -> Outcome<()> {
    for number in 0..files {
        index.set_record(&path_of(number)?, &record_of(number, true))?;
    }
    Ok(index.commit(Durability::Group)?)
}

fn identity() -> Identity {
    Identity {
        folder: FolderId(1),
        replica: ReplicaId(0x0123_4567_89ab_cdef),
        name: "measured".to_owned(),
        counter: 0,
        confirmed: 0,
        published: Vec::new(),
    }
}

/// Keeps records of the directories that hold a file.
fn set_directory(index: &mut Index, file: &RelPath) -> Outcome<()> {
    let place = file.as_bytes().iter().map(|&byte| u64::from(byte)).sum();
    for (directory, number) in file.ancestors().zip(place..) {
        let mut record = record_of(number, false);
        let mut versions = record.entry.versions().to_vec();
        for version in &mut versions {
            version.payload = Payload::Directory;
        }
        record.entry = Entry::from_stored(versions);
        index.set_record(&directory, &record)?;
    }
    Ok(())
}

fn path_of(number: u64) -> Outcome<RelPath> {
    let directory = number / FILES_A_DIRECTORY;
    let path = format!("src/module_{directory}/name_{number}.rs");
    Ok(RelPath::new(path.as_bytes())?)
}

fn record_of(number: u64, touched: bool) -> Record {
    let mut hash = [0; 32];
    let mut state = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for chunk in hash.chunks_mut(8) {
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    let content = ContentHash(hash);
    // Edited at some time in the last year, copied here just now.
    let age_seconds = state % 31_536_000;
    let nanoseconds = u32::try_from(state % 1_000_000_000).unwrap_or(0);
    let hlc = Hlc(START_MS + number / 4);
    let mtime = Timestamp {
        seconds: (hlc.0 / 1000 - age_seconds).cast_signed(),
        nanoseconds,
    };
    let ctime = Timestamp {
        seconds: (hlc.0 / 1000).cast_signed() + i64::from(touched),
        nanoseconds: nanoseconds / 3,
    };
    let birth = Timestamp {
        nanoseconds: nanoseconds / 5,
        ..ctime
    };
    let size = state % 40_000;
    let version = Version {
        dot: Dot {
            counter: START_MS + number,
            replica: identity().replica,
        },
        context: Context::default(),
        hlc,
        payload: Payload::File {
            content,
            size,
            link: None,
        },
        metadata: Metadata {
            mode: Some(0o644),
            mtime: Some(mtime),
            owner: None,
            xattrs: None,
        },
        stamps: Stamps::all(hlc),
        base: None,
        carry: None,
        conflict_of: None,
    };
    let fingerprint = Fingerprint {
        inode: 5_000_000 + number,
        size,
        mtime,
        ctime,
        birth,
    };
    Record {
        entry: Entry::from_stored(vec![version]),
        local: Some(Local {
            fingerprint,
            racy: false,
            base: None,
            unheld: None,
        }),
        excluded: None,
        pending: false,
    }
}
