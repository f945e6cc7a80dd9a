//! Notifications are delivered to real programs and over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use replicat_notify::{Kind, Notification, Notifier, Pace, Subscription};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How long anything may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn quick() -> Pace {
    Pace {
        pauses: vec![Duration::from_millis(1); 3],
        command: PATIENCE,
        webhook: PATIENCE,
        end: PATIENCE,
    }
}

fn brake() -> Notification {
    let mut notification = Notification::new(Kind::Brake, "office", "folder site waits");
    notification.folder = Some("site".to_owned());
    notification
}

/// A server that answers one request after another with these statuses, and passes on what it was sent.
async fn server(statuses: &'static [u16]) -> (String, mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            let answer = format!(
                "HTTP/1.1 {status} Status\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = sender.send(request);
        }
    });
    (url, receiver)
}

async fn read_request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            return (head, serde_json::from_str(body).unwrap());
        }
    }
}

async fn next<T>(receiver: &mut mpsc::UnboundedReceiver<T>) -> T {
    let next = tokio::time::timeout(PATIENCE, receiver.recv()).await;
    next.expect("it is told in time").expect("it is told")
}

#[tokio::test]
async fn a_webhook_is_posted_to_until_it_takes_it() {
    let (url, mut requests) = server(&[503, 302, 204, 400, 200]).await;
    let mut subscription = Subscription::webhook(&url);
    subscription.authorization = Some("Bearer key".to_owned());
    let notifier = Notifier::start(&[subscription], &quick()).unwrap();
    notifier.tell(brake());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (head, body) = next(&mut requests).await;
        assert!(head.starts_with("post /hook http/1.1"), "{head}");
        assert!(head.contains("\r\nauthorization: bearer key"), "{head}");
        assert!(
            head.contains("\r\ncontent-type: application/json"),
            "{head}"
        );
        assert_eq!(
            (&body["kind"], &body["folder"]),
            (&"brake".into(), &"site".into())
        );
        ids.push(body["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one notification, told three times");
    // What is refused is not repeated: the next request is the next notification.
    notifier.tell(brake());
    let refused = next(&mut requests).await.1["id"].clone();
    notifier.tell(brake());
    assert_ne!(next(&mut requests).await.1["id"], refused);
    notifier.finish().await;
}

/// A program that appends what it is told to `told`, and fails as long as there is `failing`, which it removes.
fn program(place: &Path) -> String {
    let path = place.join("page");
    let told = place.join("told");
    let failing = place.join("failing");
    let script = format!(
        "#!/bin/sh\nread -r line\nprintf '%s\\n%s\\n' \"$REPLICAT_NOTIFICATION_KIND $REPLICAT_NOTIFICATION_FOLDER\" \"$line\" >> '{}'\nif rm '{}' 2>/dev/null; then exit 3; fi\n",
        told.display(),
        failing.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn lines(path: &Path, count: usize) -> Vec<String> {
    let whole = async {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= count {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, whole)
        .await
        .expect("in time")
}

#[tokio::test]
async fn a_command_is_run_until_it_succeeds() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("failing"), "").unwrap();
    let subscription = Subscription::command(&program(place.path()));
    let notifier = Notifier::start(&[subscription], &quick()).unwrap();
    notifier.tell(brake());
    notifier.tell(brake());
    let told = lines(&place.path().join("told"), 6).await;
    notifier.finish().await;
    assert_eq!(told[0], "brake site");
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
    assert_eq!(id(&told[1]), id(&told[3]), "it failed, and was run again");
    assert_ne!(id(&told[3]), id(&told[5]));
}

#[tokio::test]
async fn only_what_is_wanted_is_told_and_a_stuck_destination_holds_up_no_other() {
    let place = tempfile::tempdir().unwrap();
    let mut stuck = Subscription::command("sleep");
    stuck.command.as_mut().unwrap().push("600".to_owned());
    let mut picky = Subscription::command(&program(place.path()));
    picky.on = Some(vec![Kind::Conflict]);
    let notifier = Notifier::start(&[stuck, picky], &quick()).unwrap();
    notifier.tell(brake());
    notifier.tell(Notification::new(Kind::Conflict, "office", "a conflict"));
    let told = lines(&place.path().join("told"), 2).await;
    assert_eq!(told[0], "conflict ");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed() {
    let place = tempfile::tempdir().unwrap();
    let told = place.path().join("told");
    let script = format!(
        "read -r line; echo \"$$\" >> '{}'; exec sleep 600",
        told.display()
    );
    let mut slow = Subscription::command("/bin/sh");
    slow.command
        .as_mut()
        .unwrap()
        .extend(["-c".to_owned(), script]);
    let pace = Pace {
        pauses: vec![Duration::from_millis(1); 10_000],
        command: Duration::from_millis(100),
        ..quick()
    };
    let notifier = Notifier::start(&[slow], &pace).unwrap();
    notifier.tell(brake());
    // One runs at a time: if a second has come to say so, the first was killed.
    let processes = lines(&told, 2).await;
    assert!(!Path::new("/proc").join(&processes[0]).join("cwd").exists());
}

#[tokio::test]
async fn what_is_waiting_at_the_end_is_delivered() {
    let place = tempfile::tempdir().unwrap();
    let notifier = Notifier::start(&[Subscription::command(&program(place.path()))], &quick());
    let notifier = notifier.unwrap();
    for _ in 0..3 {
        notifier.tell(brake());
    }
    notifier.finish().await;
    notifier.tell(brake());
    let told = lines(&place.path().join("told"), 6).await;
    assert_eq!(told.len(), 6);
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_named() {
    let good = Subscription::command("page");
    let refused = Notifier::start(&[good, Subscription::default()], &quick());
    assert_eq!(refused.err().map(|(at, _)| at), Some(1));
}
