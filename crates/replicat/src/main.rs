//! The command `replicat`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
