//! A dashboard for a team: each request with the rights of the user whom the proxy names, in a process of that user's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{ALICE, BOB, Mount, PAYMENTS, ROOT, User, run, wait_for};
use crate::http::{Dashboard, Session, USER_HEADER, command, written};

pub const CASES: Cases = &[
    ("each_has_their_own_rights", each_has_their_own_rights),
    ("a_helper_is_its_user_and_no_more", a_helper_is_its_user_and_no_more),
    ("who_isnt_named_well_gets_nothing", who_isnt_named_well_gets_nothing),
    ("root_is_let_in_where_that_is_said", root_is_let_in_where_that_is_said),
    ("a_session_is_its_users", a_session_is_its_users),
    ("a_dead_helper_is_started_anew", a_dead_helper_is_started_anew),
    ("one_users_bodies_leave_room_for_others", one_users_bodies_leave_room_for_others),
    ("helpers_end_with_the_dashboard", helpers_end_with_the_dashboard),
    ("a_lost_group_counts_no_longer", a_lost_group_counts_no_longer),
    ("a_port_takes_the_proxys_address", a_port_takes_the_proxys_address),
    ("without_the_right_it_does_not_start", without_the_right_it_does_not_start),
];

/// One that a proxy reaches by a socket.
pub fn team(mount: &Mount, arguments: &[&str]) -> Dashboard {
    let socket = mount.home().join("team.socket");
    let all = ["--user-header", USER_HEADER, "--host", "keys.test", "--socket", socket.to_str().unwrap()];
    let mut command = ROOT.command(crate::dt().to_str().unwrap());
    command
        .arg("dashboard")
        .args(all)
        .args(arguments)
        .env("KEYFS_MOUNT", mount.root())
        .env("PLANTED", "in-the-environment");
    let mut dashboard = Dashboard::of(mount, command);
    assert_eq!(dashboard.link, "https://keys.test/");
    dashboard.socket = Some(socket);
    dashboard
}

/// A secret for payments alone, and a variable that anybody reads and only alice changes.
pub fn fill(mount: &Mount) {
    mount.put("dev/secrets/key", "s3cret-of-payments");
    mount.own("dev/secrets/key", ALICE, PAYMENTS, 0o640);
    mount.put("dev/variables/key", "value");
    mount.own("dev/variables/key", ALICE, ALICE, 0o644);
}

const SECRET: &str = "/api/entry?environment=dev&tree=secrets&key=key";

/// The request that changes the variable.
pub fn changing(value: &str) -> Value {
    json!({ "environments": ["dev"], "tree": "variables", "key": "key", "create": false, "value": value })
}

/// The processes that work for users of a dashboard, by their users' ids.
fn helpers(dashboard: &Dashboard) -> Vec<(u32, u32)> {
    let parent = format!("PPid:\t{}", dashboard.pid());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let helper = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let uid = status.lines().find(|line| line.starts_with("Uid:"))?.split('\t').nth(1)?.parse().ok()?;
        let is_ours = status.lines().any(|line| line == parent) && !status.contains("State:\tZ");
        is_ours.then_some((uid, pid))
    };
    let mut found: Vec<_> = processes.filter_map(helper).collect();
    found.sort_unstable();
    found
}

fn each_has_their_own_rights() {
    let mount = Mount::new();
    fill(&mount);
    let dashboard = team(&mount, &[]);
    let (alice, bob) = (dashboard.log_in_as("alice"), dashboard.log_in_as("bob"));
    for (session, name, groups, reads) in [(&alice, "alice", "payments", true), (&bob, "bob", "analysts", false)] {
        let about = session.get("/api/about").is_good();
        assert_eq!((&about["user"]["name"], &about["team"]), (&json!(name), &json!(true)));
        assert!(about["user"]["groups"].as_array().unwrap().contains(&json!(groups)), "{about}");
        let secret = session.get(SECRET).is_good();
        assert_eq!(secret["why"]["read"]["allowed"], reads, "{secret}");
        assert!(!secret.to_string().contains("s3cret"), "{secret}");
    }
    bob.post("/api/put", &changing("bob's")).is_refused(403, "denied");
    alice.has("key", Some("value"));
    alice.post("/api/put", &changing("alice's")).is_good();
    bob.has("key", Some("alice's"));
    bob.post("/api/put", &Session::making("bobs", "x")).is_good();
    let owner = fs::metadata(mount.path("dev/variables/bobs")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), BOB);
    // What somebody else changes is told as it happens.
    let mut stream = alice.stream("/api/events");
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    bob.post("/api/put", &Session::making("told", "x")).is_good();
    let change = std::iter::from_fn(|| stream.next()).find(|line| line["kind"] == "change").unwrap();
    assert_eq!((&change["key"], &change["by"]), (&json!("told"), &json!("bob")), "{change}");
    assert_eq!(helpers(&dashboard).iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [ALICE, BOB]);
}

fn a_helper_is_its_user_and_no_more() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    dashboard.log_in_as("alice").get("/api/about").is_good();
    let [(uid, pid)] = helpers(&dashboard)[..] else { panic!("one helper") };
    assert_eq!(uid, ALICE);
    let process = PathBuf::from(format!("/proc/{pid}"));
    let status = fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), vec![ALICE.to_string(); 4]);
    assert_eq!(field("Gid:"), vec![ALICE.to_string(); 4]);
    assert_eq!(field("Groups:"), [ALICE.to_string(), PAYMENTS.to_string()]);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(process.join("mem")).unwrap()), 0);
    // Nothing of the dashboard's environment, and no token on its command line.
    assert_eq!(fs::read(process.join("environ")).unwrap(), b"");
    let line = fs::read_to_string(process.join("cmdline")).unwrap();
    assert!(line.contains("dashboard\0--as\0") && !line.contains("PLANTED"), "{line}");
    // Nobody becomes somebody by the same word.
    let other = User(BOB, BOB, &[]);
    let become_alice = ["--as", &format!("{ALICE}:{ALICE}:{PAYMENTS}")];
    let output = command(&mount, &other, &become_alice).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't become the user"), "{output:?}");
}

/// A request as the proxy hands it on, with these names.
fn named(dashboard: &Dashboard, line: &str, users: &[&str], body: &[u8]) -> crate::http::Answer {
    let mut headers = dashboard.of_page();
    headers.extend(users.iter().map(|user| (USER_HEADER, *user)));
    dashboard.request(line, &headers, body)
}

fn who_isnt_named_well_gets_nothing() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    let open = |users: &[&str]| named(&dashboard, "POST /api/session HTTP/1.1", users, b"{}");
    for line in ["GET / HTTP/1.1", "GET /api/about HTTP/1.1"] {
        named(&dashboard, line, &[], b"").is_refused(403, "denied");
        named(&dashboard, line, &[""], b"").is_refused(403, "denied");
        named(&dashboard, line, &["alice", "bob"], b"").is_refused(403, "denied");
    }
    open(&[]).is_refused(403, "denied");
    open(&["alice", "alice"]).is_refused(403, "denied");
    open(&["root"]).is_refused(403, "denied");
    for stranger in ["nobody-has-this", "0", &ALICE.to_string(), "../alice", "alice bob", "alice,bob", "alice\u{1b}[2J"]
    {
        let refused = open(&[stranger]);
        assert!([400, 403].contains(&refused.status), "{stranger}: {refused:?}");
    }
    assert!(helpers(&dashboard).is_empty());
    let logged = dashboard.logged();
    assert!(logged.contains("names no user") && logged.contains("'root' was refused"), "{logged}");
    assert!(!logged.contains('\u{1b}'), "{logged}");
    // The link's token is nothing here: the name is what counts.
    let body = json!({ "token": "x" }).to_string();
    named(&dashboard, "POST /api/session HTTP/1.1", &[], body.as_bytes()).is_refused(403, "denied");
    dashboard.log_in_as("alice").get("/api/about").is_good();
}

fn root_is_let_in_where_that_is_said() {
    let mount = Mount::new();
    let dashboard = team(&mount, &["--allow-root"]);
    let about = dashboard.log_in_as("root").get("/api/about").is_good();
    assert_eq!(about["user"]["uid"], 0);
    assert_eq!(dashboard.log_in_as("alice").get("/api/about").is_good()["user"]["uid"], ALICE);
}

fn a_session_is_its_users() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    let (alice, bob) = (dashboard.log_in_as("alice"), dashboard.log_in_as("bob"));
    let stolen = Session { dashboard: &dashboard, session: alice.session.clone(), user: Some("bob") };
    stolen.get("/api/about").is_refused(401, "unauthorized");
    stolen.post("/api/put", &Session::making("made", "x")).is_refused(401, "unauthorized");
    let without = Session { dashboard: &dashboard, session: String::new(), user: Some("bob") };
    without.get("/api/about").is_refused(401, "unauthorized");
    bob.has("made", None);
    alice.get("/api/about").is_good();
}

fn a_dead_helper_is_started_anew() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    let alice = dashboard.log_in_as("alice");
    alice.get("/api/about").is_good();
    let [(_, first)] = helpers(&dashboard)[..] else { panic!("one helper") };
    // Users may end what runs as them.
    run(User(ALICE, ALICE, &[]).command("kill").args(["-s", "KILL", &first.to_string()]));
    wait_for("its end", || helpers(&dashboard).is_empty());
    // A request that meets its end is refused, and the next one starts another.
    wait_for("an answer", || alice.get("/api/about").status == 200);
    let [(_, second)] = helpers(&dashboard)[..] else { panic!("one helper") };
    assert_ne!(first, second);
    // A stopped one holds up nobody else.
    run(User(ALICE, ALICE, &[]).command("kill").args(["-s", "STOP", &second.to_string()]));
    dashboard.log_in_as("bob").get("/api/about").is_good();
    run(User(ALICE, ALICE, &[]).command("kill").args(["-s", "CONT", &second.to_string()]));
    alice.get("/api/about").is_good();
}

fn one_users_bodies_leave_room_for_others() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    let (alice, bob) = (dashboard.log_in_as("alice"), dashboard.log_in_as("bob"));
    // As many as there are connections, each with a body that never comes.
    let body = Session::making("key", "x").to_string();
    let mut request = written("POST /api/put HTTP/1.1", &alice.headers(), body.as_bytes());
    request.truncate(request.len() - 1);
    let slow = |_| {
        let mut connection = dashboard.connect();
        let _ = connection.write_all(&request);
        connection
    };
    let held: Vec<_> = (0..256).map(slow).collect();
    bob.get("/api/about").is_good();
    let error = alice.get("/api/about").is_refused(503, "unavailable");
    assert!(error["message"].as_str().unwrap().contains("too much at once"), "{error}");
    drop(held);
    wait_for("alice's requests to be given up", || alice.get("/api/about").status == 200);
}

fn helpers_end_with_the_dashboard() {
    let mount = Mount::new();
    for signal in ["TERM", "KILL"] {
        let mut dashboard = team(&mount, &[]);
        let alice = dashboard.log_in_as("alice");
        let mut stream = alice.stream("/api/events");
        assert_eq!(stream.next().unwrap()["kind"], "ready");
        let [(_, pid)] = helpers(&dashboard)[..] else { panic!("one helper") };
        let status = dashboard.end(signal);
        assert_eq!(status.success(), signal == "TERM", "{status}");
        wait_for("the helper's end", || !PathBuf::from(format!("/proc/{pid}")).exists());
    }
    assert!(mount.home().join("team.socket").exists(), "a killed one leaves its socket");
    team(&mount, &[]).log_in_as("alice").get("/api/about").is_good();
}

/// The machine's groups for the tests (`accounts`): in a namespace of its own, which all of them share.
fn a_lost_group_counts_no_longer() {
    let mount = Mount::new();
    fill(&mount);
    let dashboard = team(&mount, &[]);
    let session = dashboard.log_in_as("rotate");
    let has_group = || {
        let about = session.get("/api/about").is_good();
        about["user"]["groups"].as_array().unwrap().contains(&json!("rotators"))
    };
    assert!(has_group());
    let mut stream = session.stream("/api/events");
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    let [(_, first)] = helpers(&dashboard)[..] else { panic!("one helper") };
    let groups = fs::read_to_string("/etc/group").unwrap();
    // As long as it was, and never cut: others look names up meanwhile.
    let without = groups.replace("rotators:x:20104:rotate", "rotators:x:20104:nobody");
    assert!(groups != without && groups.len() == without.len());
    write_over("/etc/group", &without);
    let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("the groups to be looked at", || !has_group());
        // What is sent under the lost group ends too, and its helper with it.
        while stream.next().is_some() {}
        wait_for("the first helper's end", || helpers(&dashboard).iter().all(|(_, pid)| *pid != first));
    }));
    write_over("/etc/group", &groups);
    assert!(lost.is_ok());
}

fn write_over(path: &str, text: &str) {
    let file = fs::File::options().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), 0).unwrap();
}

fn a_port_takes_the_proxys_address() {
    let mount = Mount::new();
    let team = |more: &[&str]| {
        let mut command = ROOT.command(crate::dt().to_str().unwrap());
        command.args(["dashboard", "--user-header", USER_HEADER, "--listen", "127.0.0.1:0"]).args(more);
        command.env("KEYFS_MOUNT", mount.root());
        command
    };
    let refused = |more: &[&str], word: &str| {
        let output = team(more).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{output:?}");
        assert!(said.contains(word), "{said}");
    };
    refused(&[], "--proxy");
    for proxy in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"] {
        refused(&["--proxy", proxy], "--socket");
    }
    // Another address than the proxy's.
    let mut dashboard = Dashboard::of(&mount, team(&["--proxy", "192.0.2.7"]));
    dashboard.link = dashboard.link.replace("https", "http");
    named(&dashboard, "GET / HTTP/1.1", &["alice"], b"").is_refused(403, "denied");
    named(&dashboard, "POST /api/session HTTP/1.1", &["alice"], b"{}").is_refused(403, "denied");
    assert!(helpers(&dashboard).is_empty());
}

fn without_the_right_it_does_not_start() {
    let mount = Mount::new();
    let socket = mount.home().join("x");
    let mut command = User(ALICE, ALICE, &[]).command(crate::dt().to_str().unwrap());
    command.args(["dashboard", "--user-header", USER_HEADER, "--host", "a.test", "--socket", "/tmp/keyfs-never"]);
    let output = command.env("KEYFS_MOUNT", mount.root()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(said.contains("as root") && said.contains("CAP_SETUID") && said.lines().count() == 1, "{said}");
    // The two capabilities are enough.
    let mut capable = Command::new("setpriv");
    capable.args([&format!("--reuid={ALICE}"), &format!("--regid={ALICE}"), "--clear-groups"]);
    capable.args([
        "--inh-caps=-all,+setuid,+setgid",
        "--ambient-caps=-all,+setuid,+setgid",
        "--bounding-set=-all,+setuid,+setgid",
    ]);
    fs::create_dir(&socket).unwrap();
    std::os::unix::fs::chown(&socket, Some(ALICE), Some(ALICE)).unwrap();
    let path = socket.join("socket");
    capable.arg("--").arg(crate::dt()).args(["dashboard", "--user-header", USER_HEADER, "--host", "keys.test"]);
    capable.arg("--socket").arg(&path).env("KEYFS_MOUNT", mount.root());
    let mut dashboard = Dashboard::of(&mount, capable);
    dashboard.socket = Some(path);
    let about = dashboard.log_in_as("bob").get("/api/about").is_good();
    assert_eq!(about["user"]["uid"], BOB);
    let [(_, pid)] = helpers(&dashboard)[..] else { panic!("one helper") };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    named(&dashboard, "POST /api/session HTTP/1.1", &["root"], b"{}").is_refused(403, "denied");
}
