//! `replicat status --check`: one line and an exit code for programs that watch over a node or a root.

use replicat::control::json::Object;
use replicat::error::{ExitCode, SyncError};
use serde_json::Value;

use super::failure::Failure;
use super::fields::{is_set, number, objects, path, shown, text};
use super::json;
use super::output::{Format, Output};
use super::terminal::{count_text, number_text};

/// How something stands: the code, and what is the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    code: ExitCode,
    findings: Vec<String>,
}

impl Standing {
    fn good() -> Self {
        Self {
            code: ExitCode::InSync,
            findings: Vec::new(),
        }
    }

    /// The standing of what is described by `object`: a node, a folder, or the `status` of a root.
    pub(crate) fn of(object: &Object) -> Self {
        let mut standing = Self::good();
        match text(object, "type") {
            "node" => standing.add_node(object),
            "folder" => standing.add_folder(object),
            _ => standing.add_root(object),
        }
        standing
    }

    /// The standing of what cannot be reached; the failure, if the command itself is wrong.
    pub(crate) fn of_failure(failure: Failure) -> Result<Self, Failure> {
        let is_down = match &failure {
            Failure::NoNode => true,
            Failure::Sync(
                SyncError::RootMissing { .. }
                | SyncError::RootNotDirectory { .. }
                | SyncError::NotReplica { .. },
            ) => true,
            other => other.exit_code() == ExitCode::Fatal,
        };
        let code = match &failure {
            // A sync is at work there.
            Failure::Sync(SyncError::Locked { .. }) => ExitCode::Incomplete,
            _ if is_down => ExitCode::Fatal,
            _ => return Err(failure),
        };
        let mut standing = Self::good();
        standing.add(code, failure.message());
        Ok(standing)
    }

    fn add(&mut self, code: ExitCode, finding: impl Into<String>) {
        if code as u8 > self.code as u8 {
            self.code = code;
        }
        self.findings.push(finding.into());
    }

    fn add_node(&mut self, node: &Object) {
        let mut has_folder = false;
        for folder in objects(node, "folders") {
            self.add_folder(folder);
            has_folder = true;
        }
        if !has_folder {
            self.add(ExitCode::Incomplete, "it keeps no folder");
        }
        let away = objects(node, "nodes").filter(|peer| text(peer, "status") != "connected");
        for peer in away {
            let name = match text(peer, "name") {
                "" => shown(peer, "address"),
                _ => shown(peer, "name"),
            };
            let finding = format!("node {name} is {}", shown(peer, "status"));
            self.add(ExitCode::Incomplete, finding);
        }
    }

    fn add_folder(&mut self, folder: &Object) {
        let name = shown(folder, "name");
        let before = self.findings.len();
        match (text(folder, "status"), text(folder, "brake")) {
            (_, brake) if !brake.is_empty() => {
                self.add(ExitCode::Braked, "a safety brake waits for approval");
            }
            ("Halted", _) => {
                self.add(
                    ExitCode::Fatal,
                    format!("halted: {}", shown(folder, "reason")),
                );
            }
            ("Offline", _) => self.add(ExitCode::Fatal, "stopped"),
            ("Paused", _) => self.add(ExitCode::Incomplete, "paused"),
            _ => {
                self.add_work(folder);
                let refused = number(folder, "refused");
                if refused > 0 {
                    let finding = count_text(refused, "local change") + " that peers refuse";
                    self.add(ExitCode::Incomplete, finding);
                }
                let has_peers = objects(folder, "peers").next().is_some();
                let is_explained = self.findings.len() > before;
                match (has_peers, is_set(folder, "in_sync")) {
                    (false, _) => self.add(ExitCode::Incomplete, "no peer is connected"),
                    (true, false) if !is_explained => {
                        self.add(ExitCode::Incomplete, "not proved in sync yet");
                    }
                    _ => {}
                }
            }
        }
        self.add_conflicts(folder);
        for finding in &mut self.findings[before..] {
            *finding = format!("folder {name}: {finding}");
        }
    }

    fn add_root(&mut self, root: &Object) {
        if root.get("brake").is_some_and(|brake| !brake.is_null()) {
            self.add(ExitCode::Braked, "a safety brake waits for approval");
        }
        if root.get("last_sync").is_none_or(Value::is_null) {
            self.add(ExitCode::Incomplete, "it was never synced to the end");
        }
        self.add_work(root);
        let behind = objects(root, "members").filter(|member| !is_set(member, "up_to_date"));
        for member in behind {
            let finding = format!("replica {} is behind", shown(member, "name"));
            self.add(ExitCode::Incomplete, finding);
        }
        self.add_conflicts(root);
    }

    /// What is still to be done, and what was left out that could have been synced.
    fn add_work(&mut self, object: &Object) {
        let pending = number(object, "pending");
        if pending > 0 {
            let finding = count_text(pending, "path") + " to come";
            self.add(ExitCode::Incomplete, finding);
        }
        let mut skipped =
            objects(object, "skipped").filter(|row| text(row, "severity") != "warning");
        if let Some(first) = skipped.next() {
            let more = match skipped.count() {
                0 => String::new(),
                more => format!(", and {} more", number_text(more as u64)),
            };
            let first = format!("{} {}", path(first, "path"), shown(first, "reason"));
            self.add(ExitCode::Incomplete, format!("skipped: {first}{more}"));
        }
    }

    fn add_conflicts(&mut self, object: &Object) {
        let conflicts = number(object, "conflicts");
        if conflicts > 0 {
            let finding = count_text(conflicts, "open conflict");
            self.add(ExitCode::Conflicts, finding);
        }
    }

    fn word(&self) -> &'static str {
        match self.code {
            ExitCode::InSync => "in-sync",
            ExitCode::Conflicts => "conflicts",
            ExitCode::Usage | ExitCode::Incomplete => "not-in-sync",
            ExitCode::Braked => "braked",
            ExitCode::Fatal => "down",
        }
    }

    /// One line for people.
    fn line(&self) -> String {
        let word = self.word().replace('-', " ").to_uppercase();
        match self.findings.is_empty() {
            true => word,
            false => format!("{word}: {}", self.findings.join("; ")),
        }
    }

    /// Tells it, and gives the exit code.
    pub(crate) fn tell(&self, json: bool, output: Output) -> Result<ExitCode, Failure> {
        match Format::by_flag(json) {
            Format::Text => output.line(&self.line())?,
            Format::Json => {
                let mut object = json::object("check");
                json::put(&mut object, "code", self.code as u8);
                json::put(&mut object, "state", self.word());
                json::put(&mut object, "findings", self.findings.clone());
                output.object(&object)?;
            }
        }
        Ok(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> String {
        let standing = Standing::of(&serde_json::from_str(json).unwrap());
        format!("{} {}", standing.code as u8, standing.line())
    }

    fn folder(members: &str) -> String {
        let object = format!(
            r#"{{"type":"node","folders":[{{"name":"site","status":"Online","pending":0,"in_sync":true,
                "peers":[{{"name":"b"}}],{members}}}],"nodes":[{{"name":"b","status":"connected"}}]}}"#
        );
        told(&object)
    }

    #[test]
    fn worst_finding_decides() {
        let lines = [
            folder(r#""conflicts":0"#),
            folder(
                r#""skipped":[{"path":"pipe","kind":"special","reason":"is a named pipe","severity":"warning"}]"#,
            ),
            folder(r#""conflicts":2"#),
            folder(r#""conflicts":1,"in_sync":false"#),
            folder(r#""in_sync":false,"pending":3,"refused":1"#),
            folder(
                r#""skipped":[{"path":"a","kind":"denied","reason":"x"},{"path":"b","kind":"io"}]"#,
            ),
            folder(r#""peers":[],"status":"Joining Cluster""#),
            folder(r#""status":"Paused""#),
            folder(r#""status":"Halted","brake":"mass-deletion""#),
            folder(r#""status":"Halted","reason":"a does not exist""#),
            told(
                r#"{"type":"node","folders":[],"nodes":[{"name":null,"address":"h:1","status":"refused"}]}"#,
            ),
            told(
                r#"{"type":"status","last_sync":null,"pending":0,"members":[{"name":"B","up_to_date":false}]}"#,
            ),
            told(
                r#"{"type":"status","last_sync":"x","brake":{"kind":"max-delete"},"conflicts":1}"#,
            ),
            told(r#"{"type":"status","last_sync":"x","brake":null,"conflicts":0}"#),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        0 IN SYNC
        0 IN SYNC
        1 CONFLICTS: folder site: 2 open conflicts
        3 NOT IN SYNC: folder site: not proved in sync yet; folder site: 1 open conflict
        3 NOT IN SYNC: folder site: 3 paths to come; folder site: 1 local change that peers refuse
        3 NOT IN SYNC: folder site: skipped: a x, and 1 more
        3 NOT IN SYNC: folder site: no peer is connected
        3 NOT IN SYNC: folder site: paused
        4 BRAKED: folder site: a safety brake waits for approval
        5 DOWN: folder site: halted: a does not exist
        3 NOT IN SYNC: it keeps no folder; node h:1 is refused
        3 NOT IN SYNC: it was never synced to the end; replica B is behind
        4 BRAKED: a safety brake waits for approval; 1 open conflict
        0 IN SYNC
        ");
    }
}
