//! Files that are read, uploaded and removed.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use replicat_server::settings::parse_mode;

use crate::client::{Answer, read_rest};
use crate::place::{Place, until};

const FILE: &str = "/api/v1/folders/site/file?path=";

fn tag(content: &str) -> String {
    format!("\"{}\"", blake3::hash(content.as_bytes()).to_hex())
}

fn refused(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(
        (answer.status, answer.kind().as_str()),
        (status, kind),
        "{answer:?}"
    );
}

#[test]
fn a_file_is_read_whole_or_in_part() {
    let place = Place::node();
    place.write("list", "0123456789");
    let whole = place.get(&format!("{FILE}list"));
    assert_eq!(
        (whole.status, whole.body.as_slice()),
        (200, &b"0123456789"[..])
    );
    assert_eq!(whole.header("etag"), Some(tag("0123456789").as_str()));
    assert_eq!(whole.header("content-disposition"), Some("attachment"));
    assert_eq!(
        whole.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let ask = |method: &str| {
        place
            .bare(method, &format!("{FILE}list"))
            .token(&place.read)
    };
    let head = ask("HEAD").send();
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("10"), 0)
    );
    let part = ask("GET").header("Range", "bytes=2-4").send();
    assert_eq!((part.status, part.body.as_slice()), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let beyond = ask("GET").header("Range", "bytes=10-").send();
    refused(&beyond, 416, "range");
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    let same = ask("GET")
        .header("If-None-Match", &tag("0123456789"))
        .send();
    assert_eq!((same.status, same.body.len()), (304, 0));
    let other = ask("GET")
        .header("Range", "bytes=2-4")
        .header("If-Range", &tag("x"))
        .send();
    assert_eq!((other.status, other.body.len()), (200, 10));
    let own = ask("GET")
        .header("Range", "bytes=2-4")
        .header("If-Range", &tag("0123456789"))
        .send();
    assert_eq!(own.status, 206);
    place.write("empty", "");
    assert_eq!(place.get(&format!("{FILE}empty")).body, b"");
    refused(&place.get(&format!("{FILE}none")), 404, "unknown-path");
    fs::create_dir(place.at("docs")).unwrap();
    until("docs", || place.get(&format!("{FILE}docs")).status == 409);
    refused(&place.get(FILE), 409, "not-a-file");
}

#[test]
fn an_upload_replaces_only_what_is_expected() {
    let place = Place::node();
    let first = place
        .upload("docs/list", "one")
        .header("If-None-Match", "*")
        .send();
    assert_eq!(first.status, 201);
    let content = blake3::hash(b"one").to_hex().to_string();
    let expected = serde_json::json!({"type": "uploaded", "path": "docs/list", "size": 3, "content": content, "created": true});
    assert_eq!(first.json(), expected);
    fs::set_permissions(place.at("docs/list"), fs::Permissions::from_mode(0o640)).unwrap();
    refused(
        &place
            .upload("docs/list", "two")
            .header("If-None-Match", "*")
            .send(),
        412,
        "precondition",
    );
    refused(
        &place
            .upload("docs/list", "two")
            .header("If-Match", &tag("x"))
            .send(),
        412,
        "precondition",
    );
    refused(
        &place
            .upload("docs/none", "two")
            .header("If-Match", "*")
            .send(),
        412,
        "precondition",
    );
    assert_eq!(fs::read(place.at("docs/list")).unwrap(), b"one");
    until("what was chmodded is known", || {
        let tree = place.get("/api/v1/folders/site/tree?path=docs").json();
        tree["items"][0]["mode"] == "0640"
    });
    let second = place
        .upload("docs/list", "two")
        .header("If-Match", &tag("one"))
        .send();
    assert_eq!(
        (second.status, &second.json()["created"]),
        (200, &false.into())
    );
    assert_eq!(
        fs::metadata(place.at("docs/list"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
}

#[test]
fn an_upload_that_cannot_be_is_refused() {
    let place = Place::node();
    assert_eq!(place.upload("docs/list", "one").send().status, 201);
    let large = vec![7; 3 << 20];
    assert_eq!(place.upload("large", large.clone()).send().status, 201);
    assert_eq!(place.get(&format!("{FILE}large")).body, large);
    assert_eq!(place.upload("empty", "").send().status, 201);
    refused(&place.upload("docs", "x").send(), 409, "not-a-file");
    for (name, value) in [
        ("If-Match", "\"00\""),
        ("If-Match", "x"),
        ("If-None-Match", "\"x\""),
    ] {
        refused(
            &place.upload("a", "x").header(name, value).send(),
            400,
            "usage",
        );
    }
    let chunked = place
        .change("PUT", &format!("{FILE}x"))
        .header("Transfer-Encoding", "chunked")
        .send();
    refused(&chunked, 411, "length-required");
    let huge = place
        .change("PUT", &format!("{FILE}x"))
        .header("Content-Length", "68719476737")
        .send();
    refused(&huge, 413, "too-large");
    refused(
        &place
            .change("PUT", "/api/v1/folders/none/file?path=x")
            .body("x")
            .send(),
        404,
        "unknown-folder",
    );
}

#[test]
fn what_is_replaced_or_removed_can_be_restored() {
    let place = Place::node();
    place.write("list", "one");
    assert_eq!(place.upload("list", "two").send().status, 200);
    let remove = || place.change("DELETE", &format!("{FILE}list"));
    refused(
        &remove().header("If-Match", &tag("one")).send(),
        412,
        "precondition",
    );
    let removed = remove().header("If-Match", &tag("two")).send();
    assert_eq!(
        removed.json(),
        serde_json::json!({"type": "removed", "path": "list"})
    );
    assert!(!place.at("list").exists());
    refused(&remove().send(), 404, "unknown-path");
    let body = r#"{"path":"list"}"#;
    let restored = place
        .change("POST", "/api/v1/folders/site/restore")
        .json(body)
        .send();
    assert_eq!(restored.status, 200);
    assert_eq!(fs::read(place.at("list")).unwrap(), b"two");
    fs::create_dir(place.at("docs")).unwrap();
    refused(
        &place.change("DELETE", &format!("{FILE}docs")).send(),
        409,
        "not-a-file",
    );
    assert!(place.at("docs").is_dir());
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let place = Place::node();
    let outside = with_links(&place);
    let hostile = [
        "..",
        "../outside/secret",
        "%2e%2e/outside/secret",
        "..%2foutside%2fsecret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a/../../outside/secret",
        "./a",
        "a//b",
        "a/",
        "a%00b",
        "%00",
        "a/./b",
        "a/..",
    ];
    for path in hostile {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = place
                .change(method, &format!("{FILE}{path}"))
                .body("x")
                .send();
            refused(&answer, 400, "usage");
        }
        for route in ["tree", "history", "why"] {
            let answer = place.get(&format!("/api/v1/folders/site/{route}?path={path}"));
            refused(&answer, 400, "usage");
        }
    }
    for folder in ["..", "%2e%2e", "..%2f..", "site%2f..", "%00", "%FF"] {
        let answer = place.get(&format!("/api/v1/folders/{folder}/tree"));
        assert!([400, 404].contains(&answer.status), "{folder}: {answer:?}");
        answer.kind();
    }
    assert_untouched(&outside);
}

/// A directory beside the folder, and links to it and into it.
fn with_links(place: &Place) -> PathBuf {
    let outside = place.at("../outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, place.at("way")).unwrap();
    symlink(outside.join("secret"), place.at("link")).unwrap();
    until("the links", || {
        let tree = place.get("/api/v1/folders/site/tree").json();
        tree["items"].as_array().unwrap().len() == 2
    });
    outside
}

fn assert_untouched(outside: &Path) {
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
}

#[test]
fn no_body_and_no_link_leads_out_of_the_folder() {
    let place = Place::node();
    let outside = with_links(&place);
    for path in ["../x", "/x", "a\\u0000b", "a//b", ".."] {
        for (route, rest) in [("restore", ""), ("resolve", r#","keep":"local""#)] {
            let body = format!(r#"{{"path":"{path}"{rest}}}"#);
            let answer = place
                .change("POST", &format!("/api/v1/folders/site/{route}"))
                .json(&body)
                .send();
            refused(&answer, 400, "usage");
        }
    }
    for path in [".replicat", ".replicat/index", ".replicat/x"] {
        assert!(
            [400, 404].contains(&place.get(&format!("{FILE}{path}")).status),
            "{path}"
        );
        for method in ["PUT", "DELETE"] {
            let answer = place
                .change(method, &format!("{FILE}{path}"))
                .body("x")
                .send();
            assert!(
                [400, 404].contains(&answer.status),
                "{method} {path}: {answer:?}"
            );
        }
    }
    assert!(place.get(&format!("{FILE}way/secret")).status >= 400);
    refused(&place.get(&format!("{FILE}link")), 409, "not-a-file");
    for method in ["PUT", "DELETE"] {
        let answer = place
            .change(method, &format!("{FILE}way/secret"))
            .body("x")
            .send();
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    assert_untouched(&outside);
}

#[test]
fn names_are_bytes() {
    let place = Place::node();
    assert_eq!(place.upload("caf%E9", "x").send().status, 201);
    let tree = place.get("/api/v1/folders/site/tree").json();
    assert_eq!(tree["items"][0]["path_hex"], "636166e9");
    assert_eq!(place.get(&format!("{FILE}caf%E9")).body, b"x");
    assert_eq!(place.upload("a+b%20%3Cscript%3E", "y").send().status, 201);
    assert_eq!(fs::read(place.at("a+b <script>")).unwrap(), b"y");
}

#[test]
fn nothing_is_put_where_changes_are_not_sent_from() {
    let place = Place::node_with(
        |_| {},
        |settings| settings.folders[0].mode = parse_mode("receive-only").unwrap(),
    );
    refused(&place.upload("x", "x").send(), 403, "receive-only");
    assert!(!place.at("x").exists());
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_broken_off() {
    let place = Place::node();
    // More than the sockets between them take.
    let size = 64 << 20;
    fs::write(place.at("large"), vec![b'a'; size]).unwrap();
    let target = format!("{FILE}large");
    until("large", || {
        let head = place.bare("HEAD", &target).token(&place.read).send();
        head.header("content-length") == Some(size.to_string().as_str())
    });
    let mut stream = place.bare("GET", &target).token(&place.read).begin();
    let mut first = [0; 4096];
    stream.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200 "));
    fs::write(place.at("large"), vec![b'b'; size]).unwrap();
    let rest = read_rest(stream);
    assert!(first.len() + rest.len() < size, "all of it came");
    assert!(!rest.contains(&b'b'), "two states came as one");
}

#[test]
fn a_folder_that_is_being_scanned_says_what_it_knows_or_why_it_cannot() {
    let place = Place::starting_with(|site| {
        for number in 0..5000 {
            fs::write(site.join(number.to_string()), "x").unwrap();
        }
    });
    let mut answers = Vec::new();
    while place.bare("GET", "/readyz").send().status != 200 {
        for target in [
            "/api/v1/status".to_owned(),
            "/api/v1/folders".to_owned(),
            "/api/v1/folders/site/tree".to_owned(),
            "/api/v1/folders/site/conflicts".to_owned(),
            format!("{FILE}4999"),
            "/api/v1/folders/site/why?path=4999".to_owned(),
        ] {
            let answer = place.get(&target);
            assert!(
                [200, 404, 409].contains(&answer.status),
                "{target}: {answer:?}"
            );
            answers.push((target, answer.status));
        }
    }
    eprintln!("{} answers during the scan", answers.len());
    until("the last file", || {
        place.get(&format!("{FILE}4999")).body == b"x"
    });
}
