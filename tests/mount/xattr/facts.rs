//! `system.keyfs.*`: what anybody is told of an entry, and sets nowhere.

use super::{ATTRIBUTES, attributes_in_keyfs};
use crate::alike::in_keyfs;
use crate::fixture::Mount;

const FACTS: &str = r#"
FACTS = ["version", "created", "modified", "modified_by", "groups", "why"]
"#;

pub(super) fn facts_are_for_everybody_and_for_reading() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), owned("k", ALICE, PAYMENTS, 0o600), os.mkdir("e"), owned("e", ALICE, PAYMENTS, 0o700)
handle = os.open("k", WRONLY)
for uid, groups in (0, [0]), (ALICE, [ALICE]), (BOB, [BOB]), (CAROL, [CAROL, OPS]):
    for name in FACTS:
        expect(f"{name} for {uid}", True, by, uid, groups, lambda: isinstance(fact("k", name), str))
        if name not in ("version", "modified_by"):
            expect(f"{name} of a directory for {uid}", True, by, uid, groups, lambda: isinstance(fact("e", name), str))
    for path in "k", "e":
        for name in FACTS + ["expires", "other", ""]:
            expect(f"{name} set by {uid}", "EPERM", by, uid, groups, setx, path, f"system.keyfs.{name}", b"1")
            expect(f"{name} removed by {uid}", "EPERM", by, uid, groups, os.removexattr, path, f"system.keyfs.{name}")
    expect(f"nothing listed for {uid}", [], by, uid, groups, listed, "k")
for name in "other", "", "Version", "version2", "value":
    expect(f"{name!r}", "ENODATA", fact, "k", name)
expect("no version of a directory", ("ENODATA", "ENODATA"), lambda: (outcome(fact, "e", "version"), outcome(fact, "e", "modified_by")))
expect("nor an expiry", "ENODATA", fact, "k", "expires")
expect("by descriptor", "1", fact, handle, "version")
# Of what nobody can look up nobody is told.
owned("e", ALICE, ALICE, 0o700), os.rename("k", "e/k")
for name in FACTS:
    expect(f"{name} in a closed directory", "EACCES", by, BOB, [BOB], fact, "e/k", name)
expect("in an open one", True, by, ALICE, [ALICE], lambda: "yes" in fact("e/k", "why"))
expect("the value is what it was", b"1", by, ALICE, [PAYMENTS], get, "e/k")
"#;
    attributes_in_keyfs(&mount, &format!("{FACTS}{text}"));
}

pub(super) fn facts_follow_what_happens() {
    let mut mount = Mount::new();
    let text = r#"
import datetime
def moment(said):
    if said[-1:] != "Z" or said[10] != "T":
        sys.exit(f"not RFC 3339 in UTC: {said}")
    return datetime.datetime.fromisoformat(said[:19] + "+00:00").timestamp()
put("k", b"1"), owned("k", 0, PAYMENTS, 0o660)
born, now = fact("k", "created"), time.time()
expect("created now", True, lambda: abs(moment(born) - now) < 3600)
expect("by root", ("1", "root"), lambda: (fact("k", "version"), fact("k", "modified_by")))
expect("as stat says", int(os.stat("k").st_mtime), lambda: int(moment(fact("k", "modified"))))
by(BOB, [PAYMENTS], put, "k", b"2")
expect("by somebody without a name", ("2", str(BOB)), lambda: (fact("k", "version"), fact("k", "modified_by")))
os.chmod("k", 0o600), setx("k", "user.note", b"1"), os.rename("k", "l")
expect("a change of it is none of its value", ("2", str(BOB)), lambda: (fact("l", "version"), fact("l", "modified_by")))
expect("created once", born, fact, "l", "created")
os.utime("l", (1, 1000000000))
expect("the time that it was given", "2001-09-09T01:46:40", lambda: fact("l", "modified")[:19])
# To whoever may read it.
os.chown("l", 0, 0), put("l", b"2")
expect("the same value is no version", "2", fact, "l", "version")
put("l", b"3")
expect("another one is", ("3", "root"), lambda: (fact("l", "version"), fact("l", "modified_by")))
handle = os.open("new", WRONLY | CREAT, 0o640)
expect("none before the first flush", ("ENODATA", "ENODATA"), lambda: (outcome(fact, "new", "version"), outcome(fact, "new", "modified_by")))
expect("but a time", True, lambda: moment(fact("new", "created")) <= time.time())
os.close(handle)
expect("the first one", "1", fact, "new", "version")
os.unlink("new"), put("new", b"1")
expect("a name goes on counting", "2", fact, "new", "version")
"#;
    attributes_in_keyfs(&mount, text);
    mount.restart();
    let again = r#"
expect("after the next mount", ("3", "root", "2"), lambda: (fact("l", "version"), fact("l", "modified_by"), fact("new", "version")))
"#;
    attributes_in_keyfs(&mount, again);
}

pub(super) fn why_says_what_opening_does() {
    let mount = Mount::new();
    let text = r#"
secret = "/secrets/" in os.getcwd()
put("k", b"1"), owned("k", ALICE, PAYMENTS, 0o600)
def told():
    lines = dict(line.split(": ", 1) for line in fact("k", "why").splitlines())
    return lines["read"].split(",")[0], lines["write"].split(",")[0]
def happens():
    return tuple("no" if outcome(opened, "k", flags) else "yes" for flags in (RDONLY, WRONLY))
entries = ["", "g:20112:r", "g:20112:rw,g:20113:w", "g:20112:rw,m::r", "g:20112:rw,m::w", "g:20111:rw,g:20112:-", "g::-,g:20113:r"]
if not secret:
    entries += ["u:20012:r", "u:20012:rw,g:20112:rw,o::r", "u:20012:-,o::rw", "u:20011:-,u:0:-,g:20112:w"]
for bits in 0o600, 0o640, 0o660, 0o620, 0o060, 0o460, 0o000, 0o666, 0o604:
    for entry in entries:
        run("setfacl", "-b", "k"), os.chmod("k", bits)
        if entry:
            run("setfacl", "-m", entry, "k")
        if stat.S_IMODE(os.stat("k").st_mode) & 0o077 and not stat.S_IMODE(os.stat("k").st_mode) & 0o070 and entry:
            # With an empty mask Linux asks others; the standard, and this answer, do not.
            continue
        for uid, groups in (0, [0]), (0, [0, OPS]), (0, [PAYMENTS]), (ALICE, [ALICE]), (ALICE, [ALICE, PAYMENTS]), (BOB, [BOB]), \
                (BOB, [BOB, OPS]), (CAROL, [ANALYSTS, PAYMENTS]), (CAROL, [CAROL, OPS, ANALYSTS]), (CAROL, [CAROL]):
            expect(f"{bits:o} {entry} for {uid} in {groups}", by(uid, groups, happens), by, uid, groups, told)
"#;
    attributes_in_keyfs(&mount, text);
}

pub(super) fn why_names_the_rule() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), owned("k", ALICE, PAYMENTS, 0o640)
run("setfacl", "-m", "g:20112:rw", "k")
def says(who, read, write):
    expect(f"{who}", f"read: {read}\nwrite: {write}\n", by, *who, fact, "k", "why")
"#;
    let secret = r#"
says((BOB, [BOB, PAYMENTS]), "yes, group 20111 (owning group)", "no, the process's groups are not granted write: needs group 20112")
says((BOB, [OPS]), "yes, group 20112 (named group entry)", "yes, group 20112 (named group entry)")
says((0, [0]), "no, needs one of groups 20111, 20112", "yes, root")
says((ALICE, [ALICE]), "no, needs one of groups 20111, 20112", "yes, user 20011 (owner)")
says((BOB, [BOB]), "no, needs one of groups 20111, 20112", "no, needs group 20112")
run("setfacl", "-b", "k"), os.chmod("k", 0o600)
says((ALICE, [ALICE, PAYMENTS]), "yes, user 20011 with group 20111 (owner in the owning group)", "yes, user 20011 (owner)")
says((BOB, [PAYMENTS]), "no, no group is granted read, only user 20011 as a member of group 20111", "no, the process's groups are not granted write: no group is granted write")
os.chmod("k", 0o000)
says((ALICE, [PAYMENTS]), "no, no group is granted read", "no, user 20011 is the owner, who is not granted write")
"#;
    let variable = r#"
says((BOB, [BOB, PAYMENTS]), "yes, group 20111 (owning group)", "no, the process's groups are not granted write: needs group 20112")
says((0, [0]), "yes, root", "yes, root")
says((ALICE, [ALICE]), "yes, user 20011 (owner)", "yes, user 20011 (owner)")
says((BOB, [BOB]), "no, needs one of groups 20111, 20112", "no, needs group 20112")
run("setfacl", "-m", "u:20012:r,o::r", "k")
says((BOB, [OPS]), "yes, user 20012 (named user entry)", "no, the entry or mask for the process's user does not grant write")
says((CAROL, [CAROL]), "yes, everybody (other)", "no, needs group 20112")
"#;
    in_keyfs(&mount, "dev/secrets/d", &format!("{ATTRIBUTES}{text}{secret}"));
    in_keyfs(&mount, "dev/variables/d", &format!("{ATTRIBUTES}{text}{variable}"));
}
