//! The command `replicat`.

mod cli;

/// Records travel from the thread that reads them to the one that writes them, and are freed there: the system's allocator
/// takes about a tenth of a first sync's time for that, this one less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
