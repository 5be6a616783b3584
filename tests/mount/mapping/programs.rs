//! execve(2): programs and scripts that are values.

use std::process::Command;

use super::MAPS;
use crate::alike::in_keyfs;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User, run};

/// A small program of the machine that says something, and what it says.
fn small_program() -> (std::path::PathBuf, String) {
    let path = run(Command::new("sh").args(["-c", "readlink -f \"$(command -v setpriv)\""]));
    (path.trim().into(), run(Command::new("setpriv").arg("--version")))
}

pub fn a_program_held_as_a_value_runs() {
    let mount = Mount::with(&["--value-limit", "16777216"]);
    let (program, says) = small_program();
    mount.mkdir("dev/variables/bin");
    run(Command::new("cp").arg(&program).arg(mount.path("dev/variables/bin/setpriv")));
    let path = mount.path("dev/variables/bin/setpriv");
    let everybody = [ROOT, User(ALICE, ALICE, &[]), User(BOB, BOB, &[OPS])];
    let started = |user: User<'_>| user.command(path.to_str().unwrap()).arg("--version").output().unwrap();
    mount.own("dev/variables/bin/setpriv", 0, 0, 0o644);
    for user in everybody {
        let refused = started(user);
        assert!(
            !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("Permission denied"),
            "{refused:?}"
        );
    }
    mount.own("dev/variables/bin/setpriv", 0, 0, 0o755);
    for user in everybody {
        for _ in 0..3 {
            let ran = started(user);
            assert_eq!(String::from_utf8_lossy(&ran.stdout), says, "{ran:?}");
        }
    }
    // By the name alone, from a search path that leads here.
    let found = Command::new("/bin/sh").args(["-c", "setpriv --version"]).env("PATH", path.parent().unwrap()).output();
    assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), says);
    // A script is read by its interpreter, which has to be let read it.
    mount.put("dev/variables/bin/script", format!("#!{} --version\n", path.display()));
    mount.own("dev/variables/bin/script", 0, 0, 0o755);
    let ran = User(BOB, BOB, &[]).command(mount.path("dev/variables/bin/script").to_str().unwrap()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), says, "{ran:?}");
    // Replaced, the new one runs.
    mount.put("dev/variables/bin/new", "#!/bin/sh\necho replaced\n");
    mount.own("dev/variables/bin/new", 0, 0, 0o755);
    std::fs::rename(mount.path("dev/variables/bin/new"), &path).unwrap();
    assert_eq!(started(User(ALICE, ALICE, &[])).stdout, b"replaced\n");
    // Nobody becomes somebody else by it.
    run(Command::new("cp").arg("/usr/bin/id").arg(&path));
    mount.own("dev/variables/bin/setpriv", 0, 0, 0o6755);
    let told = User(BOB, BOB, &[]).command(path.to_str().unwrap()).arg("-u").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), BOB.to_string(), "{told:?}");
}

pub fn a_program_held_as_a_secret_runs_for_its_group() {
    let mount = Mount::with(&["--value-limit", "16777216"]);
    let (program, says) = small_program();
    mount.mkdir("prod/secrets/bin");
    run(Command::new("cp").arg(&program).arg(mount.path("prod/secrets/bin/setpriv")));
    mount.own("prod/secrets/bin/setpriv", 0, PAYMENTS, 0o750);
    let path = mount.path("prod/secrets/bin/setpriv");
    let started = |user: User<'_>| user.command(path.to_str().unwrap()).arg("--version").output().unwrap();
    for user in [User(ALICE, ALICE, &[PAYMENTS]), User(0, 0, &[PAYMENTS]), User(BOB, PAYMENTS, &[])] {
        let ran = started(user);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), says, "{ran:?}");
        // Who runs it beside them does not come by what they have in memory.
        for user in [ROOT, User(ALICE, ALICE, &[]), User(BOB, BOB, &[OPS])] {
            let refused = started(user);
            assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
            assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"), "{refused:?}");
        }
    }
    // Execute without read is enough elsewhere; a secret is decrypted for who may read it.
    mount.own("prod/secrets/bin/setpriv", 0, PAYMENTS, 0o710);
    assert!(!started(User(ALICE, ALICE, &[PAYMENTS])).status.success());
    // Nothing of it is left once nobody runs it.
    mount.own("prod/secrets/bin/setpriv", 0, PAYMENTS, 0o750);
    assert!(started(User(ALICE, ALICE, &[PAYMENTS])).status.success());
    let text = format!(
        r#"{MAPS}
os.setgroups([PAYMENTS])
def cached():
    with open("setpriv", "rb", buffering=0) as file:
        return Map(file.fileno(), size("setpriv")).cached()
wait_for("it to go", lambda: cached() == 0)
"#
    );
    in_keyfs(&mount, "prod/secrets/bin", &text);
}
