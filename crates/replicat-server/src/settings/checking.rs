//! Whether a node could start with its settings, on this host: for `serve --check`, which starts nothing.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::error::SettingsError;
use super::{FolderSettings, Settings, text};

/// The longest path of a local socket, in bytes: what the kernel has room for.
const SOCKET_BYTES_MAX: usize = 107;

impl Settings {
    /// All that is wrong beside what [`Settings::check`] finds: keys, addresses, directories and commands. `path` is where
    /// programs are looked for, as in `PATH`.
    #[must_use]
    pub fn problems_here(&self, path: Option<&OsStr>) -> Vec<SettingsError> {
        let mut problems = Vec::new();
        if self.manager_address.is_none() {
            problems.extend(self.load_cluster_key().err());
            problems.extend(self.load_accepted_keys().err());
        }
        problems.extend(self.problems_without_key(path));
        problems
    }

    /// The same for what may do without a key.
    #[must_use]
    pub fn problems_without_key(&self, path: Option<&OsStr>) -> Vec<SettingsError> {
        let mut problems = self.wrong_addresses();
        for (at, folder) in self.folders.iter().enumerate() {
            let field = format!("folders[{at}].directory");
            problems.extend(wrong_directory(&field, folder));
        }
        for (at, subscription) in self.notify.iter().enumerate() {
            let program = subscription
                .command
                .as_ref()
                .and_then(|words| words.first());
            let missing = program.filter(|program| find_program(program, path).is_none());
            problems.extend(missing.map(|program| {
                let problem = "there is no such program that can be run".to_owned();
                SettingsError::invalid(&format!("notify[{at}].command"), program, problem)
            }));
        }
        problems.extend(self.control_socket.as_deref().and_then(wrong_socket));
        problems
    }

    fn wrong_addresses(&self) -> Vec<SettingsError> {
        let own = [
            ("address", self.listen_address()),
            ("advertise", self.advertise.clone()),
            ("manager_address", self.manager_address()),
            ("http", self.http.clone()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(field, address)| Some((field.to_owned(), address?)));
        let nodes = self.nodes.iter().enumerate();
        let nodes = nodes.map(|(at, node)| {
            let field = format!("nodes[{at}].address");
            (field, node.address_with_port())
        });
        own.chain(nodes)
            .filter_map(|(field, address)| {
                let problem = text::wrong_address(&address)?;
                Some(SettingsError::invalid(&field, &address, problem.to_owned()))
            })
            .collect()
    }
}

fn wrong_directory(field: &str, folder: &FolderSettings) -> Option<SettingsError> {
    let directory = &folder.directory;
    let wrong = |problem: String| {
        let shown = directory.display().to_string();
        Some(SettingsError::invalid(field, &shown, problem))
    };
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => wrong("it is not a directory".to_owned()),
        Ok(_) => match access(
            directory,
            Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
        ) {
            Ok(()) => None,
            Err(error) => wrong(format!("this user cannot write there: {error}")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match folder.create {
            true => None,
            false => wrong(
                "it does not exist: see that its disk is mounted, or set `create = true`"
                    .to_owned(),
            ),
        },
        Err(error) => wrong(error.to_string()),
    }
}

fn wrong_socket(socket: &Path) -> Option<SettingsError> {
    let bytes = socket.as_os_str().len();
    (bytes > SOCKET_BYTES_MAX).then(|| {
        let problem = format!("the path has {bytes} bytes, and {SOCKET_BYTES_MAX} are allowed");
        SettingsError::invalid("control_socket", &socket.display().to_string(), problem)
    })
}

/// The file of a program: a path is taken as it is, a name is looked for.
fn find_program(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let can_run = |file: &PathBuf| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(can_run);
    }
    std::env::split_paths(path?)
        .map(|directory| directory.join(program))
        .find(can_run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_on_this_host_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let text = format!(
            "cluster_key_file = \"{file}\"\naddress = \"host:port\"\nhttp = \"localhost\"\n\
             [[nodes]]\naddress = \"b:99999\"\n[[nodes]]\naddress = \"c\"\n\
             [[folders]]\nname = \"a\"\ndirectory = \"{file}\"\n\
             [[folders]]\nname = \"b\"\ndirectory = \"{file}-not\"\n\
             [[folders]]\nname = \"c\"\ndirectory = \"{file}-new\"\ncreate = true\n\
             [[notify]]\ncommand = [\"no-such-program\"]\n[[notify]]\ncommand = [\"sh\"]\n",
            file = file.display()
        );
        let settings = Settings::from_toml(&text).unwrap();
        let problems = settings.problems_here(Some(OsStr::new("/usr/bin:/bin")));
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let expected = [
            "cannot use the cluster key",
            "the setting `address` cannot be",
            "the setting `http` cannot be",
            "the setting `nodes[0].address` cannot be",
            "the setting `folders[0].directory` cannot be",
            "the setting `folders[1].directory` cannot be",
            "the setting `notify[0].command` cannot be \"no-such-program\"",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{expected}: {problems:#?}");
        }
    }
}
