//! A dashboard from its start to its end: the browser that it opens, what it leaves to be seen, a mount that goes and comes back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::Cases;
use crate::fixture::{ALICE, Mount, PAYMENTS, User, run, wait_for};
use crate::http::{Dashboard, Session, command};

pub const CASES: Cases = &[
    ("a_browser_is_led_in_by_a_private_file", a_browser_is_led_in_by_a_private_file),
    ("a_file_that_nobody_used_goes_at_the_end", a_file_that_nobody_used_goes_at_the_end),
    ("a_desktop_opens_it_where_there_is_a_screen", a_desktop_opens_it_where_there_is_a_screen),
    ("a_browser_that_cant_be_started_is_said", a_browser_that_cant_be_started_is_said),
    ("nothing_of_it_is_to_be_seen", nothing_of_it_is_to_be_seen),
    ("a_signal_ends_it_and_its_streams", a_signal_ends_it_and_its_streams),
    ("the_mount_goes_and_comes_back", the_mount_goes_and_comes_back),
    ("both_programs_have_it", both_programs_have_it),
];

const ME: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);

/// A directory of the user's alone, as a session has it.
fn runtime(mount: &Mount) -> PathBuf {
    let place = mount.home().join("run");
    fs::create_dir(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(ALICE), Some(ALICE)).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    place
}

/// A browser that writes down what it was started with.
fn browser(runtime: &Path) -> PathBuf {
    let program = runtime.join("browser");
    let script = "#!/bin/sh\ntr '\\0' ' ' </proc/$$/cmdline >\"$0.line\"; cat /proc/$$/environ >\"$0.environment\"\n\
                  stat -c %a \"$1\" >\"$0.mode\"; cat \"$1\" >\"$0.new\"; mv \"$0.new\" \"$0.page\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn opening(mount: &Mount, runtime: &Path, browser: &Path) -> Command {
    let mut command = ME.command(crate::dt().to_str().unwrap());
    command.arg("dashboard").arg(mount.root()).env("XDG_RUNTIME_DIR", runtime).env("BROWSER", browser);
    command
}

/// The files that lead a browser in.
fn redirects(runtime: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(runtime).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == "html")).collect()
}

fn a_browser_is_led_in_by_a_private_file() {
    let mount = Mount::new();
    let runtime = runtime(&mount);
    let browser = browser(&runtime);
    let dashboard = Dashboard::of(&mount, opening(&mount, &runtime, &browser));
    let page = browser.with_extension("page");
    wait_for("the browser", || page.exists());
    let read = |ending: &str| String::from_utf8_lossy(&fs::read(browser.with_extension(ending)).unwrap()).into_owned();
    assert!(read("page").contains(&format!("0; url={}\"", dashboard.link)), "{}", read("page"));
    assert_eq!(read("mode").trim(), "600");
    assert!(!read("line").contains(dashboard.token()) && !read("environment").contains(dashboard.token()));
    assert_eq!(redirects(&runtime).len(), 1);
    dashboard.log_in().get("/api/about").is_good();
    assert!(redirects(&runtime).is_empty());
}

fn a_file_that_nobody_used_goes_at_the_end() {
    let mount = Mount::new();
    let runtime = runtime(&mount);
    let browser = browser(&runtime);
    let mut dashboard = Dashboard::of(&mount, opening(&mount, &runtime, &browser));
    let page = browser.with_extension("page");
    wait_for("the browser", || page.exists());
    assert_eq!(redirects(&runtime).len(), 1);
    assert!(dashboard.end("TERM").success());
    assert!(redirects(&runtime).is_empty());
}

fn a_desktop_opens_it_where_there_is_a_screen() {
    let mount = Mount::new();
    let runtime = runtime(&mount);
    let opener = runtime.join("xdg-open");
    fs::rename(browser(&runtime), &opener).unwrap();
    let path = format!("{}:{}", runtime.display(), std::env::var("PATH").unwrap());
    let start = |screen: Option<&str>, more: &[&str]| {
        let mut command = opening(&mount, &runtime, Path::new(""));
        command.env("PATH", &path).env_remove("WAYLAND_DISPLAY").env_remove("DISPLAY").args(more);
        command.envs(screen.map(|screen| ("DISPLAY", screen)));
        Dashboard::of(&mount, command)
    };
    let page = opener.with_extension("page");
    for (screen, more) in [(None, &[][..]), (Some(":0"), &["--no-open"])] {
        let mut dashboard = start(screen, more);
        // What it would have started, it has started before it answers.
        dashboard.log_in().get("/api/about").is_good();
        assert!(dashboard.end("TERM").success() && !page.exists() && redirects(&runtime).is_empty());
    }
    let dashboard = start(Some(":0"), &[]);
    wait_for("the browser", || page.exists());
    assert!(fs::read_to_string(&page).unwrap().contains(&dashboard.link));
}

fn a_browser_that_cant_be_started_is_said() {
    let mount = Mount::new();
    let runtime = runtime(&mount);
    let dashboard = Dashboard::of(&mount, opening(&mount, &runtime, Path::new("/nonexistent/browser")));
    wait_for("its word", || dashboard.logged().contains("can't open a browser"));
    assert!(redirects(&runtime).is_empty());
    dashboard.log_in().get("/api/about").is_good();
}

fn nothing_of_it_is_to_be_seen() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let secret = "planted-3f9a77c1";
    let body = json!({ "environments": ["dev"], "tree": "secrets", "key": "a", "create": true, "value": secret });
    session.post("/api/put", &body).is_good();
    session.post("/api/put", &json!({ "value": secret })).is_refused(400, "malformed");
    let process = PathBuf::from(format!("/proc/{}", dashboard.pid()));
    let seen = [fs::read(process.join("cmdline")).unwrap(), fs::read(process.join("environ")).unwrap()].concat();
    let seen = String::from_utf8_lossy(&seen).into_owned() + &dashboard.logged();
    for word in [dashboard.token(), &session.session, secret] {
        assert!(!seen.contains(word), "{seen}");
    }
    assert_eq!(dashboard.logged().lines().count(), 1, "{}", dashboard.logged());
    // Its user's other programs can't attach to it, and it leaves no core.
    assert_eq!(fs::metadata(process.join("mem")).unwrap().uid(), 0);
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().rev().nth(1), Some("0"), "{core}");
}

fn a_signal_ends_it_and_its_streams() {
    let mount = Mount::new();
    for signal in ["INT", "TERM", "HUP"] {
        let mut dashboard = Dashboard::start(&mount, &ME);
        let mut stream = dashboard.log_in().stream("/api/events");
        assert_eq!(stream.next().unwrap()["kind"], "ready");
        assert!(dashboard.end(signal).success(), "{signal}");
        while let Some(line) = stream.next() {
            assert_eq!(line["kind"], "alive");
        }
    }
}

fn the_mount_goes_and_comes_back() {
    let mut mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    session.post("/api/put", &Session::making("made", "value")).is_good();
    assert!(mount.end("TERM").success());
    session.get("/api/about").is_refused(503, "unavailable");
    session.post("/api/put", &Session::making("other", "value")).is_refused(503, "unavailable");
    assert_eq!(dashboard.request("GET / HTTP/1.1", &dashboard.of_page(), b"").status, 200);
    mount.start();
    session.has("made", Some("value"));
    session.has("other", None);
    // Killed, it leaves a mount that nobody answers.
    mount.end("KILL");
    session.get("/api/about").is_refused(503, "unavailable");
    mount.start();
    session.has("made", Some("value"));
}

fn both_programs_have_it() {
    let mount = Mount::new();
    let mut keyfs = ME.command(crate::accounts::home("bin").join("keyfs").to_str().unwrap());
    keyfs.args(["dashboard", "--no-open"]).arg(mount.root());
    Dashboard::of(&mount, keyfs).log_in().get("/api/about").is_good();
    let help = |program: &str| {
        let program = crate::accounts::home("bin").join(program);
        run(Command::new(program).args(["dashboard", "--help"]))
    };
    let (one, other) = (help("dt"), help("keyfs"));
    assert_eq!(one.replace("dt dashboard", "keyfs dashboard"), other);
    assert!(!one.contains("--as "), "{one}");
    let pages = mount.home().join("pages");
    run(Command::new(crate::dt()).arg("man").arg(&pages));
    assert!(fs::read_to_string(pages.join("dt-dashboard.1")).unwrap().contains("no\\-open"));
    let missing = command(&mount, &ME, &["--bogus"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&missing.stderr).ends_with("`dt dashboard --help` shows the usage\n"),
        "{missing:?}"
    );
}
