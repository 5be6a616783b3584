//! `keyfs check`.

use std::path::PathBuf;
use std::sync::Arc;

use keyfs::seal::Fingerprint;
use keyfs::seal::identity::Identities;
use keyfs::seal::memory;
use keyfs::store::redb::{LedgerState, RedbStore};
use keyfs::tree::{self, Finding, Parts, Severity, Verified};
use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::paths;

/// So many findings are told one by one in JSON, which is written in one piece.
const MOST_IN_JSON: usize = 10_000;

/// What to do about damage that no daemon left.
const RESTORE: &str = "restore the store from a backup";
/// What to do about damage that a daemon left.
const REPORT: &str = "the daemon itself left it so: keep a copy of the store, and report it";
/// What to do about what is no damage.
const LEAVE: &str = "nothing needs to be done";

/// Looks at every page, row and value of a store that is not mounted, and writes nothing to it.
///
/// A line for each finding, then what was looked at. The exit code is 0 for a store that is whole, and 7 for one that is damaged.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// The store [default: as for mount]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The age identity that unlocks it [default: as for mount]
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The fingerprint that the store's key must have, where none is on record beside the identity
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Before a key is read.
    memory::forbid_dumps().map_err(|error| Failure::system(format!("core dumps can't be forbidden: {error}")))?;
    let path = arguments.store.clone().map_or_else(paths::store, Ok)?;
    let identities = Identities::read(&arguments.identity.clone().map_or_else(paths::identity, Ok)?)?;
    let about = |failure: Failure| failure.about(&path);

    let mut tried = RedbStore::try_out(&path)?;
    let store = tried.store();
    let unlocked = unlock(arguments, &identities, &store).map_err(about);
    // Of a file that isn't whole, what its rows say is the lesser news.
    tried.check()?;
    let parts = unlocked?;
    let ledger =
        store.attach_ledger(Arc::clone(&parts.seal) as Arc<_>).map_err(|error| about(Failure::new(7, error)))?;
    let agrees = ledger == LedgerState::Attached;

    let mut told = Vec::new();
    let mut more = 0_u64;
    let mut show = |finding: Finding| match (arguments.json, told.len() < MOST_IN_JSON) {
        (false, _) => say!("{}: {}", finding.to_string().replace(char::is_control, "?"), advice(&finding, agrees)),
        (true, true) => told.push(finding),
        (true, false) => more += 1,
    };
    if !agrees {
        let what = match ledger {
            LedgerState::Absent => "it has none: it was taken away",
            _ => "the rows are not those that the daemon left: some were changed, taken away or put back",
        };
        show(Finding { place: "the ledger".into(), what: what.into(), severity: Severity::Damage });
    }
    let seen = tree::verify(&parts, &mut show).map_err(|error| about(Failure::new(7, error)))?;
    let damage = seen.damage + u64::from(!agrees);
    if arguments.json {
        say!("{:#}", object(&path, &seen, agrees, &told, more));
    } else {
        say!("{}", summary(&path, &seen, damage));
    }
    if damage == 0 {
        return Ok(());
    }
    let findings = if damage == 1 { "one finding".into() } else { format!("{damage} findings") };
    Err(about(Failure::new(7, format!("the store is damaged: {findings}; {}", if agrees { REPORT } else { RESTORE }))))
}

fn unlock(arguments: &Arguments, identities: &Identities, store: &Arc<RedbStore>) -> Result<Parts, Failure> {
    let format = tree::format(&**store)?;
    let expected = paths::fingerprint(arguments.fingerprint, identities, format.store)?;
    Ok(tree::unlock(Arc::clone(store) as Arc<_>, identities, &expected)?)
}

fn advice(finding: &Finding, agrees: bool) -> &'static str {
    match finding.severity {
        Severity::Leftover => LEAVE,
        Severity::Damage if agrees => REPORT,
        Severity::Damage => RESTORE,
    }
}

/// What was looked at, by name.
fn counts(seen: &Verified) -> [(&'static str, u64); 8] {
    [
        ("environments", seen.environments),
        ("directories", seen.directories),
        ("variables", seen.variables),
        ("secrets", seen.secrets),
        ("removed keys in the history", seen.removed),
        ("versions", seen.versions),
        ("sealed records opened", seen.records),
        ("rows", seen.rows),
    ]
}

fn summary(path: &std::path::Path, seen: &Verified, damage: u64) -> String {
    let counts: Vec<_> = counts(seen).iter().map(|(name, count)| format!("{count} {name}")).collect();
    let verdict = match (damage, seen.leftovers) {
        (0, 0) => "nothing is wrong".into(),
        (0, left) => format!("nothing is wrong; {left} removed keys take room that nothing leads to"),
        (damage, _) => format!("damaged, {damage} findings"),
    };
    format!("keyfs: {}: {}; {verdict}", path.display(), counts.join(", "))
}

fn object(path: &std::path::Path, seen: &Verified, agrees: bool, told: &[Finding], more: u64) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "place": finding.place,
            "what": finding.what,
            "damage": finding.severity == Severity::Damage,
            "advice": advice(finding, agrees),
        })
    };
    let counts = counts(seen).into_iter().map(|(name, count)| (name.replace(' ', "_"), json!(count)));
    json!({
        "store": path.display().to_string(),
        "whole": agrees && seen.damage == 0,
        "ledger_agrees": agrees,
        "counts": Value::Object(counts.collect::<Map<_, _>>()),
        "findings": told.iter().map(finding).collect::<Vec<_>>(),
        "findings_not_shown": more,
    })
}
