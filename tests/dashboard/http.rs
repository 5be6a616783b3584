//! A dashboard of somebody's on a mount, and requests to it that are written out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::fixture::{Mount, User};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The header in which the tests' proxy names users.
pub const USER_HEADER: &str = "X-Remote-User";
/// What every secret of the tests has in it, and no answer may have.
pub const CANARY: &str = "canary-5e1f";

/// That nothing of a secret is in what came.
fn holds_no_secret(body: &[u8]) {
    let coded = ["Y2FuYXJ5LTVlMW", "NhbmFyeS01ZTFm", "jYW5hcnktNWUxZ"];
    for needle in std::iter::once(CANARY).chain(coded) {
        let found = body.windows(needle.len()).any(|part| part == needle.as_bytes());
        assert!(!found, "a secret is in an answer: {}", String::from_utf8_lossy(body));
    }
}

/// A dashboard that runs; it is ended by its id when this goes.
pub struct Dashboard {
    process: Child,
    /// What it said on stderr.
    log: PathBuf,
    pub link: String,
    /// Where it listens, unless at a port.
    pub socket: Option<PathBuf>,
}

/// A connection by either way.
pub trait Connection: Read + Write + Send + AsFd {}
impl<C: Read + Write + Send + AsFd> Connection for C {}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// That it is an error of this status and code, in a line.
    #[track_caller]
    pub fn is_refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        let message = error["message"].as_str().expect("a line");
        assert!(!message.is_empty() && !message.contains('\n') && !message.contains("Error("), "{message}");
        error
    }

    /// That it is good; its JSON.
    #[track_caller]
    pub fn is_good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }
}

impl Dashboard {
    /// Starts one as somebody, for a mount.
    pub fn start(mount: &Mount, user: &User<'_>) -> Dashboard {
        Dashboard::with(mount, user, &[])
    }

    /// The same with further arguments.
    pub fn with(mount: &Mount, user: &User<'_>, arguments: &[&str]) -> Dashboard {
        let mut dashboard = Dashboard::of(mount, command(mount, user, arguments));
        let socket = arguments.iter().position(|argument| *argument == "--socket");
        dashboard.socket = socket.map(|at| arguments[at + 1].into());
        dashboard
    }

    /// The one that a command starts.
    pub fn of(mount: &Mount, mut command: Command) -> Dashboard {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = mount.home().join(format!("dashboard-{count}.log"));
        let file = std::fs::File::create(&log).expect("a log");
        let mut process = command.stdout(Stdio::piped()).stderr(file).spawn().expect("dt");
        let mut link = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut link).expect("a line");
        let dashboard = Dashboard { process, log, link: link.trim_end().to_owned(), socket: None };
        assert!(dashboard.link.starts_with("http"), "no link: {}", dashboard.logged());
        dashboard
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What a browser calls it: `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        self.link.split('/').nth(2).expect("a host")
    }

    pub fn port(&self) -> u16 {
        self.host().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// The token in the link.
    pub fn token(&self) -> &str {
        self.link.split("#token=").nth(1).expect("a token")
    }

    pub fn connect(&self) -> Box<dyn Connection> {
        match &self.socket {
            Some(path) => {
                let stream = UnixStream::connect(path).expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
                Box::new(stream)
            }
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port())).expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
                stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
                Box::new(stream)
            }
        }
    }

    /// Sends these very bytes, and reads one answer.
    pub fn raw(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect();
        // It may answer and close before it has all of it.
        let _ = stream.write_all(request.as_ref());
        answer(&mut BufReader::new(stream)).expect("an answer")
    }

    /// A request with its line, headers and body as they are, and a length.
    pub fn request(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.raw(written(line, headers, body))
    }

    /// A new session.
    #[track_caller]
    pub fn log_in(&self) -> Session<'_> {
        let body = json!({ "token": self.token() }).to_string();
        let answer = self.request("POST /api/session HTTP/1.1", &self.of_page(), body.as_bytes()).is_good();
        Session { dashboard: self, session: answer["session"].as_str().expect("a session").to_owned(), user: None }
    }

    /// A new session of a user whom the proxy names.
    #[track_caller]
    pub fn log_in_as(&self, user: &'static str) -> Session<'_> {
        let mut headers = self.of_page();
        headers.push((USER_HEADER, user));
        let answer = self.request("POST /api/session HTTP/1.1", &headers, b"{}").is_good();
        Session {
            dashboard: self,
            session: answer["session"].as_str().expect("a session").to_owned(),
            user: Some(user),
        }
    }

    /// The headers that a browser sends for this dashboard's page.
    pub fn of_page(&self) -> Vec<(&str, &str)> {
        let origin = self.link.split("/#").next().expect("an origin").trim_end_matches('/');
        vec![("Host", self.host()), ("Origin", origin), ("Content-Type", "application/json")]
    }

    /// Ends it with a signal; how it ended.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        crate::fixture::run(Command::new("kill").arg("-s").arg(signal).arg(self.pid().to_string()));
        self.process.wait().expect("it ends")
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // Ours until it is waited for, so its id is nobody else's.
        if self.is_running() {
            let _ = Command::new("kill").arg("-s").arg("TERM").arg(self.pid().to_string()).status();
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(15) && self.is_running() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `dt dashboard` as somebody.
pub fn command(mount: &Mount, user: &User<'_>, arguments: &[&str]) -> Command {
    let mut command = user.command(crate::dt().to_str().expect("a path"));
    command.args(["dashboard", "--no-open"]).args(arguments).env("KEYFS_MOUNT", mount.root());
    for variable in ["KEYFS_ENV", "DATATAILR_JOB_ENVIRONMENT", "RUST_LOG", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY"] {
        command.env_remove(variable);
    }
    command
}

/// Somebody who has logged in.
pub struct Session<'d> {
    pub dashboard: &'d Dashboard,
    pub session: String,
    /// Whom the proxy names.
    pub user: Option<&'static str>,
}

impl Session<'_> {
    /// The headers of a call.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = self.dashboard.of_page();
        headers.push(("X-Keyfs-Session", &self.session));
        headers.extend(self.user.map(|user| (USER_HEADER, user)));
        headers
    }

    /// A call that changes nothing; `path` with its query, such as `/api/keys?environment=dev&tree=secrets`.
    pub fn get(&self, path: &str) -> Answer {
        self.dashboard.request(&format!("GET {path} HTTP/1.1"), &self.headers(), b"")
    }

    /// A call with a body.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.dashboard.request(&format!("POST {path} HTTP/1.1"), &self.headers(), body.to_string().as_bytes())
    }

    /// Begins a call whose answer is a stream, and reads its head.
    pub fn stream(&self, path: &str) -> Stream {
        let mut connection = self.dashboard.connect();
        let request = written(&format!("GET {path} HTTP/1.1"), &self.headers(), b"");
        connection.write_all(&request).expect("it is sent");
        let mut reader = BufReader::new(connection);
        let (status, headers) = head(&mut reader).expect("an answer");
        Stream { status, headers, reader, rest: Vec::new() }
    }
}

/// An answer that goes on.
pub struct Stream {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    reader: BufReader<Box<dyn Connection>>,
    rest: Vec<u8>,
}

impl Stream {
    /// The next line, as JSON; `None` when the stream has ended properly.
    pub fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<_> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line of JSON"));
            }
            let chunk = chunk(&mut self.reader).expect("a chunk");
            if chunk.is_empty() {
                return None;
            }
            self.rest.extend(chunk);
        }
    }
}

impl Session<'_> {
    /// That a variable of dev isn't there, or has this value.
    #[track_caller]
    pub fn has(&self, key: &str, value: Option<&str>) {
        let path = format!("/api/entry?environment=dev&tree=variables&key={key}");
        match value {
            Some(value) => assert_eq!(self.get(&path).is_good()["value"], value),
            None => drop(self.get(&path).is_refused(404, "missing")),
        }
    }

    /// The body that makes a variable of dev.
    pub fn making(key: &str, value: &str) -> Value {
        json!({ "environments": ["dev"], "tree": "variables", "key": key, "create": true, "value": value })
    }
}

/// A request as it is sent.
pub fn written(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{line}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("Connection: close\r\n\r\n");
    [request.into_bytes(), body.to_vec()].concat()
}

/// Status and headers.
type Head = (u16, Vec<(String, String)>);

fn head(reader: &mut impl BufRead) -> std::io::Result<Head> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok((status, headers)) };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

fn chunk(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let length = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk)?;
    chunk.truncate(length);
    holds_no_secret(&chunk);
    Ok(chunk)
}

/// Whether something has come that wasn't read yet.
pub fn has_come(connection: &dyn Connection) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(connection.as_fd(), PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).expect("a look at a connection") > 0
}

/// Reads one answer, whole.
pub fn answer(reader: &mut impl BufRead) -> std::io::Result<Answer> {
    let (status, headers) = head(reader)?;
    let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut body = Vec::new();
    if value("transfer-encoding").is_some() {
        loop {
            let chunk = chunk(reader)?;
            if chunk.is_empty() {
                break;
            }
            body.extend(chunk);
        }
    } else if let Some(length) = value("content-length").and_then(|length| length.parse().ok()) {
        // To HEAD there comes less.
        reader.take(length).read_to_end(&mut body)?;
    }
    holds_no_secret(&body);
    Ok(Answer { status, headers, body })
}
