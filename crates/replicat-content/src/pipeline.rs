//! Cutting on the calling thread and hashing on another, for contents too long for one.
//!
//! Cutting and hashing cost about the same; a batch goes from one to the other whole, and at most
//! [`BATCHES`] exist.

use std::panic;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::chunker::ContentError;
use crate::manifest::ChunkReference;
use crate::source::Source;
use crate::stream::{Batch, Cutter, Progress};

/// One being cut, one being hashed, one waiting.
const BATCHES: usize = 3;

/// The chunks of all that `cutter` yields.
pub(crate) fn chunks_in_parallel<S: Source>(
    cutter: &mut Cutter<S>,
) -> Result<Vec<ChunkReference>, ContentError> {
    let class = cutter.class();
    let (cut_sender, cut_receiver) = sync_channel::<Batch>(BATCHES);
    let (free_sender, free_receiver) = sync_channel::<Batch>(BATCHES);
    thread::scope(|scope| {
        let returning = free_sender.clone();
        let hash_all = move || {
            let mut chunks = Vec::new();
            for batch in cut_receiver {
                batch.hash_into(class, &mut chunks);
                // The cutter may have finished and need no batch back.
                let _ = returning.send(batch);
            }
            chunks
        };
        let hasher = thread::Builder::new()
            .name("content-hasher".into())
            .spawn_scoped(scope, hash_all)
            .map_err(ContentError::Thread)?;
        for _ in 0..BATCHES {
            // Within the capacity of the channel, and its receiver is alive.
            let _ = free_sender.send(Batch::new());
        }
        drop(free_sender);
        let outcome = cut_all(cutter, &free_receiver, cut_sender);
        let chunks = hasher
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload));
        outcome.map(|()| chunks)
    })
}

/// Sends batches until the content ends; taking `cut` by value tells the hasher so. A channel closed
/// early means that the hasher panicked, which the caller finds out when it joins it.
#[allow(clippy::needless_pass_by_value)]
fn cut_all<S: Source>(
    cutter: &mut Cutter<S>,
    free: &Receiver<Batch>,
    cut: SyncSender<Batch>,
) -> Result<(), ContentError> {
    while let Ok(mut batch) = free.recv() {
        let progress = cutter.next_batch(&mut batch)?;
        if cut.send(batch).is_err() || progress == Progress::Finished {
            break;
        }
    }
    Ok(())
}
