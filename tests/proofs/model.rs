//! Random operations of random callers on a real mount, compared after every step: with the machine's own file systems, and with
//! the model that the tree alone is compared with.

mod actor;
mod mount;
mod oracle;
#[path = "../model/reference.rs"]
mod reference;

use std::path::Path;

use crate::fixture::User;
use crate::harness::Case;
use crate::worker::{Role, Worker};

pub const CASES: &[Case] = &[
    ("differences_are_noticed", oracle::differences_are_noticed),
    ("it_is_as_on_linux", oracle::it_is_as_on_linux),
    ("it_is_as_the_model", mount::it_is_as_the_model),
];

/// What the processes of this family do.
pub const ROLES: &[Role] = &[("model-actor", actor::work)];

/// Root in no group and in one, and users in groups of each other.
const CALLERS: [(u32, u32, &[u32]); 6] = [
    (0, 0, &[]),
    (0, 0, &[20_020]),
    (20_001, 20_010, &[20_020]),
    (20_001, 20_030, &[]),
    (20_002, 20_020, &[]),
    (20_003, 20_030, &[20_010, 20_020]),
];

/// The longest value.
const LIMIT: usize = 100;

/// A process for each caller.
struct Callers(Vec<Worker>);

impl Callers {
    fn start() -> Callers {
        let start = |(uid, gid, groups)| Worker::start(User(uid, gid, groups), "model-actor", &[]);
        Callers(CALLERS.into_iter().map(start).collect())
    }

    /// Has one of them do something in a directory.
    fn ask(&mut self, who: usize, base: &Path, line: &str) -> String {
        self.0[who].ask(&format!("{}\t{line}", base.display()))
    }
}
