//! What happens, from a stream of events.

use std::io::{self, BufRead, BufReader, Read};

use replicat_server::control::Command;
use replicat_server::control::json::Object;
use serde_json::Value;

use super::{ApiClient, ApiError, Call};

/// The longest line of a stream, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// An event of a stream.
#[derive(Debug, PartialEq)]
struct Message {
    name: String,
    data: String,
}

/// Takes the events that are kept, and those that happen from then on, until the node stops or `take` has enough.
pub(super) fn events<E: From<ApiError>>(
    client: &ApiClient,
    take: &mut dyn FnMut(Object) -> Result<(), E>,
) -> Result<(), E> {
    let mut last = None;
    let kept = Call::of(&Command::Events { follow: false });
    client.take(&kept, &mut |event: Object| {
        last = event.get("id").and_then(Value::as_str).map(str::to_owned);
        take(event)
    })?;
    let mut call = Call::get("/events/stream");
    if let Some(last) = last {
        call = call.header("last-event-id", last);
    }
    follow(client, &call, "event", take)
}

impl ApiClient {
    /// Takes how a manager stands, with its `members` and its `placement_list`, now and whenever something in it changed.
    ///
    /// # Errors
    /// [`ApiError::Ended`] when the manager stops. If it is not reached or refuses. What `take` returns, if that is an error.
    pub fn follow_manager<E: From<ApiError>>(
        &self,
        mut take: impl FnMut(Object) -> Result<(), E>,
    ) -> Result<(), E> {
        follow(self, &Call::get("/events/stream"), "manager", &mut take)
    }

    /// Takes how a node stands, now and whenever something in it changed: each time a `node`.
    ///
    /// # Errors
    /// [`ApiError::Ended`] when the node stops. If it is not reached or refuses. What `take` returns, if that is an error.
    pub fn follow_node<E: From<ApiError>>(
        &self,
        mut take: impl FnMut(Object) -> Result<(), E>,
    ) -> Result<(), E> {
        follow(self, &Call::get("/events/stream"), "node", &mut take)
    }
}

/// Takes the objects of one name from a stream. It does not end well: whoever follows wants what comes.
fn follow<E: From<ApiError>>(
    client: &ApiClient,
    call: &Call,
    name: &str,
    take: &mut dyn FnMut(Object) -> Result<(), E>,
) -> Result<(), E> {
    let response = client.send(call)?;
    let body = response.into_body().into_with_config().limit(u64::MAX);
    let mut stream = BufReader::new(body.reader());
    loop {
        let message = read(&mut stream);
        let message = message.map_err(|error| client.broken(&error.to_string()))?;
        let Some(message) = message else {
            return Err(client.broken("the stream was cut off").into());
        };
        let data = serde_json::from_str::<Object>(&message.data);
        let data = data.map_err(|error| client.broken(&error.to_string()))?;
        if message.name == "end" {
            let reason = data.get("reason").and_then(Value::as_str);
            return Err(ApiError::Ended(reason.unwrap_or("it ended").to_owned()).into());
        }
        // That events were missed is told of, so that nobody takes those for all. Of how things stand, the last is the whole truth.
        if message.name == name || (message.name == "gap" && name == "event") {
            take(data)?;
        }
    }
}

/// The next message of a stream, after remarks; none at its end.
fn read(stream: &mut impl BufRead) -> io::Result<Option<Message>> {
    let (mut name, mut data) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        let read = stream.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        if read == 0 {
            return Ok(None);
        }
        match line.trim_end_matches(['\r', '\n']).split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut name),
            Some(("data", value)) => data.push_str(value),
            None if !data.is_empty() && line.trim_end().is_empty() => {
                return Ok(Some(Message { name, data }));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_between_remarks() {
        let text = ":\n\nevent: node\ndata: {\"a\": 1}\n\nid: 1-2\nevent: event\ndata: {}\n\n:\n\n";
        let mut stream = text.as_bytes();
        let mut found = Vec::new();
        while let Some(message) = read(&mut stream).unwrap() {
            found.push((message.name, message.data));
        }
        let expected = [("node", "{\"a\": 1}"), ("event", "{}")];
        let expected = expected.map(|(name, data)| (name.to_owned(), data.to_owned()));
        assert_eq!(found, expected);
    }
}
