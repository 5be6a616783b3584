//! What a request passes before anything is answered: hosts, origins, sessions, methods, bodies. Each refusal leaves everything
//! as it was.

use std::io::{BufReader, Write};

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{ALICE, Mount, User};
use crate::http::{Answer, Dashboard, Session, answer, written};

pub const CASES: Cases = &[
    ("a_session_is_told_who_it_is", a_session_is_told_who_it_is),
    ("other_hosts_get_nothing", other_hosts_get_nothing),
    ("a_given_host_is_one_more", a_given_host_is_one_more),
    ("changes_come_from_the_page_alone", changes_come_from_the_page_alone),
    ("reads_of_other_pages_are_refused", reads_of_other_pages_are_refused),
    ("without_a_session_nothing", without_a_session_nothing),
    ("the_token_of_this_start_opens_sessions", the_token_of_this_start_opens_sessions),
    ("methods_and_addresses", methods_and_addresses),
    ("bodies_are_json", bodies_are_json),
    ("bodies_have_an_end", bodies_have_an_end),
    ("files_are_compressed_for_who_takes_that", files_are_compressed_for_who_takes_that),
    ("each_answer_has_the_headers", each_answer_has_the_headers),
    ("what_is_no_request_gets_a_status_and_no_more", what_is_no_request_gets_a_status_and_no_more),
];

const ME: User<'static> = User(ALICE, ALICE, &[]);

fn a_session_is_told_who_it_is() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let about = dashboard.log_in().get("/api/about").is_good();
    assert_eq!((&about["user"]["name"], &about["team"]), (&json!("alice"), &json!(false)), "{about}");
}

/// The headers with one of them otherwise; `None` leaves it out.
fn with<'h>(headers: &[(&'h str, &'h str)], name: &'h str, value: Option<&'h str>) -> Vec<(&'h str, &'h str)> {
    let mut other: Vec<_> = headers.iter().copied().filter(|(known, _)| *known != name).collect();
    other.extend(value.map(|value| (name, value)));
    other
}

/// A request of a session that would make a variable, with other headers.
fn making(session: &Session<'_>, headers: &[(&str, &str)]) -> Answer {
    let body = Session::making("made", "value").to_string();
    session.dashboard.request("POST /api/put HTTP/1.1", headers, body.as_bytes())
}

fn other_hosts_get_nothing() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let port = dashboard.port();
    let mut wrong = vec!["evil.example".to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), String::new()];
    for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "0.0.0.0", "a@127.0.0.1"] {
        wrong.push(format!("{host}:{port}"));
    }
    wrong.push(format!("127.0.0.1:{}", port ^ 1));
    let headers = session.headers();
    for host in wrong.iter().map(|host| Some(host.as_str())).chain([None]) {
        for path in ["/", "/page/none.js", "/api/about", "/none"] {
            let refused = dashboard.request(&format!("GET {path} HTTP/1.1"), &with(&headers, "Host", host), b"");
            refused.is_refused(421, "host");
        }
        making(&session, &with(&headers, "Host", host)).is_refused(421, "host");
    }
    let twice = [headers.as_slice(), &[("Host", "evil.example")]].concat();
    making(&session, &twice).is_refused(421, "host");
    dashboard.request("GET http://evil.example/ HTTP/1.1", &headers, b"").is_refused(421, "host");
    // An older protocol, in which a host need not be named.
    dashboard.request("GET / HTTP/1.0", &[], b"").is_refused(421, "host");
    assert_eq!(dashboard.request("GET / HTTP/1.0", &headers, b"").status, 200);
    session.has("made", None);
    for host in ["localhost", "LOCALHOST", "[::1]", "127.0.0.1"] {
        let host = format!("{host}:{port}");
        assert_eq!(dashboard.request("GET / HTTP/1.1", &[("Host", &host)], b"").status, 200, "{host}");
    }
}

fn a_given_host_is_one_more() {
    let mount = Mount::new();
    let dashboard = Dashboard::with(&mount, &ME, &["--host", "keys.example.com"]);
    let session = dashboard.log_in();
    let named = with(&session.headers(), "Host", Some("keys.example.com"));
    // A page of one name is a stranger to another's.
    making(&session, &named).is_refused(403, "origin");
    session.has("made", None);
    making(&session, &with(&named, "Origin", Some("https://keys.example.com"))).is_good();
    dashboard.request("GET / HTTP/1.1", &[("Host", "other.example.com")], b"").is_refused(421, "host");
}

fn changes_come_from_the_page_alone() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let headers = session.headers();
    let host = dashboard.host();
    let (other_port, secure) = (format!("http://127.0.0.1:{}", dashboard.port() ^ 1), format!("https://{host}"));
    let (longer, name) = (format!("http://{host}.evil.example"), format!("http://localhost:{}", dashboard.port()));
    let origins = ["http://evil.example", "null", "", "http://127.0.0.1", host, &other_port, &secure, &longer, &name];
    for origin in origins {
        making(&session, &with(&headers, "Origin", Some(origin))).is_refused(403, "origin");
        let token = json!({ "token": dashboard.token() }).to_string();
        let wrong = with(&dashboard.of_page(), "Origin", Some(origin));
        dashboard.request("POST /api/session HTTP/1.1", &wrong, token.as_bytes()).is_refused(403, "origin");
    }
    for site in ["cross-site", "same-site", "none", ""] {
        making(&session, &with(&headers, "Sec-Fetch-Site", Some(site))).is_refused(403, "origin");
        let alone = with(&with(&headers, "Origin", None), "Sec-Fetch-Site", Some(site));
        making(&session, &alone).is_refused(403, "origin");
    }
    making(&session, &with(&headers, "Origin", None)).is_refused(403, "origin");
    session.has("made", None);
    let alone = with(&with(&headers, "Origin", None), "Sec-Fetch-Site", Some("same-origin"));
    making(&session, &alone).is_good();
    session.has("made", Some("value"));
}

fn reads_of_other_pages_are_refused() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let headers = with(&session.headers(), "Origin", None);
    let get = |name, value| dashboard.request("GET /api/about HTTP/1.1", &with(&headers, name, Some(value)), b"");
    get("Sec-Fetch-Site", "cross-site").is_refused(403, "origin");
    get("Origin", "http://evil.example").is_refused(403, "origin");
    // A browser sends no origin with its own page's reads.
    get("Sec-Fetch-Site", "same-origin").is_good();
    // What asks before a request of another origin is told nothing that would allow one.
    let asking =
        [("Host", dashboard.host()), ("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")];
    let refused = dashboard.request("OPTIONS /api/put HTTP/1.1", &asking, b"");
    refused.is_refused(405, "malformed");
    assert!(refused.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{refused:?}");
}

fn without_a_session_nothing() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let headers = session.headers();
    let shorter = &session.session[1..];
    let longer = format!("{}A", session.session);
    let stranger = "A".repeat(43);
    for wrong in [None, Some(""), Some(dashboard.token()), Some(shorter), Some(&longer), Some(&stranger)] {
        let wrong = with(&headers, "X-Keyfs-Session", wrong);
        making(&session, &wrong).is_refused(401, "unauthorized");
        for path in ["about", "keys?environment=dev&tree=secrets", "events", "accounts", "none"] {
            dashboard.request(&format!("GET /api/{path} HTTP/1.1"), &wrong, b"").is_refused(401, "unauthorized");
        }
    }
    let twice = [headers.as_slice(), &[("X-Keyfs-Session", stranger.as_str())]].concat();
    making(&session, &twice).is_refused(400, "malformed");
    // Nowhere else does it count.
    let elsewhere = with(&headers, "X-Keyfs-Session", None);
    let line = format!("GET /api/about?session={} HTTP/1.1", session.session);
    dashboard.request(&line, &elsewhere, b"").is_refused(401, "unauthorized");
    let cookie = format!("X-Keyfs-Session={}", session.session);
    let with_cookie = with(&elsewhere, "Cookie", Some(&cookie));
    dashboard.request("GET /api/about HTTP/1.1", &with_cookie, b"").is_refused(401, "unauthorized");
    session.has("made", None);
}

fn the_token_of_this_start_opens_sessions() {
    let mount = Mount::new();
    let (one, other) = (Dashboard::start(&mount, &ME), Dashboard::start(&mount, &ME));
    assert_ne!(one.token(), other.token());
    assert_eq!(one.token().len(), 43);
    let body = |token: &str| json!({ "token": token }).to_string();
    let shorter = &one.token()[..42];
    for wrong in [body(other.token()), body(""), body(shorter), "{}".to_owned(), "[]".to_owned()] {
        let refused = one.request("POST /api/session HTTP/1.1", &one.of_page(), wrong.as_bytes());
        refused.is_refused(401, "unauthorized");
    }
    for malformed in ["", "{", "1", r#"{"token":1}"#, r#"{"token":"a","other":1}"#, "\u{0}"] {
        let refused = one.request("POST /api/session HTTP/1.1", &one.of_page(), malformed.as_bytes());
        assert!([400, 415].contains(&refused.status), "{malformed}: {}", refused.text());
    }
    // One for each tab; another start's is none.
    let (first, second) = (one.log_in(), one.log_in());
    assert_ne!(first.session, second.session);
    first.get("/api/about").is_good();
    second.get("/api/about").is_good();
    let stranger = Session { dashboard: &other, session: first.session.clone(), user: None };
    stranger.get("/api/about").is_refused(401, "unauthorized");
    assert_eq!(one.request("GET /?token=x HTTP/1.1", &one.of_page(), b"").status, 200);
}

fn methods_and_addresses() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let headers = session.headers();
    for method in ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        for path in ["/", "/api/about", "/api/put"] {
            let refused = dashboard.request(&format!("{method} {path} HTTP/1.1"), &headers, b"");
            let status = if method == "CONNECT" { [405, 400] } else { [405, 405] };
            assert!(status.contains(&refused.status), "{method} {path}: {refused:?}");
        }
    }
    dashboard.request("POST / HTTP/1.1", &headers, b"{}").is_refused(405, "malformed");
    // What changes something isn't done by what only looks, whatever it has with it.
    for call in ["put", "remove", "restore", "rollback", "copy", "import", "session"] {
        let body = Session::making("made", "value").to_string();
        let refused = dashboard.request(&format!("GET /api/{call} HTTP/1.1"), &headers, body.as_bytes());
        assert!([404, 405].contains(&refused.status), "{call}: {}", refused.text());
        refused.json();
    }
    session.has("made", None);
    for path in
        ["/none", "/api/none", "/page/", "/page/index.html", "/page/../api/about", "/page/%2e%2e/x", "//", "/api"]
    {
        let refused = dashboard.request(&format!("GET {path} HTTP/1.1"), &headers, b"");
        refused.is_refused(404, "missing");
    }
    session.post("/api/none", &json!({})).is_refused(404, "missing");
}

fn bodies_are_json() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let headers = session.headers();
    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp"), Some("")]
    {
        making(&session, &with(&headers, "Content-Type", kind)).is_refused(415, "media-type");
    }
    let post = |body: &[u8]| dashboard.request("POST /api/put HTTP/1.1", &headers, body);
    let whole = Session::making("made", "value").to_string();
    for malformed in [&whole.as_bytes()[..whole.len() - 1], b"null", b"[]", b"\xff\xfe", b"{\"key\":\"made\"}", b"x"] {
        let refused = post(malformed);
        assert!([400, 422].contains(&refused.status), "{}", refused.text());
        assert!(refused.json()["error"]["message"].is_string());
    }
    let deep = "[".repeat(200_000);
    assert_eq!(post(deep.as_bytes()).status, 400);
    session.has("made", None);
    making(&session, &with(&headers, "Content-Type", Some("application/json; charset=utf-8"))).is_good();
}

fn bodies_have_an_end() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let headers = session.headers();
    // By its length alone, before any of it is sent.
    for (path, length) in [("put", (48 << 20) + 1), ("session", 5000), ("import", 1_usize << 40)] {
        let length = length.to_string();
        let told = [headers.as_slice(), &[("Content-Length", length.as_str())]].concat();
        dashboard.request(&format!("POST /api/{path} HTTP/1.1"), &told, b"").is_refused(413, "too-large");
    }
    // Without an end: it is told before that comes.
    let mut stream = dashboard.connect();
    let endless = [headers.as_slice(), &[("Transfer-Encoding", "chunked")]].concat();
    stream.write_all(&written("POST /api/put HTTP/1.1", &endless, b"")).unwrap();
    let chunk = [format!("{:x}\r\n", 1 << 16).into_bytes(), vec![b' '; 1 << 16], b"\r\n".to_vec()].concat();
    for _ in 0..34 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    answer(&mut BufReader::new(stream)).unwrap().is_refused(413, "too-large");
    // Broken off.
    let body = Session::making("made", "value").to_string();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", dashboard.port())).unwrap();
    let request = written("POST /api/put HTTP/1.1", &headers, body.as_bytes());
    stream.write_all(&request[..request.len() - 1]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = answer(&mut BufReader::new(stream));
    session.has("made", None);
    // A value that is longer than the mount allows is the mount's to refuse.
    session.post("/api/put", &Session::making("made", &"x".repeat(3 << 20))).is_refused(422, "invalid");
    session.has("made", None);
}

fn each_answer_has_the_headers() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let bare = [("Host", dashboard.host())];
    let stream = session.stream("/api/events");
    let streamed = Answer { status: stream.status, headers: stream.headers.clone(), body: Vec::new() };
    let answers = [
        (200, dashboard.request("GET / HTTP/1.1", &bare, b"")),
        (200, session.get("/api/about")),
        (200, streamed),
        (400, session.post("/api/put", &Value::Null)),
        (401, dashboard.request("GET /api/about HTTP/1.1", &bare, b"")),
        (403, dashboard.request("POST /api/session HTTP/1.1", &bare, b"{}")),
        (404, dashboard.request("GET /none HTTP/1.1", &bare, b"")),
        (405, dashboard.request("DELETE / HTTP/1.1", &bare, b"")),
        (415, dashboard.request("POST /api/put HTTP/1.1", &with(&session.headers(), "Content-Type", None), b"x")),
        (421, dashboard.request("GET / HTTP/1.1", &[("Host", "evil.example")], b"")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        let policy = guarded(&answer);
        for part in
            ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http:") && !policy.contains('*'), "{policy}");
    }
    // A worker runs by its own policy; what is part of a page lets nothing run, should it be taken for one.
    let host = [("Host", dashboard.host())];
    let worker = dashboard.request("GET /page/rows.worker.js HTTP/1.1", &host, b"");
    assert!(guarded(&worker).contains("script-src 'self'"), "{worker:?}");
    for part in ["app.js", "style.css", "icon.svg"] {
        let answer = dashboard.request(&format!("GET /page/{part} HTTP/1.1"), &host, b"");
        assert_eq!((answer.status, guarded(&answer)), (200, "default-src 'none'; frame-ancestors 'none'"), "{part}");
    }
    let refused = dashboard.request("POST /page/app.js HTTP/1.1", &host, b"");
    assert!(refused.status == 405 && guarded(&refused).contains("trusted-types"), "{refused:?}");
}

/// The policy of an answer that has all other headers that keep a browser from doing more with it.
fn guarded(answer: &Answer) -> &str {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name} of {answer:?}");
    }
    let shared =
        |(name, _): &(String, String)| name.starts_with("access-control") || name == "set-cookie" || name == "server";
    assert!(!answer.headers.iter().any(shared), "{answer:?}");
    answer.header("content-security-policy").expect("a policy")
}

fn files_are_compressed_for_who_takes_that() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let fetch = |taken: &str| {
        let answer =
            dashboard.request("GET / HTTP/1.1", &[("Host", dashboard.host()), ("Accept-Encoding", taken)], b"");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
        answer
    };
    let plain = fetch("identity");
    let compressed = fetch("deflate, gzip");
    assert_eq!((compressed.header("content-encoding"), &compressed.body[..2]), (Some("gzip"), &b"\x1f\x8b"[..]));
    let shortest = fetch("gzip, deflate, br, zstd");
    assert_eq!(shortest.header("content-encoding"), Some("br"));
    assert!(shortest.body.len() < compressed.body.len() && compressed.body.len() < plain.body.len());
    for taken in ["identity", "", "*", "gzip;q=0"] {
        let plain = fetch(taken);
        assert!(plain.header("content-encoding").is_none() && plain.text().contains("Secret Keys Manager"), "{taken}");
    }
    // The rest is as long as it is, compressed by nobody.
    let session = dashboard.log_in();
    let taking = [session.headers().as_slice(), &[("Accept-Encoding", "gzip")]].concat();
    let answer = dashboard.request("GET /api/about HTTP/1.1", &taking, b"");
    assert!(answer.header("content-encoding").is_none() && answer.json().is_object());
}

/// What the HTTP library refuses before there is a request: it answers itself, so there is nothing in it that headers could guard.
fn what_is_no_request_gets_a_status_and_no_more() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let head = |line: &str| format!("GET / HTTP/1.1\r\nHost: {}\r\n{line}\r\n\r\n", dashboard.host());
    let long = head(&format!("X: {}", "<img src=x>".repeat(40_000)));
    for (request, status) in [
        ("<img src=x onerror=alert(1)>\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        (head("<img src=x>"), 400),
        (head("Content-Length: <img>"), 400),
        (long, 431),
    ] {
        let answer = dashboard.raw(&request);
        assert_eq!((answer.status, answer.text().as_str()), (status, ""), "{:.60}", request);
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.iter().all(|name| ["connection", "content-length", "date"].contains(name)), "{names:?}");
        assert_eq!(answer.header("content-length"), Some("0"));
    }
    // A body that breaks its own form is found by what reads it: an answer as any other.
    let session = dashboard.log_in();
    let headers = [session.headers().as_slice(), &[("Transfer-Encoding", "chunked")]].concat();
    let broken = [written("POST /api/put HTTP/1.1", &headers, b""), b"<img>\r\n".to_vec()].concat();
    let answer = dashboard.raw(broken);
    answer.is_refused(400, "malformed");
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-content-type-options")),
        (Some("no-store"), Some("nosniff"))
    );
}
