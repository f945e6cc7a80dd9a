//! Who is let in, and who is not.

use std::time::{Duration, SystemTime};

use replicat_http::tokens::Scope;
use replicat_http::{HttpConfig, HttpError, HttpListener};

use crate::encrypted::certificate;
use crate::place::{Place, until};

const STATUS: &str = "/api/v1/status";

#[test]
fn nothing_is_told_without_a_token() {
    let place = Place::node();
    for target in [
        STATUS,
        "/api/v1/folders/site/file?path=x",
        "/metrics",
        "/api/v1/nothing",
        "/api/v1/",
    ] {
        let answer = place.bare("GET", target).send();
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (401, "unauthorized"),
            "{target}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let authorizations = [
        "Bearer",
        "Bearer ",
        "Bearer rpt_0000",
        "Basic cmVwbGljYXQ6eA==",
        "",
    ];
    for value in authorizations {
        let answer = place
            .bare("GET", STATUS)
            .header("Authorization", value)
            .send();
        assert_eq!(answer.status, 401, "{value:?}");
    }
    let twice = place
        .bare("GET", STATUS)
        .token(&place.read)
        .token(&place.read)
        .send();
    assert_eq!(twice.status, 401);
    assert_eq!(place.get(STATUS).status, 200);
    assert_eq!(place.bare("GET", "/healthz").send().status, 200);
    assert_eq!(place.bare("GET", "/api/openapi.json").send().status, 200);
}

#[test]
fn a_token_does_what_its_scope_says() {
    let place = Place::node();
    let pause = "/api/v1/folders/site/pause";
    let with = |method, target, token: &str| {
        place
            .bare(method, target)
            .token(token)
            .header("X-Replicat-Request", "1")
            .send()
    };
    let refused = with("POST", pause, &place.read);
    assert_eq!((refused.status, refused.kind().as_str()), (403, "scope"));
    for (method, target) in [
        ("PUT", "/api/v1/folders/site/file?path=x"),
        ("DELETE", "/api/v1/folders/site/file?path=x"),
        ("POST", "/api/v1/resume"),
    ] {
        assert_eq!(
            with(method, target, &place.read).status,
            403,
            "{method} {target}"
        );
    }
    assert_eq!(with("POST", pause, &place.operate).status, 200);
    assert_eq!(with("POST", "/api/v1/resume", &place.admin).status, 200);
    assert_eq!(
        with("GET", "/api/v1/configuration", &place.operate).status,
        403
    );
    assert_eq!(
        with("GET", "/api/v1/configuration", &place.admin).status,
        200
    );
}

#[test]
fn a_token_ends_when_it_is_revoked_or_expires() {
    let place = Place::node();
    let store = place.tokens();
    let (token, text) = store
        .create("x", Scope::Read, None, SystemTime::now())
        .unwrap();
    assert_eq!(place.bare("GET", STATUS).token(&text).send().status, 200);
    store.revoke(&token.id).unwrap();
    assert_eq!(place.bare("GET", STATUS).token(&text).send().status, 401);
    let past = SystemTime::now() - Duration::from_secs(60);
    let minute = Some(Duration::from_secs(30));
    let (_, expired) = store.create("y", Scope::Read, minute, past).unwrap();
    assert_eq!(place.bare("GET", STATUS).token(&expired).send().status, 401);
}

#[test]
fn foreign_pages_change_nothing() {
    let place = Place::node();
    let pause = "/api/v1/pause";
    let own = place.change("POST", pause);
    let origin = format!("http://{}", place.address);
    let https = format!("https://{}", place.address);
    for foreign in [
        own.clone().without("X-Replicat-Request"),
        own.clone()
            .without("X-Replicat-Request")
            .header("X-Replicat-Request", "0"),
        own.clone().header("Origin", "http://evil.example"),
        own.clone().header("Origin", "null"),
        own.clone().header("Origin", &https),
        own.clone()
            .header("Origin", &origin)
            .header("Origin", "http://evil.example"),
        own.clone().header("Sec-Fetch-Site", "cross-site"),
        own.clone().header("Sec-Fetch-Site", "same-site"),
        own.clone().header("Sec-Fetch-Site", "none"),
    ] {
        let answer = foreign.send();
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (403, "foreign-request")
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let page = own
        .header("Origin", &origin)
        .header("Sec-Fetch-Site", "same-origin");
    assert_eq!(page.send().status, 200);
    let preflight = place
        .bare("OPTIONS", pause)
        .header("Origin", "http://evil.example")
        .header("Access-Control-Request-Method", "POST")
        .send();
    assert_eq!(preflight.status, 403);
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

#[test]
fn the_server_answers_to_its_own_names() {
    let place = Place::node_with(
        |config| config.hosts = vec!["nas.example".to_owned()],
        |_| {},
    );
    let by = |host: &str| {
        let asked = place.bare("GET", STATUS).token(&place.read);
        asked.without("Host").header("Host", host).send()
    };
    for host in [
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]:80",
        "localhost:8080",
        "LocalHost",
        "nas.example",
        "NAS.example.:1",
    ] {
        assert_eq!(by(host).status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "nas.example.evil.example",
        "localhost.evil.example",
        "a@localhost",
        "",
        "127.0.0.1.evil.example",
    ] {
        let answer = by(host);
        assert!([400, 421].contains(&answer.status), "{host}: {answer:?}");
    }
    assert_eq!(by("evil.example").kind(), "foreign-host");
    let none = place
        .bare("GET", STATUS)
        .token(&place.read)
        .without("Host")
        .send();
    assert!([400, 421].contains(&none.status));
    let twice = place
        .bare("GET", STATUS)
        .token(&place.read)
        .header("Host", "localhost")
        .send();
    assert!([400, 421].contains(&twice.status));
    let absolute = place
        .bare("GET", "http://evil.example/api/v1/status")
        .token(&place.read)
        .send();
    assert_eq!(absolute.status, 421);
}

#[test]
fn every_answer_is_guarded() {
    let place = Place::node();
    for target in [
        "/",
        "/api/v1/status",
        "/api/openapi.json",
        "/nothing",
        "/healthz",
    ] {
        let answer = place.get(target);
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{target}"
        );
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("same-origin")
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
        assert!(!policy.contains("unsafe"));
    }
    assert_eq!(place.get(STATUS).header("cache-control"), Some("no-store"));
    let page = place.get("/");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let tag = page.header("etag").unwrap().to_owned();
    let again = place.bare("GET", "/").header("If-None-Match", &tag).send();
    assert_eq!((again.status, again.body.len()), (304, 0));
    for target in [
        "/..%2f..%2fCargo.toml",
        "/../Cargo.toml",
        "/%00",
        "/index.html/",
        "//etc/passwd",
    ] {
        assert_eq!(place.get(target).status, 404, "{target}");
    }
    assert_eq!(place.change("POST", "/").send().status, 405);
}

#[test]
fn others_are_served_only_with_encryption_and_a_token() {
    let place = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bind = |config: HttpConfig| runtime.block_on(HttpListener::bind(config)).map(|_| ());
    let config = |address: &str| HttpConfig::new(address, place.path());
    assert!(matches!(
        bind(config("0.0.0.0:0")),
        Err(HttpError::Plain { .. })
    ));
    assert!(matches!(
        bind(config("[::]:0")),
        Err(HttpError::Plain { .. })
    ));
    assert!(matches!(
        bind(config("here")),
        Err(HttpError::Address { .. })
    ));
    assert!(bind(config("127.0.0.1:0")).is_ok());

    let files = certificate(place.path());
    let mut encrypted = config("0.0.0.0:0");
    encrypted.certificate = Some(files.clone());
    assert!(matches!(
        bind(encrypted.clone()),
        Err(HttpError::NoToken { .. })
    ));
    let store = replicat_http::tokens::TokenStore::new(place.path());
    store
        .create("x", Scope::Read, None, SystemTime::now())
        .unwrap();
    assert!(bind(encrypted.clone()).is_ok());
    std::fs::write(&files.certificate, "nothing").unwrap();
    assert!(matches!(
        bind(encrypted),
        Err(HttpError::Certificate { .. })
    ));
}

#[test]
fn a_node_that_is_stopped_is_not_ready() {
    let place = Place::node();
    assert_eq!(place.bare("GET", "/readyz").send().status, 200);
    place.stop_server();
    until("offline", || {
        place.bare("GET", "/readyz").send().status == 503
    });
    assert_eq!(place.bare("GET", "/healthz").send().status, 200);
}
