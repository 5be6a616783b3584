//! tar: from the mount into an archive and back, by those who may.

use std::process::Command;

use crate::copies::across;
use crate::fixture::{ALICE, Mount, PAYMENTS, ROOT, User, run};
use crate::service::said;
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("tar", "tar"), ("gzip", "gzip"), ("setfacl", "acl")];

pub const CASES: &[Case] =
    &[("in_and_out", in_and_out), ("an_archive_has_what_its_groups_read", an_archive_has_what_its_groups_read)];

fn in_and_out() {
    across(
        r#"
make(f"{outside}/from")
expected = shown(f"{outside}/from")
ALL = "--acls --xattrs --xattrs-include=user.*"
def unpacked(label, command, top):
    expect(label, (0, ""), sh, command)
    found = [(name, who, time // 10**9, *rest) for name, who, time, *rest in shown(top)]
    wanted = [(name, who, time // 10**9, *rest) for name, who, time, *rest in expected]
    expect(f"{label}: the same", True, lambda: found == wanted)
unpacked("in", f"mkdir in && tar -C {outside}/from {ALL} -c . | tar -C in {ALL} -px", "in")
unpacked("kept in the mount", f"tar -C in {ALL} -czf in.tar.gz . && mkdir within && tar -C within {ALL} -pxzf in.tar.gz", "within")
unpacked("out", f"tar -C within {ALL} -cf {outside}/out.tar . && mkdir {outside}/out && tar -C {outside}/out {ALL} -pxf {outside}/out.tar", f"{outside}/out")
show("listed", sh, f"tar -tf {outside}/out.tar | sort")
show("compared", sh, f"tar -C within -df {outside}/out.tar")
put("within/none", b"longer now")
show("a difference", lambda: sh(f"tar -C within -df {outside}/out.tar | sort")[1])
unpacked("over it", f"tar -C within {ALL} -pxf {outside}/out.tar", "within")
show("added", sh, f"tar -rf {outside}/out.tar in.tar.gz && tar -tf {outside}/out.tar | grep -c .")
expect("appended in the mount", (0, ""), sh, f"cp {outside}/out.tar again.tar && tar -C {outside} -rf again.tar from/none && tar -tf again.tar >/dev/null")
"#,
    );
}

fn an_archive_has_what_its_groups_read() {
    let mount = Mount::new();
    mount.put("prod/secrets/password", "s3cret");
    mount.own("prod/secrets/password", 0, PAYMENTS, 0o640);
    let archive = |user: User<'_>| {
        let mut command = user.command("tar");
        command
            .env("LC_ALL", "C")
            .arg("-C")
            .arg(mount.path("prod/secrets"))
            .args(["-c", "password"])
            .output()
            .expect("tar")
    };
    let whole = archive(User(ALICE, ALICE, &[PAYMENTS]));
    assert!(whole.status.success());
    assert!(String::from_utf8_lossy(&whole.stdout).contains("s3cret"));
    let refused = archive(ROOT);
    assert!(!refused.status.success() && said(&refused).contains("password: Cannot open: Permission denied"));
    assert!(!said(&refused).contains("s3cret"));
    // Unpacked by a member, it is that member's.
    let file = mount.home().join("archive.tar");
    std::fs::write(&file, whole.stdout).unwrap();
    mount.mkdir("prod/secrets/unpacked");
    mount.own("prod/secrets/unpacked", 0, PAYMENTS, 0o2770);
    let place = mount.path("prod/secrets/unpacked");
    run(User(ALICE, ALICE, &[PAYMENTS]).command("tar").arg("-C").arg(&place).arg("-xf").arg(file));
    let status = run(Command::new("stat").args(["-c", "%a %u %g"]).arg(place.join("password")));
    assert_eq!(status, format!("640 {ALICE} {PAYMENTS}\n"));
    User(ALICE, ALICE, &[PAYMENTS]).reads(&place.join("password"), "s3cret");
    ROOT.is_refused(&place.join("password"), "Permission denied");
}
