//! What somebody could do with a key and by which rule, and keys in the commands' languages.

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{Mount, PAYMENTS, ROOT, run};
use crate::http::Dashboard;
use crate::keys::IN_PAYMENTS;

pub const CASES: Cases = &[
    ("a_key_that_is_there", a_key_that_is_there),
    ("a_draft_of_permissions", a_draft_of_permissions),
    ("directories_above", directories_above),
    ("the_commands_languages", the_commands_languages),
    ("expressions_that_are_wrong", expressions_that_are_wrong),
];

fn a_key_that_is_there() {
    let mount = Mount::new();
    mount.put("dev/secrets/key", "x");
    mount.own("dev/secrets/key", 0, PAYMENTS, 0o640);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let why = |subject: Value| {
        session.post("/api/why", &json!({"environment": "dev", "tree": "secrets", "key": "key", "subject": subject}))
    };
    let yes = json!({"allowed": true, "rule": "group payments (owning group)"});
    let none = json!({"allowed": false, "rule": "needs group payments"});
    for (subject, read) in [
        (json!({"user": "alice"}), &yes),
        (json!({"user": "bob"}), &none),
        (json!({"user": "root"}), &none),
        (json!({"group": "payments"}), &yes),
        (json!({"group": "analysts"}), &none),
    ] {
        let answer = why(subject).is_good();
        assert_eq!((&answer["read"], &answer["above"]), (read, &json!([])));
    }
    assert_eq!(why(json!({"user": "root"})).is_good()["write"]["rule"], "user root (owner)");
    for subject in [json!({"user": "no such user"}), json!({"group": "no such group"})] {
        assert_eq!(why(subject).is_refused(422, "invalid")["field"], "subject");
    }
    why(json!({"user": "alice", "group": "payments"})).is_refused(400, "malformed");
    why(json!("alice")).is_refused(400, "malformed");
}

fn a_draft_of_permissions() {
    let mount = Mount::new();
    mount.put("dev/variables/key", "x");
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    for (tree, key) in [("variables", "key"), ("variables", "app/new"), ("secrets", "app/new")] {
        let allowed = |subject: Value| {
            let permissions = json!({"groups": [{"name": "analysts", "rights": "r"}, {"name": "ops", "rights": "rw"}]});
            let body =
                json!({"environment": "dev", "tree": tree, "key": key, "subject": subject, "permissions": permissions});
            let answer = session.post("/api/why", &body).is_good();
            (answer["read"]["allowed"] == true, answer["write"]["allowed"] == true)
        };
        assert_eq!(allowed(json!({"user": "bob"})), (true, false), "{tree} {key}");
        assert_eq!(allowed(json!({"group": "ops"})), (true, true), "{tree} {key}");
        assert_eq!(allowed(json!({"group": "payments"})), (false, false), "{tree} {key}");
        // Who makes a key has it.
        let own = if key == "key" { (false, false) } else { (true, true) };
        assert_eq!(allowed(json!({"user": "alice"})), own, "{tree} {key}");
    }
    // What is stored is what was said.
    let stored = json!({"environments": ["dev"], "tree": "secrets", "key": "app/new", "create": true, "value": "x",
        "permissions": {"groups": [{"name": "analysts", "rights": "r"}]}});
    session.post("/api/put", &stored).is_good();
    crate::keys::IN_ANALYSTS.reads(&mount.path("dev/secrets/app/new"), "x");
    let body = json!({"environment": "dev", "tree": "secrets", "key": "x", "subject": {"user": "bob"}, "permissions": {"others": "r"}});
    assert_eq!(session.post("/api/why", &body).is_refused(422, "invalid")["field"], "permissions");
}

fn directories_above() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/app/db");
    mount.put("dev/variables/app/db/host", "x");
    mount.own("dev/variables/app/db", 0, PAYMENTS, 0o750);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let above = |key: &str, user: &str| {
        let body = json!({"environment": "dev", "tree": "variables", "key": key, "subject": {"user": user}});
        session.post("/api/why", &body).is_good()["above"].clone()
    };
    assert_eq!(above("app/db/host", "alice"), json!([]));
    let closed = json!([{"path": "dev/variables/app/db", "why": "needs search for one of: payments"}]);
    assert_eq!(above("app/db/host", "bob"), closed);
    assert_eq!(above("app/db/new/key", "bob"), closed);
    mount.own("dev/variables/app", 20_001, 20_001, 0o700);
    let own = json!({"path": "dev/variables/app", "why": "needs search for one of: alice"});
    run(ROOT.command("setfacl").args(["-m", "g:alice:x"]).arg(mount.path("dev/variables/app")));
    assert_eq!(above("app/db/host", "bob")[0], own);
    // What the caller can't look at is said to be so.
    mount.own("dev/variables/app", 0, 0, 0o700);
    run(ROOT.command("setfacl").args(["-b"]).arg(mount.path("dev/variables/app")));
    let body = json!({"environment": "dev", "tree": "variables", "key": "app/db/host", "subject": {"user": "bob"}});
    session.post("/api/why", &body).is_refused(403, "denied");
}

fn the_commands_languages() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/app");
    for (key, value) in [("app/a", "1"), ("app/b", "333"), ("c", "22"), ("d", "")] {
        mount.put(&format!("dev/variables/{key}"), value);
    }
    mount.put("dev/variables/c", "23");
    mount.own("dev/variables/d", 20_002, PAYMENTS, 0o640);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let select = |filter: &str, sort: &str| {
        let body = json!({"environment": "dev", "tree": "variables", "filter": filter, "sort": sort});
        let keys = session.post("/api/select", &body).is_good()["keys"].clone();
        // As the command has it.
        let mut command = IN_PAYMENTS.command(crate::dt().to_str().unwrap());
        command.args(["kv", "ls", "--filter", filter]).arg(format!("--sort={sort}")).env("KEYFS_MOUNT", mount.root());
        let listed: Vec<_> = run(&mut command).lines().map(str::to_owned).collect();
        assert_eq!(keys, json!(listed), "{filter} {sort}");
        keys
    };
    assert_eq!(select("", ""), json!(["app/a", "app/b", "c", "d"]));
    assert_eq!(select("size > 0", "-size"), json!(["app/b", "c", "app/a"]));
    assert_eq!(select("version = 2 or owner = bob", "-key"), json!(["d", "c"]));
    assert_eq!(select("groups = payments", ""), json!(["d"]));
    assert_eq!(
        select("key starts_with APP and modified > 2020-01-01 and modified_by = root", "+size"),
        json!(["app/a", "app/b"])
    );
    assert_eq!(select("expires is_not_null", ""), json!([]));
}

fn expressions_that_are_wrong() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    for (filter, sort, field, column) in
        [("colour = red", "", "filter", 1), ("size > 1 and", "", "filter", 13), ("", "+key -colour", "sort", 7)]
    {
        let body = json!({"environment": "dev", "tree": "secrets", "filter": filter, "sort": sort});
        let error = session.post("/api/select", &body).is_refused(422, "invalid");
        assert_eq!((&error["field"], &error["column"]), (&json!(field), &json!(column)), "{error}");
    }
}
