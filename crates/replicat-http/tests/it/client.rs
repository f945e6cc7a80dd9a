//! A client that can say anything, right or wrong.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The word for programs of what went wrong.
    pub(crate) fn kind(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["kind"].as_str().unwrap().to_owned()
    }
}

/// A request that is put together.
#[derive(Clone)]
pub(crate) struct Ask {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    trust: Option<Arc<ClientConfig>>,
}

impl Ask {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), address.to_string())],
            body: None,
            trust: None,
        }
    }

    /// Over TLS, if there is anything that is trusted.
    pub(crate) fn trusting(mut self, trust: Option<Arc<ClientConfig>>) -> Self {
        self.trust = trust;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With a JSON body, as one of our own pages would send it.
    pub(crate) fn json(self, body: &str) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Opens a connection without encryption, and says all of it.
    pub(crate) fn begin(&self) -> TcpStream {
        let mut stream = connect(self.address);
        self.say(&mut stream).unwrap();
        stream
    }

    /// Says all of it.
    fn say(&self, stream: &mut impl Write) -> std::io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        if let Some(body) = &self.body {
            // A server that refuses does not take it.
            let _ = stream.write_all(body);
        }
        Ok(())
    }

    pub(crate) fn send(&self) -> Answer {
        match &self.trust {
            None => read_answer(self.begin(), self.method == "HEAD"),
            Some(_) => self.encrypted().unwrap(),
        }
    }

    /// Over TLS; an error if the two do not come together.
    pub(crate) fn encrypted(&self) -> std::io::Result<Answer> {
        let trust = Arc::clone(self.trust.as_ref().unwrap());
        let name = self.address.ip().into();
        let client = ClientConnection::new(trust, name).unwrap();
        let mut stream = StreamOwned::new(client, connect(self.address));
        self.say(&mut stream)?;
        Ok(read_answer(stream, self.method == "HEAD"))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the connection ends, in whatever way.
pub(crate) fn read_rest(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 65_536];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// Reads an answer, until the connection ends or it is whole.
pub(crate) fn read_answer(stream: impl Read, is_head: bool) -> Answer {
    let bytes = read_rest(stream);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let answer = Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    };
    let length = answer
        .header("content-length")
        .map(|length| length.parse::<usize>().unwrap());
    if let (Some(length), false, true) = (length, is_head, status != 304) {
        assert!(answer.body.len() <= length, "{answer:?}");
    }
    answer
}
