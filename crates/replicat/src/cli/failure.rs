//! How a command that could not be done says so: what happened, to which path, what to do.

use std::io;
use std::path::{Path, PathBuf};

use replicat::control::client::ClientError;
use replicat::error::{ExitCode, LockHolder, SyncError};
use replicat::http::HttpError;
use replicat::http::client::ApiError;
use replicat::http::tokens::TokenStoreError;
use replicat::manager::ManagerError;
use replicat::options::PatternError;
use replicat::{ClusterKeyError, ServerError, SettingsError};

use super::json;
use super::output::{Format, Output};
use super::progress::print_error_line;
use super::terminal::{root_text, sentence};

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library refused or failed.
    Sync(SyncError),
    /// A file of patterns cannot be read.
    Patterns { path: PathBuf, source: io::Error },
    /// A pattern is not valid.
    Pattern(PatternError),
    /// A path lies in no root.
    NoRoot { path: PathBuf },
    /// No node that runs here keeps a path.
    NotKept { path: PathBuf },
    /// A path lies outside the root that was named.
    Outside { path: PathBuf, root: PathBuf },
    /// A path cannot be one of a root.
    Path { path: PathBuf, problem: String },
    /// A node could not be started, or not do as it was told.
    Server(Box<ServerError>),
    /// A node that was asked did not answer, or refused.
    Client(ClientError),
    /// No node runs here.
    NoNode,
    /// Several nodes run here, and none was named.
    ManyNodes(Vec<PathBuf>),
    /// A manager could not do what it was asked.
    Manager(Box<ManagerError>),
    /// A node or manager elsewhere was not reached, or refused.
    Api(Box<ApiError>),
    /// No token was named for what is asked elsewhere.
    NoToken,
    /// The file of a token cannot be read.
    TokenFile { path: PathBuf, source: io::Error },
    /// What is done elsewhere alone was asked for without saying where.
    NoUrl,
    /// A node keeps several folders or none, and none was named.
    WhichFolder(Vec<String>),
    /// Both a directory of this host and a folder of a node were named.
    RootAndFolder(PathBuf),
    /// Paths of two roots were named, where one root is meant.
    SeveralRoots(PathBuf, PathBuf),
    /// A file was to go to standard output, and so was JSON.
    NoOutputFile,
    /// The trash was not to be emptied after all, or there was nobody to ask.
    NotConfirmed,
    /// The HTTP API is not served, or its tokens are not changed.
    Http(Box<HttpError>),
    /// There is no manager's state where it should be.
    NoManager(PathBuf),
    /// There is no place for state of which nobody said where it is.
    NoStatePlace(&'static str),
    /// No cluster key could be made.
    Key(ClusterKeyError),
    /// The file of a new cluster key cannot be written.
    KeyFile { path: PathBuf, source: io::Error },
    /// What was to be shown could not be.
    Demo(io::Error),
    /// Asynchronous work cannot run.
    Runtime(io::Error),
    /// A place on another host stands where a directory of this one is wanted.
    RemotePlace { place: PathBuf, wanted: Wanted },
    /// A sync with another host was not understood.
    Remote { problem: String, hint: &'static str },
    /// A sync with another host could not be done.
    Unreachable { node: String, reason: String },
    /// A folder stopped by itself.
    Halted(String),
    /// Signals cannot be caught.
    Signals(io::Error),
    /// Standard output cannot be written.
    Output(io::Error),
}

/// What is wanted where a place on another host was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A directory, or a folder of a node.
    Replica,
    /// A directory with a root or its state.
    Directory,
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        Self::Sync(error)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        ServerError::from(error).into()
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Http(Box::new(error))
    }
}

impl From<ManagerError> for Failure {
    fn from(error: ManagerError) -> Self {
        Self::Manager(Box::new(error))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    fn kind(&self) -> &str {
        match self {
            Self::Sync(error) => error.kind(),
            Self::Server(error) => error.kind(),
            Self::Client(ClientError::Refused { kind, .. }) => kind,
            Self::Client(_) => "node",
            Self::NoNode => "no-node",
            Self::ManyNodes(_) => "many-nodes",
            Self::Key(_) | Self::KeyFile { .. } => "key",
            Self::Manager(_) => "manager",
            Self::Http(_) => "http",
            Self::Api(error) => error.kind(),
            Self::NoToken | Self::TokenFile { .. } => "token",
            Self::NoUrl => "no-url",
            Self::WhichFolder(_) => "which-folder",
            Self::RootAndFolder(_) => "root-and-folder",
            Self::SeveralRoots(..) => "several-roots",
            Self::NoOutputFile => "no-output-file",
            Self::NotConfirmed => "not-confirmed",
            Self::NoManager(_) => "no-manager",
            Self::NoStatePlace(_) => "no-state-place",
            Self::Demo(_) => "demo",
            Self::Runtime(_) => "runtime",
            Self::Remote { .. } | Self::RemotePlace { .. } => "remote",
            Self::Unreachable { .. } => "unreachable",
            Self::Halted(_) => "halted",
            Self::Patterns { .. } => "patterns",
            Self::Pattern(_) => "pattern",
            Self::NoRoot { .. } => "no-root",
            Self::NotKept { .. } => "not-kept",
            Self::Outside { .. } => "outside",
            Self::Path { .. } => "path",
            Self::Signals(_) => "signals",
            Self::Output(_) => "output",
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Sync(error) => sentence(&error.to_string()),
            Self::Server(error) => sentence(&error.to_string()),
            Self::Client(error) => sentence(&error.to_string()),
            Self::Manager(error) => sentence(&error.to_string()),
            Self::Http(error) => sentence(&error.to_string()),
            Self::NoNode => "no node runs here".to_owned(),
            Self::ManyNodes(sockets) => {
                let names: Vec<_> = sockets.iter().map(|path| root_text(path)).collect();
                format!("several nodes run here: {}", names.join(", "))
            }
            Self::Api(error) => sentence(&error.to_string()),
            Self::NoToken => "no token is named to be shown there".to_owned(),
            Self::TokenFile { path, source } => cannot_read("the token in", path, source),
            Self::NoUrl => "it is not said where".to_owned(),
            Self::WhichFolder(names) if names.is_empty() => "there is no folder".to_owned(),
            Self::WhichFolder(names) => {
                let names: Vec<_> = names.iter().map(|name| sentence(name)).collect();
                format!("there are several folders: {}", names.join(", "))
            }
            Self::RootAndFolder(root) => format!(
                "{} is a directory of this host, and a folder of a node is asked for",
                root_text(root)
            ),
            Self::SeveralRoots(one, other) => format!(
                "the paths are in different roots: {} and {}",
                root_text(one),
                root_text(other)
            ),
            Self::NoOutputFile => "standard output cannot take a file and JSON as well".to_owned(),
            Self::NotConfirmed => {
                "nothing was removed from the trash: nobody confirmed it".to_owned()
            }
            Self::NoManager(place) => format!("there is no manager in {}", root_text(place)),
            Self::NoStatePlace(_) => {
                "neither XDG_STATE_HOME nor HOME says where state is kept".to_owned()
            }
            Self::Key(error) => error.to_string(),
            Self::KeyFile { path, source } => {
                format!("could not write the key to {}: {source}", root_text(path))
            }
            Self::Demo(source) => format!("the demonstration failed: {source}"),
            Self::Runtime(source) => format!("could not start: {source}"),
            Self::RemotePlace { place, .. } => format!(
                "{} looks like a place on another host, which is not supported",
                root_text(place)
            ),
            Self::Remote { problem, .. } => sentence(problem),
            Self::Unreachable { node, reason } => {
                format!("could not reach {}: {}", sentence(node), sentence(reason))
            }
            Self::Halted(reason) => format!("the folder stopped: {}", sentence(reason)),
            Self::Patterns { path, source } => cannot_read("the patterns in", path, source),
            Self::Pattern(error) => sentence(&error.to_string()),
            Self::NoRoot { path } => format!("{} lies in no root", root_text(path)),
            Self::NotKept { path } => {
                format!("no node that runs here keeps {}", root_text(path))
            }
            Self::Outside { path, root } => {
                format!("{} does not lie in {}", root_text(path), root_text(root))
            }
            Self::Path { path, problem } => {
                format!("{} is no path: {}", root_text(path), sentence(problem))
            }
            Self::Signals(source) => format!("could not prepare for Ctrl-C: {source}"),
            Self::Output(source) => format!("could not write the output: {source}"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Sync(error) => error.hint().map(|hint| sentence(&hint)),
            Self::Server(error) => error.hint().map(|hint| sentence(&hint)),
            Self::Client(ClientError::Refused { hint, .. }) => {
                hint.as_ref().map(|hint| sentence(hint))
            }
            Self::NoNode => Some(
                "start one with `replicat serve`, or name its socket with --node-socket".to_owned(),
            ),
            Self::ManyNodes(_) => Some("name one with --node-socket".to_owned()),
            Self::RemotePlace { place, wanted } => {
                let supported = match wanted {
                    Wanted::Replica => "a folder of a node is replicat://HOST:PORT/FOLDER",
                    Wanted::Directory => "a node on another host is named with --url HOST:PORT",
                };
                let local = root_text(&Path::new(".").join(place));
                Some(format!("{supported}; a directory of that name is {local}"))
            }
            Self::Remote { hint, .. } => Some((*hint).to_owned()),
            Self::Unreachable { .. } => {
                Some("see that the node runs there, and that both have the same cluster key".into())
            }
            Self::NoManager(_) => Some(
                "start it with `replicat manager serve`, or name its directory with --manager-state"
                    .to_owned(),
            ),
            Self::Api(error) => error.hint().map(|hint| sentence(&hint)),
            Self::NoToken => Some(
                "make one there with `replicat api token create`, and name a file that holds it \
                 with --token-file"
                    .to_owned(),
            ),
            Self::NoUrl => Some("name the node with --url HOST:PORT".to_owned()),
            Self::WhichFolder(_) => Some("name one with --folder".to_owned()),
            Self::RootAndFolder(_) => {
                Some("leave it out, or --url and --folder and their variables".to_owned())
            }
            Self::SeveralRoots(..) => Some("name paths of one root at a time".to_owned()),
            Self::NoOutputFile => Some("name a file with --output".to_owned()),
            Self::NotConfirmed => {
                Some("answer the question with y, or add --yes where nobody can be asked".to_owned())
            }
            Self::NoStatePlace(option) => Some(format!("name a directory with {option}")),
            Self::Client(_)
            | Self::Manager(_)
            | Self::Http(_)
            | Self::TokenFile { .. }
            | Self::Key(_)
            | Self::KeyFile { .. }
            | Self::Demo(_)
            | Self::Runtime(_)
            | Self::Halted(_) => None,
            Self::Patterns { .. } => Some("name a file with a pattern on each line".to_owned()),
            Self::NotKept { .. } => Some(
                "start the node that keeps it, name it with --node-socket, or name a folder with --folder".to_owned(),
            ),
            Self::NoRoot { .. } => Some(
                "name a path in a directory that was synced, or its root with --root".to_owned(),
            ),
            Self::Outside { .. } => Some("name a path in that directory".to_owned()),
            Self::Pattern(_) | Self::Path { .. } | Self::Signals(_) | Self::Output(_) => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Sync(error) => error.exit_code(),
            Self::Server(error) => error.exit_code(),
            Self::Client(ClientError::Refused { exit_code, .. }) => exit_code_of(*exit_code),
            Self::NoNode | Self::ManyNodes(_) => ExitCode::Usage,
            Self::Remote { .. } | Self::RemotePlace { .. } => ExitCode::Usage,
            Self::NoManager(_) | Self::NoStatePlace(_) => ExitCode::Usage,
            Self::Api(error) => error.exit_code(),
            Self::NoToken
            | Self::TokenFile { .. }
            | Self::NoUrl
            | Self::WhichFolder(_)
            | Self::RootAndFolder(_)
            | Self::SeveralRoots(..)
            | Self::NoOutputFile
            | Self::NotConfirmed => ExitCode::Usage,
            Self::Http(error) => match **error {
                HttpError::Listen { .. } | HttpError::Tokens(TokenStoreError::Io { .. }) => {
                    ExitCode::Fatal
                }
                _ => ExitCode::Usage,
            },
            Self::Manager(error) => match **error {
                ManagerError::Refused(_) => ExitCode::Usage,
                _ => ExitCode::Fatal,
            },
            Self::Client(_)
            | Self::Key(_)
            | Self::KeyFile { .. }
            | Self::Demo(_)
            | Self::Runtime(_)
            | Self::Unreachable { .. }
            | Self::Halted(_) => ExitCode::Fatal,
            Self::Patterns { .. }
            | Self::Pattern(_)
            | Self::NoRoot { .. }
            | Self::NotKept { .. }
            | Self::Outside { .. }
            | Self::Path { .. } => ExitCode::Usage,
            Self::Signals(_) | Self::Output(_) => ExitCode::Fatal,
        }
    }

    /// Tells it, and gives the exit code. Nobody is told that standard output was closed: whoever
    /// closed it knows.
    pub(crate) fn tell(&self, format: Format, output: Output) -> ExitCode {
        let closed =
            matches!(self, Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe);
        if closed {
            return self.exit_code();
        }
        match format {
            Format::Text => self.lines().iter().for_each(|line| print_error_line(line)),
            // If standard output cannot be written either, the exit code still tells.
            Format::Json => drop(output.object(&self.object())),
        }
        self.exit_code()
    }

    /// What happened, in one line.
    pub(crate) fn text(&self) -> String {
        self.message()
    }

    fn lines(&self) -> Vec<String> {
        let several = match self {
            Self::Server(error) => match &**error {
                ServerError::Settings(SettingsError::Several(errors)) => &errors[..],
                _ => &[],
            },
            _ => &[],
        };
        let mut lines: Vec<_> = several
            .iter()
            .map(|error| format!("replicat: {}", sentence(&error.to_string())))
            .collect();
        if lines.is_empty() {
            lines.push(format!("replicat: {}", self.message()));
        }
        lines.extend(self.hint().map(|hint| format!("  hint: {hint}")));
        lines
    }

    fn object(&self) -> json::Object {
        let mut object = json::object("error");
        json::put(&mut object, "kind", self.kind());
        json::put(&mut object, "message", self.message());
        json::put(&mut object, "hint", self.hint());
        json::put(&mut object, "exit_code", self.exit_code() as u8);
        if let Self::Sync(SyncError::Locked { holder, .. }) = self {
            json::put(&mut object, "holder", lock_holder(holder));
        }
        object
    }
}

/// The process that a root is locked by.
fn lock_holder(holder: &LockHolder) -> json::Object {
    let mut object = json::Object::new();
    json::put(&mut object, "process", holder.process);
    json::put(&mut object, "host", holder.host.as_deref());
    json::put(&mut object, "command", holder.command.as_deref());
    let socket = holder.socket.as_ref().map(|path| root_text(path));
    json::put(&mut object, "socket", socket);
    let since = holder
        .since
        .and_then(|since| jiff::Timestamp::try_from(since).ok());
    json::put(&mut object, "since", since.map(|since| since.to_string()));
    object
}

/// The exit code that a node says.
fn exit_code_of(number: u8) -> ExitCode {
    let known = [
        ExitCode::InSync,
        ExitCode::Conflicts,
        ExitCode::Usage,
        ExitCode::Incomplete,
        ExitCode::Braked,
    ];
    let found = known.into_iter().find(|code| *code as u8 == number);
    found.unwrap_or(ExitCode::Fatal)
}

/// That a file could not be read; `what` says what of it was wanted.
fn cannot_read(what: &str, path: &Path, source: &io::Error) -> String {
    format!("could not read {what} {}: {source}", root_text(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicat_core::id::FolderId;

    fn failures() -> Vec<Failure> {
        let root = || PathBuf::from("usb/A\x1b[2J");
        vec![
            SyncError::RootMissing { root: root() }.into(),
            SyncError::RootTwice {
                root: "A".into(),
                same: "./A".into(),
            }
            .into(),
            SyncError::DifferentFolders {
                root: "A".into(),
                folder: FolderId(1),
                other: "B".into(),
                other_folder: FolderId(2),
            }
            .into(),
            SyncError::IndexDamaged {
                root: "A".into(),
                index: "/srv/A/.replicat/index.redb".into(),
                detail: "a page has the wrong checksum".to_owned(),
            }
            .into(),
            Failure::NoRoot { path: "x/y".into() },
        ]
    }

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let lines: Vec<_> = failures().iter().flat_map(Failure::lines).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        replicat: usb/A\x1b[2J does not exist
          hint: see that its disk is mounted, or add --create to create it
        replicat: A and ./A are the same directory
          hint: name each directory once
        replicat: A and B belong to different folders (00000000000000000000000000000001 and 00000000000000000000000000000002)
          hint: add --join to unite them: nothing is deleted, and files that differ are kept as conflict copies
        replicat: the index of A is damaged: a page has the wrong checksum
          hint: move the file away: `mv '/srv/A/.replicat/index.redb' '/srv/A/.replicat/index.redb.damaged'`; the next run unites what all replicas hold, and deletes nothing
        replicat: x/y lies in no root
          hint: name a path in a directory that was synced, or its root with --root
        "#);
    }

    #[test]
    fn programs_get_the_kind_and_the_code() {
        insta::assert_json_snapshot!(failures()[0].object(), @r#"
        {
          "type": "error",
          "kind": "root-missing",
          "message": "usb/A\\x1b[2J does not exist",
          "hint": "see that its disk is mounted, or add --create to create it",
          "exit_code": 2
        }
        "#);
    }
}
