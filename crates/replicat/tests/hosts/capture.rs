//! What somebody on the way sees: everything that passes over a host's loopback, recorded by tshark.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::network::Network;
use super::node::{Node, assert_equal, wait};

/// What no packet may hold. All are longer than what could be there by chance.
const SECRETS: [&str; 8] = [
    "secret-name-of-a-file",
    "secret-name-of-a-directory",
    "secret-name-after-a-renaming",
    "secret-target-of-a-link",
    "secret content of a small file",
    "secret content of a large file",
    "secret value of an attribute",
    "secret-of-somebody-without-the-key",
];
/// What goes over the same interface in the clear, to see that the search finds what is there.
const CONTROL: &str = "a word in the clear, half of it here and half in another packet";

/// A capture under way.
struct Capture {
    process: Child,
    file: PathBuf,
}

impl Capture {
    /// Records a host's loopback. `None`, said loudly, if there is no tshark; inside continuous integration there must be.
    fn start(network: &Network, file: PathBuf) -> Option<Self> {
        let mut command = network.command(0, "tshark");
        command.args(["-i", "lo", "-q", "-w"]).arg(&file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !has_tshark() {
            let strict = std::env::var_os("REPLICAT_TESTS_STRICT").is_some();
            assert!(!strict, "tshark is needed");
            eprintln!("NOT TESTED: tshark is needed");
            return None;
        }
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Capturing on") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "tshark ended");
        }
        // Whoever writes to a pipe that nobody reads stands still.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Some(Self { process, file })
    }

    /// Ends it, and gives what each connection carried, in the order in which it was captured.
    fn streams(mut self) -> BTreeMap<String, Vec<u8>> {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        self.process.wait().unwrap();
        let fields = ["-e", "tcp.stream", "-e", "tcp.srcport", "-e", "tcp.payload"];
        let text = read(
            &self.file,
            &[&["-Y", "tcp.len > 0", "-T", "fields"], &fields[..]].concat(),
        );
        let mut streams: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for line in text.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [stream, port, payload] = columns[..] else {
                panic!("{line}");
            };
            let stream = streams.entry(format!("{stream} from {port}")).or_default();
            let digits: String = payload.chars().filter(char::is_ascii_hexdigit).collect();
            stream.extend(
                (0..digits.len() / 2)
                    .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()),
            );
        }
        streams
    }
}

fn has_tshark() -> bool {
    let mut command = Command::new("tshark");
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What tshark tells of a capture.
fn read(file: &Path, words: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(words)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

/// Sends a word in the clear, within two packets, over the same interface: a child in the host's network connects to itself.
fn send_control(network: &Network) {
    let (first, second) = CONTROL.split_at(CONTROL.len() / 2);
    let script = format!(
        "import socket, time\n\
         server = socket.create_server(('127.0.0.1', 9999))\n\
         client = socket.create_connection(('127.0.0.1', 9999))\n\
         client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n\
         peer, _ = server.accept()\n\
         for part in ({first:?}, {second:?}):\n\
         \x20   client.sendall(part.encode())\n\
         \x20   peer.recv(1000)\n"
    );
    let status = network.command(0, "python3").args(["-c", &script]).status();
    assert!(status.unwrap().success());
}

fn fill(root: &Path) {
    let directory = root.join(SECRETS[1]);
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join(SECRETS[0]), SECRETS[4]).unwrap();
    fs::write(directory.join("large"), SECRETS[5].repeat(200_000)).unwrap();
    std::os::unix::fs::symlink(SECRETS[3], directory.join("link")).unwrap();
    rustix::fs::setxattr(
        directory.join("large"),
        "user.secret",
        SECRETS[6].as_bytes(),
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
}

/// What is at the top of a node's root.
fn names(node: &Node) -> Vec<String> {
    let entries = fs::read_dir(&node.root).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name != ".replicat").collect()
}

fn assert_no_secret_is_in(file: &Path, streams: &BTreeMap<String, Vec<u8>>) {
    assert!(
        streams.values().any(|bytes| holds(bytes, CONTROL)),
        "the search finds nothing"
    );
    let all: usize = streams.values().map(Vec::len).sum();
    let synced = SECRETS[5].len() * 200_000;
    eprintln!("{} ways of connections, {all} bytes", streams.len());
    assert!(streams.len() > 4, "{:?}", streams.keys());
    for (stream, bytes) in streams {
        for secret in SECRETS {
            assert!(!holds(bytes, secret), "{secret:?} is in stream {stream}");
        }
    }
    // The raw bytes as well, in case something is no TCP.
    let raw = fs::read(file).unwrap();
    assert!(
        raw.len() > 100_000,
        "{synced} bytes were synced, {} captured",
        raw.len()
    );
    for secret in SECRETS {
        assert!(!holds(&raw, secret), "{secret:?} is in the capture");
    }
}

#[test]
fn a_capture_shows_neither_names_nor_contents() {
    let Some(network) = Network::new(1) else {
        return;
    };
    let world = tempfile::tempdir().unwrap();
    let Some(capture) = Capture::start(&network, world.path().join("capture")) else {
        return;
    };
    let ports = [8801, 8802, 8803];
    let on_loopback = |number: usize| Node::on_loopback(&network, number, &ports, world.path());
    let nodes: Vec<Node> = (0..2).map(on_loopback).collect();
    fill(&nodes[0].root);
    let nodes: Vec<Node> = nodes.into_iter().map(Node::start).collect();
    wait("the first sync", &nodes, || nodes[1].holds_what(&nodes[0]));
    let (old, new) = (
        nodes[1].root.join(SECRETS[1]),
        nodes[1].root.join(SECRETS[2]),
    );
    fs::rename(old, &new).unwrap();
    fs::write(new.join("small"), SECRETS[4]).unwrap();
    wait("a renaming", &nodes, || {
        nodes[0].root.join(SECRETS[2]).join("small").exists()
    });

    // Somebody with another key tries, and is told so.
    let stranger = on_loopback(2);
    fs::write(stranger.root.join(SECRETS[7]), SECRETS[7]).unwrap();
    let stranger = stranger.with_another_key().start();
    wait("the refusal", &nodes, || {
        stranger.log_holds("their cluster keys differ")
    });
    assert_equal(&nodes);
    assert_eq!(names(&stranger), [SECRETS[7]], "the stranger got something");
    assert_eq!(
        names(&nodes[0]),
        [SECRETS[2]],
        "the stranger gave something"
    );
    send_control(&network);
    let file = capture.file.clone();
    // What is captured is written a little later; nothing else comes after it.
    let (_, end) = CONTROL.split_at(CONTROL.len() / 2);
    wait("the end of the capture", &nodes, || {
        fs::read(&file).is_ok_and(|bytes| holds(&bytes, end))
    });
    assert_no_secret_is_in(&file, &capture.streams());
    assert_is_tls_1_3(&file, &ports);
}

/// All of it is TLS 1.3 by tshark's own reading.
fn assert_is_tls_1_3(file: &Path, ports: &[u16]) {
    let ports: Vec<String> = ports
        .iter()
        .map(|port| format!("tcp.port=={port},tls"))
        .collect();
    let decode: Vec<&str> = ports.iter().flat_map(|port| ["-d", port]).collect();
    let hello = ["-Y", "tls.handshake.type == 2", "-T", "fields"];
    let version = ["-e", "tls.handshake.extensions.supported_version"];
    let versions = read(file, &[&decode[..], &hello, &version].concat());
    assert!(versions.lines().count() > 0);
    assert!(versions.lines().all(|line| line == "0x0304"), "{versions}");
}
