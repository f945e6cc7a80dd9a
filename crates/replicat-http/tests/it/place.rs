//! A node, or a manager, with its API.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use replicat_http::tokens::{Scope, TokenStore};
use replicat_http::{HttpConfig, HttpListener, HttpService, ManagerSubject, Subject};
use replicat_manager::{Manager, Service};
use replicat_server::{ClusterKey, FolderSettings, NodeSettings, ReplicatServer, Settings};
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::client::{Answer, Ask, PATIENCE};
use crate::encrypted;

pub(crate) struct Place {
    place: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) server: Option<ReplicatServer>,
    service: Option<HttpService>,
    manager: Option<Service>,
    pub(crate) address: SocketAddr,
    /// What a client has to trust, if it is encrypted.
    trust: Option<Arc<ClientConfig>>,
    pub(crate) read: String,
    pub(crate) operate: String,
    pub(crate) admin: String,
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Place {
    /// A node with the folder `site`.
    pub(crate) fn node() -> Self {
        Self::node_with(|_| {}, |_| {})
    }

    pub(crate) fn node_with(
        change: impl FnOnce(&mut HttpConfig),
        settings: impl FnOnce(&mut Settings),
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut own = own_settings(place.path());
        settings(&mut own);
        let this = Self::starting(place, own, change);
        until("the initial scan", || this.get("/readyz").status == 200);
        this
    }

    /// A node that may not have looked at its folder yet, whose files `prepare` makes.
    pub(crate) fn starting_with(prepare: impl FnOnce(&Path)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let own = own_settings(place.path());
        fs::create_dir(place.path().join("site")).unwrap();
        prepare(&place.path().join("site"));
        Self::starting(place, own, |_| {})
    }

    fn starting(place: TempDir, own: Settings, change: impl FnOnce(&mut HttpConfig)) -> Self {
        let runtime = runtime();
        let started = ReplicatServer::builder().settings(own).start();
        let server = runtime.block_on(started).unwrap();
        let subject = Subject::Node(server.clone());
        let mut this = Self::serve(place, runtime, subject, change);
        this.server = Some(server);
        this
    }

    /// A manager.
    pub(crate) fn manager() -> Self {
        let place = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let state = place.path().join("manager");
        let service = runtime.block_on(async {
            let manager = Manager::open_directory(&state, None).await.unwrap();
            Service::start(Arc::new(manager), "127.0.0.1:0")
                .await
                .unwrap()
        });
        let subject = Subject::Manager(ManagerSubject::of(&service));
        let mut this = Self::serve(place, runtime, subject, |_| {});
        this.manager = Some(service);
        this
    }

    /// Starts a node that knows only the manager, which lets it in by a token.
    pub(crate) fn enrol(&self, name: &str) -> ReplicatServer {
        let made = self.administer("POST", "/api/v1/tokens").send();
        assert_eq!(made.status, 201);
        let token = made.json()["token"].as_str().unwrap().to_owned();
        let manager = self.manager.as_ref().unwrap().address().unwrap();
        let settings = Settings {
            name: Some(name.parse().unwrap()),
            address: Some("127.0.0.1:0".to_owned()),
            manager_address: Some(manager.to_string()),
            manager_credentials: Some(token),
            node_state: Some(self.place.path().join("nodes").join(name)),
            ..Settings::default()
        };
        self.start(settings)
    }

    /// Starts a second node, which dials this one and keeps the folder in `other`.
    pub(crate) fn other_node(&self) -> ReplicatServer {
        let first = self.server.as_ref().unwrap();
        let mut folder = FolderSettings::new("site".parse().unwrap(), self.at("../other"));
        folder.create = true;
        let settings = Settings {
            name: Some("laptop".parse().unwrap()),
            cluster_key: first.cluster_key().cloned(),
            nodes: vec![NodeSettings {
                name: None,
                address: first.address().unwrap().to_string(),
            }],
            folders: vec![folder],
            ..Settings::default()
        };
        self.start(settings)
    }

    fn start(&self, settings: Settings) -> ReplicatServer {
        let started = ReplicatServer::builder().settings(settings).start();
        self.runtime.block_on(started).unwrap()
    }

    pub(crate) fn stop(&self, server: &ReplicatServer) {
        self.runtime.block_on(server.shutdown());
    }

    /// Stops the API alone.
    pub(crate) fn stop_service(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
    }

    fn serve(
        place: TempDir,
        runtime: Runtime,
        subject: Subject,
        change: impl FnOnce(&mut HttpConfig),
    ) -> Self {
        let store = TokenStore::new(place.path().join("tokens"));
        let now = SystemTime::now();
        let make = |scope: Scope| store.create(scope.as_str(), scope, None, now).unwrap().1;
        let [read, operate, admin] = [Scope::Read, Scope::Operate, Scope::Admin].map(make);
        let mut config = HttpConfig::new("127.0.0.1:0", place.path().join("tokens"));
        change(&mut config);
        let trust = config.certificate.as_ref().map(encrypted::trusting);
        let listener = runtime.block_on(HttpListener::bind(config)).unwrap();
        let _entered = runtime.enter();
        let service = listener.serve(subject);
        drop(_entered);
        Self {
            place,
            runtime,
            server: None,
            address: service.address(),
            trust,
            service: Some(service),
            manager: None,
            read,
            operate,
            admin,
        }
    }

    pub(crate) fn tokens(&self) -> TokenStore {
        TokenStore::new(self.place.path().join("tokens"))
    }

    /// A path in the folder.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.place.path().join("site").join(path)
    }

    /// Writes a file as a user would, and waits until the node knows it.
    pub(crate) fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
        let target = format!("/api/v1/folders/site/file?path={path}");
        until(path, || {
            let answer = self.get(&target);
            answer.status == 200 && answer.body == content.as_bytes()
        });
    }

    /// Without a token or anything else.
    pub(crate) fn bare(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.address, method, target).trusting(self.trust.clone())
    }

    /// Looks, with a token of scope `read`.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.bare("GET", target).token(&self.read).send()
    }

    /// Changes something, with a token of scope `operate`.
    pub(crate) fn change(&self, method: &str, target: &str) -> Ask {
        self.own(method, target, &self.operate)
    }

    /// Changes something, with a token of scope `admin`.
    pub(crate) fn administer(&self, method: &str, target: &str) -> Ask {
        self.own(method, target, &self.admin)
    }

    fn own(&self, method: &str, target: &str, token: &str) -> Ask {
        self.bare(method, target)
            .token(token)
            .header("X-Replicat-Request", "1")
    }

    pub(crate) fn upload(&self, path: &str, content: impl Into<Vec<u8>>) -> Ask {
        self.change("PUT", &format!("/api/v1/folders/site/file?path={path}"))
            .body(content)
    }

    /// Stops what is served of.
    pub(crate) fn stop_server(&self) {
        if let Some(server) = &self.server {
            self.runtime.block_on(server.shutdown());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop_server();
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop());
        }
        if let Some(manager) = self.manager.take() {
            self.runtime.block_on(manager.stop());
        }
    }
}

/// Of a node with the folder `site`.
fn own_settings(place: &Path) -> Settings {
    let mut folder = FolderSettings::new("site".parse().unwrap(), place.join("site"));
    folder.create = true;
    Settings {
        name: Some("office".parse().unwrap()),
        address: Some("127.0.0.1:0".to_owned()),
        cluster_key: Some(ClusterKey::generate().unwrap()),
        folders: vec![folder],
        ..Settings::default()
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}
