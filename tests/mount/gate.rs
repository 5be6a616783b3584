//! The group gate for secrets.

use crate::Case;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User};

pub const CASES: &[Case] = &[("the_main_job", the_main_job)];

fn the_main_job() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/password", "s3cret\n");
    mount.own("prod/secrets/db/password", 0, PAYMENTS, 0o640);
    let key = mount.path("prod/secrets/db/password");
    User(ALICE, ALICE, &[OPS, PAYMENTS]).reads(&key, "s3cret\n");
    User(ALICE, PAYMENTS, &[]).reads(&key, "s3cret\n");
    User(0, 0, &[PAYMENTS]).reads(&key, "s3cret\n");
    ROOT.is_refused(&key, "Permission denied");
    User(BOB, BOB, &[OPS]).is_refused(&key, "Permission denied");
}
