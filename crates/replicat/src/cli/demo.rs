//! `replicat demo`: a manager and three nodes on this machine, in a temporary place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use replicat::error::ExitCode;
use replicat::http::tokens::{Scope, TokenStore};
use replicat::http::{HttpConfig, HttpError, HttpListener, HttpService, ManagerSubject, Subject};
use replicat::manager::{Manager, Service, TokenOrder};
use replicat::{FolderSettings, ReplicatServer, Role, Settings};

use super::failure::Failure;
use super::live_arguments::DemoArguments;
use super::output::{Format, Output};
use super::terminal::root_text;
use super::{json, serve, socket};

/// The nodes.
const NODES: [&str; 3] = ["ada", "bob", "cyd"];
/// How many files the first sync has.
const FIRST_FILES: usize = 200;
/// How long the tokens last that the nodes are let in with.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether a step is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Shows it, and stays until Ctrl-C.
pub(crate) fn run(arguments: &DemoArguments, output: Output) -> Result<ExitCode, Failure> {
    let place = tempfile::Builder::new().prefix("replicat-demo-").tempdir();
    let place = place.map_err(Failure::Demo)?;
    let demo = Demo {
        place: place.path().to_owned(),
        format: Format::by_flag(arguments.json),
        output,
    };
    serve::runtime()?.block_on(demo.run(arguments.seconds.map(Duration::from_secs)))?;
    Ok(ExitCode::InSync)
}

struct Demo {
    place: PathBuf,
    format: Format,
    output: Output,
}

impl Demo {
    async fn run(&self, limit: Option<Duration>) -> Result<(), Failure> {
        let manager = Manager::open_directory(&self.place.join("manager"), None).await?;
        let manager = Service::start(Arc::new(manager), "127.0.0.1:0").await?;
        let subject = Subject::Manager(ManagerSubject::of(&manager));
        let mut shows = vec![self.open("manager", subject).await?];
        let mut nodes = Vec::new();
        let shown = tokio::select! {
            shown = self.show(&manager, &mut nodes, &mut shows) => shown,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        if shown.is_ok() {
            tokio::select! {
                () = rest(limit) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        for (_, service) in shows {
            service.stop().await;
        }
        for node in &nodes {
            node.shutdown().await;
        }
        manager.stop().await;
        shown
    }

    async fn show(
        &self,
        manager: &Service,
        nodes: &mut Vec<ReplicatServer>,
        shows: &mut Vec<(String, HttpService)>,
    ) -> Result<(), Failure> {
        let place = root_text(&self.place);
        self.say(
            "place",
            &format!("a manager lets in three nodes, which keep the folder `demo` in {place}"),
            None,
        )?;
        for number in 0..FIRST_FILES {
            self.write(0, &format!("letters/{number:03}.txt"), "Dear reader")?;
        }
        let started = Instant::now();
        for (at, name) in NODES.iter().enumerate() {
            let settings = self.settings(at, name, manager).await?;
            let server = ReplicatServer::builder().settings(settings).start().await?;
            let subject = Subject::Node(server.clone());
            nodes.push(server);
            shows.push(self.open(name, subject).await?);
        }
        self.reached(FIRST_FILES - 1, "Dear reader", [1, 2]).await?;
        let first = format!("{FIRST_FILES} files of ada are at bob and cyd");
        self.say("first-sync", &first, Some(started.elapsed()))?;
        self.edit(0, "a note of ada's is at bob and cyd").await?;
        self.edit(2, "a note of cyd's is at bob and ada").await?;
        self.rename().await?;
        self.remove().await?;
        self.say(
            "ready",
            &format!("try it: echo hello > {place}/ada/hello; cat {place}/cyd/hello"),
            None,
        )?;
        let whose = std::iter::once("the cluster").chain(NODES);
        for (whose, (address, _)) in whose.zip(shows) {
            self.say("ready", &format!("look at {whose}: {address}"), None)?;
        }
        self.say(
            "ready",
            "or here: replicat status --node-socket demo-ada",
            None,
        )?;
        self.say("ready", "Ctrl-C ends it and removes the directories", None)
    }

    /// Serves a dashboard, to whoever has the address.
    async fn open(&self, whose: &str, subject: Subject) -> Result<(String, HttpService), Failure> {
        let tokens = self.place.join("tokens").join(whose);
        fs::create_dir_all(&tokens).map_err(Failure::Demo)?;
        let made = TokenStore::new(&tokens).create("demo", Scope::Admin, None, SystemTime::now());
        let (_, token) = made.map_err(HttpError::from)?;
        let listener = HttpListener::bind(HttpConfig::new("127.0.0.1:0", &tokens)).await?;
        let address = format!("http://{}/#token={token}", listener.address());
        Ok((address, listener.serve(subject)))
    }

    /// Of a node that the manager lets in.
    async fn settings(
        &self,
        at: usize,
        name: &str,
        manager: &Service,
    ) -> Result<Settings, Failure> {
        let order = TokenOrder {
            role: Role::ReadWrite,
            node: None,
            lifetime: TOKEN_LIFETIME,
        };
        let token = manager.manager().create_token(&order, SystemTime::now());
        let token = token.await?;
        let mut folder =
            FolderSettings::new("demo".parse().unwrap_or_default(), self.directory(at));
        folder.create = true;
        Ok(Settings {
            name: format!("demo-{name}").parse().ok(),
            address: Some("127.0.0.1:0".to_owned()),
            manager_address: manager.address().map(|address| address.to_string()),
            manager_credentials: Some(token.to_text().to_string()),
            node_state: Some(self.place.join("state").join(name)),
            control_socket: Some(socket::of_node(&format!("demo-{name}"))),
            folders: vec![folder],
            ..Settings::default()
        })
    }

    fn directory(&self, node: usize) -> PathBuf {
        self.place.join(NODES[node])
    }

    fn write(&self, node: usize, path: &str, content: &str) -> Result<(), Failure> {
        let path = self.directory(node).join(path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        written
            .and_then(|()| fs::write(path, content))
            .map_err(Failure::Demo)
    }

    /// One node writes a file, and the others have it.
    async fn edit(&self, node: usize, what: &str) -> Result<(), Failure> {
        let started = Instant::now();
        let (file, content) = (format!("note-of-{}.txt", NODES[node]), "Hello from here");
        self.write(node, &file, content)?;
        let others = (0..NODES.len()).filter(|other| *other != node);
        for other in others {
            let path = self.directory(other).join(&file);
            wait(|| holds(&path, content)).await?;
        }
        self.say("edit", what, Some(started.elapsed()))
    }

    async fn rename(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let here = self.directory(1);
        fs::rename(here.join("letters"), here.join("archive")).map_err(Failure::Demo)?;
        for other in [0, 2] {
            let directory = self.directory(other);
            wait(|| {
                directory.join("archive/000.txt").exists() && !directory.join("letters").exists()
            })
            .await?;
        }
        let what = format!(
            "a directory of {FIRST_FILES} files that bob renamed is renamed at ada and cyd"
        );
        self.say("rename", &what, Some(started.elapsed()))
    }

    async fn remove(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let file = "note-of-ada.txt";
        fs::remove_file(self.directory(1).join(file)).map_err(Failure::Demo)?;
        for other in [0, 2] {
            let path = self.directory(other).join(file);
            wait(|| !path.exists()).await?;
        }
        self.say(
            "delete",
            "a file that bob deleted is gone at ada and cyd",
            Some(started.elapsed()),
        )
    }

    async fn reached(&self, last: usize, content: &str, nodes: [usize; 2]) -> Result<(), Failure> {
        for node in nodes {
            let letters = self.directory(node).join("letters");
            wait(|| {
                (0..=last).all(|number| holds(&letters.join(format!("{number:03}.txt")), content))
            })
            .await?;
        }
        Ok(())
    }

    fn say(&self, step: &str, what: &str, took: Option<Duration>) -> Result<(), Failure> {
        let milliseconds = took.map(|took| took.as_secs_f64() * 1000.0);
        match self.format {
            Format::Json => {
                let mut object = json::object("demo");
                json::put(&mut object, "step", step);
                json::put(&mut object, "what", what);
                json::put(&mut object, "took_ms", milliseconds);
                self.output.object(&object)?;
            }
            Format::Text => {
                let took = milliseconds.map(|took| format!("{took:>9.1} ms"));
                let took = took.unwrap_or_else(|| " ".repeat(12));
                self.output.line(&format!("{took}  {what}"))?;
            }
        }
        Ok(())
    }
}

fn holds(path: &Path, content: &str) -> bool {
    fs::read(path).is_ok_and(|held| held == content.as_bytes())
}

/// Waits until a step is done.
async fn wait(done: impl Fn() -> bool) -> Result<(), Failure> {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > PATIENCE {
            let source = io::Error::new(io::ErrorKind::TimedOut, "a change did not arrive");
            return Err(Failure::Demo(source));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

async fn rest(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
