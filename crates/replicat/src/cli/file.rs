//! `replicat file`: single files of a folder on another host.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use replicat::control::json::from_hexadecimal;
use replicat::http::client::{ApiError, Downloaded, PutIf};
use replicat_core::id::ContentHash;

use super::elsewhere::{FolderOfNodeArguments, path_in_folder};
use super::failure::Failure;
use super::help;
use super::json;
use super::output::Output;
use super::teller::Teller;

/// Of `replicat file`.
#[derive(Debug, Args)]
#[command(after_help = help::FILE)]
pub(crate) struct FileArguments {
    #[command(subcommand)]
    pub(crate) command: FileCommand,
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new(), global = true)]
    pub(crate) json: bool,
}

/// What can be done with a file.
#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Fetch a file
    Get(GetArguments),
    /// Put a file in its place, whole or not at all; what it replaces goes to the trash there
    Put(PutArguments),
    /// Move a file to the trash there
    Remove(RemoveArguments),
}

/// Of `replicat file get`.
#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// The path in the folder
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Write to FILE, which appears when it is whole [default: standard output]
    #[arg(long, short, value_name = "FILE", env = "REPLICAT_OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    /// Only the bytes from FIRST up to END, which is not among them; to the end if it is left out
    #[arg(long, value_name = "FIRST..[END]", value_parser = range)]
    pub(crate) range: Option<(u64, Option<u64>)>,
    #[command(flatten)]
    pub(crate) node: FolderOfNodeArguments,
}

/// Of `replicat file put`.
#[derive(Debug, Args)]
pub(crate) struct PutArguments {
    /// The file of this host
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The path in the folder
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Only if nothing is there
    #[arg(long, conflicts_with = "if_content")]
    pub(crate) if_new: bool,
    /// Only if what is there has this content, as `replicat tree --json` names it
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) if_content: Option<ContentHash>,
    #[command(flatten)]
    pub(crate) node: FolderOfNodeArguments,
}

/// Of `replicat file remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// The path in the folder
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Only if what is there has this content
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) if_content: Option<ContentHash>,
    #[command(flatten)]
    pub(crate) node: FolderOfNodeArguments,
}

/// Does what is asked.
pub(crate) fn run(arguments: &FileArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.json, output);
    match &arguments.command {
        FileCommand::Get(wanted) => get(wanted, arguments.json, &teller),
        FileCommand::Put(wanted) => put(wanted, &teller),
        FileCommand::Remove(wanted) => remove(wanted, &teller),
    }
}

fn get(arguments: &GetArguments, json: bool, teller: &Teller) -> Result<(), Failure> {
    let Some(output) = &arguments.output else {
        if json {
            return Err(Failure::NoOutputFile);
        }
        // What is not the whole file ends with an error.
        download(arguments, &mut io::stdout().lock(), Failure::Output)?;
        return Ok(());
    };
    let failed = |source| {
        let path = output.clone();
        Failure::from(ApiError::File { path, source })
    };
    let directory = output
        .parent()
        .filter(|above| !above.as_os_str().is_empty());
    // As any file that a command makes: what the umask leaves.
    let mut builder = tempfile::Builder::new();
    builder.permissions(Permissions::from_mode(0o666));
    let staged = builder.tempfile_in(directory.unwrap_or(Path::new(".")));
    let mut staged = staged.map_err(failed)?;
    let got = download(arguments, staged.as_file_mut(), failed)?;
    staged.as_file().sync_all().map_err(failed)?;
    let staged = staged.persist(output);
    staged.map_err(|error| failed(error.error))?;
    let mut object = json::object("downloaded");
    json::put_path(&mut object, "path", &path_in_folder(&arguments.path)?);
    json::put_bytes(&mut object, "output", output.as_os_str().as_encoded_bytes());
    json::put(&mut object, "size", got.size);
    json::put(&mut object, "content", got.content);
    Ok(teller.tell(&object)?)
}

fn download(
    arguments: &GetArguments,
    to: &mut dyn Write,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<Downloaded, Failure> {
    let path = path_in_folder(&arguments.path)?;
    let (client, folder) = arguments.node.required()?;
    client.download(&folder, &path, arguments.range, to, failed)
}

fn put(arguments: &PutArguments, teller: &Teller) -> Result<(), Failure> {
    let path = path_in_folder(&arguments.path)?;
    let condition = match (arguments.if_new, arguments.if_content) {
        (true, _) => PutIf::Nothing,
        (false, Some(content)) => PutIf::Content(content),
        (false, None) => PutIf::Anything,
    };
    let failed = |source| ApiError::File {
        path: arguments.file.clone(),
        source,
    };
    let found = fs::metadata(&arguments.file).map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::ErrorKind::IsADirectory.into()).into());
    }
    // One that grows is sent as long as it was; one that shrinks is not taken.
    let mut file = File::open(&arguments.file)
        .map_err(failed)?
        .take(found.len());
    let (client, folder) = arguments.node.required()?;
    let done = client.upload(&folder, &path, condition, &mut file, found.len())?;
    Ok(teller.tell(&done)?)
}

fn remove(arguments: &RemoveArguments, teller: &Teller) -> Result<(), Failure> {
    let path = path_in_folder(&arguments.path)?;
    let condition = arguments.if_content.map_or(PutIf::Anything, PutIf::Content);
    let (client, folder) = arguments.node.required()?;
    let done = client.remove(&folder, &path, condition)?;
    Ok(teller.tell(&done)?)
}

fn range(text: &str) -> Result<(u64, Option<u64>), String> {
    let wrong = || "write FIRST..END or FIRST.., in bytes".to_owned();
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let first = number(first)?;
    let end = (!end.is_empty()).then(|| number(end)).transpose()?;
    match end {
        Some(end) if end <= first => Err("there is nothing in it".to_owned()),
        end => Ok((first, end)),
    }
}

fn hash(text: &str) -> Result<ContentHash, String> {
    let bytes = from_hexadecimal(text).and_then(|bytes| bytes.try_into().ok());
    let hash = bytes.map(ContentHash);
    hash.ok_or_else(|| "write 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_people_write_them() {
        assert_eq!(range("0..10"), Ok((0, Some(10))));
        assert_eq!(range("7.."), Ok((7, None)));
        for text in ["", "7", "..7", "7..7", "9..7", "a..", "-1..2"] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
