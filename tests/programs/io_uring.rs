//! Requests that io_uring's workers make: a worker keeps the groups that its process had when it was begun, and those are
//! nobody's.

use std::process::Command;

use crate::fixture::{Mount, OPS, PAYMENTS, ROOT, run};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("cc", "gcc")];

pub const CASES: &[Case] = &[("workers_lend_nobody_their_groups", workers_lend_nobody_their_groups)];

/// Has workers begun while it is in a group, leaves the group, and has them open and read for it. Prints what came of each;
/// `no io_uring` where the kernel or its settings have none.
const PROGRAM: &str = include_str!("io_uring.c");

fn workers_lend_nobody_their_groups() {
    let mount = Mount::new();
    mount.put("prod/secrets/token", "s3cret");
    mount.own("prod/secrets/token", 0, PAYMENTS, 0o640);
    mount.put("prod/variables/limit", "five");
    mount.own("prod/variables/limit", 0, OPS, 0o640);
    let source = mount.home().join("io_uring.c");
    let program = mount.home().join("io_uring");
    std::fs::write(&source, PROGRAM).unwrap();
    run(Command::new("cc").args(["-Wall", "-O1", "-o"]).arg(&program).arg(&source));
    let ask = |below: &str| {
        let path = mount.path(below);
        let arguments = [path.to_str().unwrap(), &PAYMENTS.to_string()].map(str::to_owned);
        run(ROOT.command(program.to_str().unwrap()).args(arguments))
    };
    let secret = ask("prod/secrets/token");
    if secret.contains("no io_uring") {
        // Where there is none nothing can be asked of it; the project's check wants it asked.
        eprintln!("this kernel has no io_uring to try: {secret}");
        assert!(std::env::var_os("KEYFS_REQUIRE_MOUNT").is_none(), "KEYFS_REQUIRE_MOUNT is set");
        return;
    }
    let expected = "in the group: open ok\n\
                    left: read Permission denied, open Permission denied\n\
                    by a worker: read Permission denied, open Permission denied\n\
                    by itself: read Permission denied\n";
    assert_eq!(secret, expected);
    // What takes no supplementary group is read by a worker as by anybody, and once, however much room there is for it.
    let variable = ask("prod/variables/limit");
    assert!(variable.ends_with("by a worker: read five, open ok\nby itself: read five\n"), "{variable}");
}
