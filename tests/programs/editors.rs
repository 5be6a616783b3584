//! Editors: each stores in its own way, beside and renamed or over what is there, with a swap file and a backup or without.

use std::process::Command;

use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, BOB, Mount, PAYMENTS, ROOT, User, run};
use crate::service::said;
use crate::{Case, Tool};

pub const TOOLS: &[Tool] =
    &[("vim.tiny", "vim-tiny"), ("sed", "sed"), ("perl", "perl"), ("ed", "ed"), ("setfacl", "acl")];

pub const CASES: &[Case] = &[
    ("as_anywhere", as_anywhere),
    ("by_a_member_of_the_group", by_a_member_of_the_group),
    ("a_swap_file_beside", a_swap_file_beside),
    ("the_history_goes_on", the_history_goes_on),
    ("a_secret_stays_as_closed_as_it_was", a_secret_stays_as_closed_as_it_was),
    ("who_may_not_read_edits_nothing", who_may_not_read_edits_nothing),
];

/// Ways to replace the word `old` by `new` in the file `k`.
const WAYS: &str = r#"
VIM = "vim.tiny -u NONE -i NONE -N -es"
WAYS = {
    "vim": f"{VIM} '+%s/old/new/' +wq k",
    "vim, without a backup meanwhile": f"{VIM} '+set nowritebackup nobackup' '+%s/old/new/' +wq k",
    "vim, over what is there": f"{VIM} '+set backupcopy=yes' '+%s/old/new/' +wq k",
    "vim, renamed": f"{VIM} '+set backupcopy=no' '+%s/old/new/' +wq k",
    "vim, with a backup kept": f"{VIM} '+set backup backupcopy=auto' '+%s/old/new/' +wq k",
    "vim, twice": f"{VIM} '+%s/old/between/' +w '+%s/between/new/' +w! +q k",
    "vim, without a swap file": f"{VIM} -n '+%s/old/new/' +x k",
    "vim, forced to disk": f"{VIM} '+set fsync' '+%s/old/new/' +wq! k",
    "ex from its input": f"printf '%%s/old/new/\\nwq\\n' | {VIM} k",
    "sed": "sed -i s/old/new/ k",
    "sed with a backup": "sed -i.bak s/old/new/ k",
    "perl": "perl -pi -e s/old/new/ k",
    "perl with a backup": "perl -pi.bak -e s/old/new/ k",
    "ed": "printf '%%s/old/new/\\nw\\nq\\n' | ed -s k",
}
def acl():
    return sh("getfacl -cn k")[1]
"#;

fn as_anywhere() {
    alike(&format!(
        "{WAYS}{}",
        r#"
os.umask(0o027)
for name, way in WAYS.items():
    for prepare in ("chmod 600 k", "chmod 640 k", "chown 20001 k && chmod 660 k", "setfacl -m g:20103:r k"):
        sh("rm -f k*")
        put("k", b"an old value\nand more\n")
        expect("prepared", 0, lambda: sh(prepare)[0])
        number = os.stat("k").st_ino
        show(f"{name}, {prepare}", sh, way)
        expect("value", b"an new value\nand more\n", get, "k")
        show("permissions", permissions, "k")
        show("ACL", acl)
        show("the same file", lambda: os.stat("k").st_ino == number)
        show("left", names)
"#
    ));
}

fn by_a_member_of_the_group() {
    // Somebody who may write the file, but is not its owner.
    alike(&format!(
        "{WAYS}{}",
        r#"
os.umask(0o007)
def edited(way):
    os.umask(0o007)
    return sh(way)
for name, way in WAYS.items():
    sh("rm -f k*")
    put("k", b"an old value\n")
    os.chown("k", 0, PAYMENTS)
    os.chmod("k", 0o660)
    show(name, by, ALICE, [ALICE, PAYMENTS], edited, way)
    expect("value", b"an new value\n", by, ALICE, [ALICE, PAYMENTS], get, "k")
    show("permissions", permissions, "k")
    show("left", names)
# Where the directory lets nobody else make files there is no room for a swap file or a new one.
os.chmod(".", 0o755)
for name in "vim", "vim, over what is there", "vim, without a swap file", "sed", "perl", "ed":
    put("k", b"an old value\n")
    show(f"closed directory, {name}", lambda: by(ALICE, [ALICE, PAYMENTS], edited, WAYS[name])[0])
    show("value", by, ALICE, [PAYMENTS], get, "k")
    show("permissions", permissions, "k")
"#
    ));
}

fn a_swap_file_beside() {
    alike(
        r#"
VIM = "vim.tiny -u NONE -i NONE -N -es"
os.umask(0o027)
put("k", b"an old value\n")
os.chmod("k", 0o640)
expect("while it is edited", 0, lambda: sh(f"{VIM} k '+!ls -A > listed; stat -c \\%a .k.swp >> listed' +q")[0])
expect("beside it", b".k.swp\nk\nlisted\n640\n", get, "listed")
expect("gone", ["k", "listed"], names)
# An editor that is killed leaves it, and what was not stored is in it.
sh(f"{VIM} k '+%s/old/new/' +preserve '+!kill -9 $PPID'")
expect("left", [".k.swp", "k", "listed"], names)
expect("not stored", b"an old value\n", get, "k")
expect("recovered", 0, lambda: sh(f"{VIM} -r k +wq; exit 0")[0])
expect("stored", b"an new value\n", get, "k")
"#,
    );
}

fn the_history_goes_on() {
    let mount = Mount::new();
    for below in ["dev/variables/h", "dev/secrets/h"] {
        in_keyfs(
            &mount,
            below,
            &format!(
                "{WAYS}{}",
                r#"
version = lambda name="k": int(os.getxattr(name, "system.keyfs.version"))
history = os.getcwd().replace("/keys/", "/keys/.keyfs/history/")
for name, way in WAYS.items():
    put("k", b"an old value\n")
    before = version()
    outcome(os.unlink, "k.bak")
    expect(name, 0, lambda: sh(way)[0])
    expect("value", b"an new value\n", get, "k")
    expect("the present one", b"an new value\n", lambda: get(f"{history}/k/{version()}"))
    if os.path.exists("k.bak"):
        # The key was moved, and its versions went with it.
        expect("the one before", b"an old value\n", lambda: get(f"{history}/k.bak/{version('k.bak')}"))
    else:
        expect("a later version", True, lambda: version() > before)
        expect("the one before", b"an old value\n", get, f"{history}/k/{before}")
"#
            ),
        );
    }
}

/// A directory of the group, and a key in it that the group reads and writes.
fn shared() -> Mount {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/shared");
    mount.own("prod/secrets/shared", 0, PAYMENTS, 0o2770);
    mount.put("prod/secrets/shared/k", "an old value\n");
    mount.own("prod/secrets/shared/k", 0, PAYMENTS, 0o660);
    mount
}

fn a_secret_stays_as_closed_as_it_was() {
    let member = User(ALICE, ALICE, &[PAYMENTS]);
    for way in [
        "vim.tiny -u NONE -i NONE -N -es '+%s/old/new/' +wq k",
        "vim.tiny -u NONE -i NONE -N -es '+set backupcopy=no' '+%s/old/new/' +wq k",
        "sed -i s/old/new/ k",
        "perl -pi -e s/old/new/ k",
    ] {
        let mount = shared();
        let path = mount.path("prod/secrets/shared/k");
        let place = mount.path("prod/secrets/shared");
        let edited = member.sh(&format!("umask 022; cd {} && {way}", place.display()));
        assert!(edited.status.success(), "{way}: {}", said(&edited));
        User(BOB, BOB, &[PAYMENTS]).reads(&path, "an new value\n");
        ROOT.is_refused(&path, "Permission denied");
        let status = run(Command::new("stat").args(["-c", "%a %g"]).arg(&path));
        assert_eq!(status, format!("660 {PAYMENTS}\n"), "{way}");
        let names = run(Command::new("ls").arg("-A").arg(place));
        assert_eq!(names, "k\n", "{way}");
    }
}

fn who_may_not_read_edits_nothing() {
    let mount = shared();
    let place = mount.path("prod/secrets/shared");
    for way in
        ["sed -i s/old/new/ k", "perl -pi -e s/old/new/ k", "vim.tiny -u NONE -i NONE -N -es '+%s/old/new/' +wq k"]
    {
        // Root passes the modes, and not the gate.
        ROOT.sh(&format!("cd {} && {way}", place.display()));
        User(ALICE, ALICE, &[PAYMENTS]).reads(&place.join("k"), "an old value\n");
    }
}
