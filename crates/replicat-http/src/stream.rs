//! Bodies that are made while they are sent, and events in them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use replicat_server::control::json::{Object, object, put};
use tokio::sync::mpsc;

/// What a channel brings, as a body.
struct ChannelBody(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = self.0.poll_recv(context);
        next.map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }
}

/// A body, and what it is fed by; `waiting` pieces wait in between.
pub(crate) fn channel_body(waiting: usize) -> (mpsc::Sender<io::Result<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(waiting);
    (sender, Body::new(ChannelBody(receiver)))
}

/// What keeps a stream from being taken for dead.
pub(crate) fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// One event of a stream. JSON has no line breaks of its own.
pub(crate) fn event(name: &str, id: Option<&str>, data: &Object) -> Bytes {
    let data = serde_json::Value::Object(data.clone());
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {data}\n\n").into()
}

/// The last event.
pub(crate) fn end(reason: &str) -> Bytes {
    let mut end = object("end");
    put(&mut end, "reason", reason);
    event("end", None, &end)
}

/// An answer of events.
pub(crate) fn answer(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let media = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, media);
    // A proxy that collects before it sends on would hold events up.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
