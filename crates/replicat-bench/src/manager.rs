//! A manager with many nodes: what it takes, and how soon it answers.
//!
//! The manager is a process; the nodes are links of this one, each of which reports as a node does that keeps some folders and is
//! busy. Enrolment, links and reports are the real ones.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;
use replicat_manager::{
    EnrolmentAnswer, EnrolmentRequest, FolderFigures, Manager, ManagerMessage, NodeMessage,
    NodeReport, PlacementMode, TokenOrder,
};
use replicat_net::{
    Endpoint, EndpointConfig, Event, Identity, Link, NodeKey, PeerAddress, Role, ask_manager,
};
use rustls::crypto::aws_lc_rs;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::network::usage_of;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a node reports. Real ones do so when something changed.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct ManagerArguments {
    /// How many nodes there are.
    #[arg(long, default_value_t = 200)]
    nodes: usize,
    /// How many folders each of them keeps.
    #[arg(long, default_value_t = 10)]
    folders: usize,
    /// For how many seconds the manager is watched.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many times each question is asked, and a folder placed.
    #[arg(long, default_value_t = 50)]
    samples: usize,
    /// The release binary of replicat.
    #[arg(long, default_value = "target/release/replicat")]
    replicat: PathBuf,
}

/// The process, killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures, and prints one JSON object.
pub(crate) fn run(arguments: &ManagerArguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(measure(arguments))?;
    println!("{figures:#}");
    Ok(ExitCode::SUCCESS)
}

async fn measure(arguments: &ManagerArguments) -> Result<Value> {
    let place = tempfile::tempdir()?;
    let state = place.path().join("manager");
    let (process, started) = start(arguments, &state)?;
    let text = |key: &str| started[key].as_str().unwrap_or_default().to_owned();
    let (address, http) = (text("address"), text("http"));
    let manager = Manager::open_directory(&state, None).await?;
    let begun = Instant::now();
    let mut nodes = JoinSet::new();
    let (placed, placements) = mpsc::unbounded_channel();
    for number in 0..arguments.nodes {
        let identity = enrol(&manager, &address, number).await?;
        let (address, placed) = (address.clone(), placed.clone());
        nodes.spawn(live(identity, address, arguments.folders, placed));
    }
    let enrolled = begun.elapsed();
    let id = process.0.id();
    // Each is told at first what there is.
    let mut placements = placements;
    for _ in 0..arguments.nodes {
        told(&mut placements).await?;
    }
    let before = usage_of(id).context("the manager is gone")?;
    sleep(Duration::from_secs(arguments.seconds)).await;
    let after = usage_of(id).context("the manager is gone")?;
    let mut reached = Vec::new();
    for round in 0..arguments.samples {
        let folder = format!("folder-{round}").parse()?;
        let node = "n0".parse()?;
        let asked = Instant::now();
        manager
            .place(&folder, &node, PlacementMode::ReadWrite)
            .await?;
        told(&mut placements).await?;
        reached.push(asked.elapsed());
    }
    let answers = match http.is_empty() {
        true => Value::Null,
        false => {
            let (arguments, state) = (arguments.clone(), state.clone());
            tokio::task::spawn_blocking(move || ask(&arguments, &state, &http)).await??
        }
    };
    let at_end = usage_of(id).context("the manager is gone")?;
    let processor = after.processor_seconds - before.processor_seconds;
    Ok(json!({
        "nodes": arguments.nodes,
        "folders_of_each": arguments.folders,
        "enrolled_in_s": enrolled.as_secs_f64(),
        "processor_percent": 100.0 * processor / arguments.seconds as f64,
        "memory_mib": at_end.memory_bytes >> 20,
        "memory_mib_at_peak": at_end.memory_bytes_max >> 20,
        "placement_reaches_node_ms": percentiles(reached),
        "http_ms": answers,
    }))
}

fn start(arguments: &ManagerArguments, state: &Path) -> Result<(Running, Value)> {
    let mut command = Command::new(&arguments.replicat);
    command
        .args(["manager", "serve", "--json", "--address", "127.0.0.1:0"])
        .args(["--http", "127.0.0.1:0", "--manager-state"])
        .arg(state)
        .env("XDG_RUNTIME_DIR", state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("could not start the manager")?;
    let output = child.stdout.take().context("it has no output")?;
    let process = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let started = serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))?;
    Ok((process, started))
}

async fn enrol(manager: &Manager, address: &str, number: usize) -> Result<Identity> {
    let order = TokenOrder {
        role: Role::ReadWrite,
        node: None,
        lifetime: Duration::from_secs(600),
    };
    let token = manager.create_token(&order, SystemTime::now()).await?;
    let key = NodeKey::generate()?;
    let request = EnrolmentRequest {
        token: token.id,
        secret: token.secret,
        name: format!("n{number}").parse()?,
        public_key: key.public_key(),
    };
    let answer = ask_manager(address, &token.authority, &request.encode(), PATIENCE).await?;
    match EnrolmentAnswer::decode(answer)? {
        EnrolmentAnswer::Granted {
            certificate,
            authority,
        } => Ok(Identity::from_parts(
            vec![certificate],
            key.to_der(),
            authority,
        )?),
        EnrolmentAnswer::Refused(reason) | EnrolmentAnswer::Failed(reason) => {
            bail!("node {number} was not let in: {reason}")
        }
    }
}

/// Is a node: reports, and says what it was told to keep.
async fn live(
    identity: Identity,
    address: String,
    folders: usize,
    placed: UnboundedSender<()>,
) -> Result<()> {
    let (endpoint, mut events) = Endpoint::bind(identity, EndpointConfig::default()).await?;
    endpoint.dial(PeerAddress {
        name: Some("manager".parse()?),
        address,
    });
    let link = loop {
        match events.recv().await {
            Some(Event::LinkUp(link)) => break link,
            Some(_) => {}
            None => bail!("there is no link to the manager"),
        }
    };
    let reporting = report_again_and_again(&link, folders);
    let hearing = async {
        loop {
            let frame = link.control().recv().await.context("the link is down")?;
            if let ManagerMessage::Assignment(_) = ManagerMessage::decode(frame)? {
                // Nobody may listen any more.
                let _ = placed.send(());
            }
        }
    };
    tokio::select! {
        ended = reporting => ended,
        ended = hearing => ended,
    }
}

async fn report_again_and_again(link: &Link, folders: usize) -> Result<()> {
    let hello = NodeMessage::Hello { address: None };
    link.control().send(hello.encode()).await?;
    let mut round = 0;
    loop {
        round += 1;
        let figures = (0..folders).map(|number| figures(number, round));
        let report = NodeReport {
            status: "Online".to_owned(),
            folders: figures.collect::<Result<_>>()?,
            connected: (0..8).map(|other| format!("n{other}")).collect(),
        };
        let message = NodeMessage::Report(report);
        link.control().send(message.encode()).await?;
        sleep(REPORT_INTERVAL).await;
    }
}

fn figures(number: usize, round: u64) -> Result<FolderFigures> {
    Ok(FolderFigures {
        name: format!("folder-{number}").parse()?,
        status: "Online".to_owned(),
        reason: String::new(),
        mode: PlacementMode::ReadWrite,
        in_sync: !round.is_multiple_of(3),
        paths: 100_000 + round,
        pending: round % 3,
        bytes_sent: round << 20,
        bytes_received: round << 19,
    })
}

/// Waits until a node has been told what it is to keep.
async fn told(placements: &mut UnboundedReceiver<()>) -> Result<()> {
    let told = timeout(PATIENCE, placements.recv()).await;
    told.context("the manager tells nobody")?
        .context("all nodes are gone")
}

/// How long answers take, by path.
fn ask(arguments: &ManagerArguments, state: &Path, http: &str) -> Result<Value> {
    let token = Command::new(&arguments.replicat)
        .args(["api", "--manager", "--json", "--manager-state"])
        .arg(state)
        .args(["token", "create", "--name", "bench"])
        .output()?;
    let token: Value = serde_json::from_slice(&token.stdout).context("no token was made")?;
    let authorization = format!("Bearer {}", token["token"].as_str().unwrap_or_default());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    let config = Agent::config_builder().tls_config(tls).build();
    let agent = config.new_agent();
    let mut figures = serde_json::Map::new();
    for path in ["/", "/api/v1/status", "/api/v1/nodes"] {
        let mut took = Vec::new();
        let mut bytes = 0;
        for _ in 0..arguments.samples {
            let asked = Instant::now();
            let request = agent.get(format!("http://{http}{path}"));
            let mut answer = request.header("Authorization", &authorization).call()?;
            bytes = answer.body_mut().read_to_vec()?.len();
            took.push(asked.elapsed());
        }
        let mut figure = percentiles(took);
        figure["bytes"] = bytes.into();
        figures.insert(path.to_owned(), figure);
    }
    Ok(figures.into())
}

fn percentiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).map(|time| time.as_secs_f64() * 1000.0)
    };
    json!({"p50": at(50), "p95": at(95), "max": at(100)})
}
