//! `keyfs check`.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::Case;
use crate::kit::{Kit, fails, keyfs};

pub const CASES: &[Case] = &[
    ("a_whole_store_is_whole", a_whole_store_is_whole),
    ("a_store_in_use_is_left_alone", a_store_in_use_is_left_alone),
    ("a_damaged_page_is_damage", a_damaged_page_is_damage),
    ("a_row_changed_without_the_key_is_named", a_row_changed_without_the_key_is_named),
    ("what_is_no_store_or_not_ours_has_its_own_code", what_is_no_store_or_not_ours_has_its_own_code),
    ("what_a_crash_left_is_whole", what_a_crash_left_is_whole),
];

/// `keyfs check` on the kit's store and identity.
fn check(kit: &Kit, arguments: &[&str]) -> Output {
    let before = kit.files();
    let (store, identity) = (kit.path("store.redb"), kit.path("identity"));
    let files = ["--store", store.to_str().unwrap(), "--identity", identity.to_str().unwrap()];
    let output = keyfs(&[&["check"], &files[..], arguments].concat());
    assert!(kit.files() == before, "something was written: {output:?}");
    output
}

/// A store with a secret that was replaced and removed, besides what a kit has.
fn kit() -> Kit {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    fs::create_dir(kit.path("keys/prod/secrets/db")).unwrap();
    for value in ["one", "two"] {
        fs::write(kit.path("keys/prod/secrets/db/password"), value).unwrap();
    }
    fs::write(kit.path("keys/prod/secrets/gone"), "gone").unwrap();
    fs::remove_file(kit.path("keys/prod/secrets/gone")).unwrap();
    kit.unmounts();
    kit
}

fn a_whole_store_is_whole() {
    let kit = kit();
    let output = check(&kit, &[]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("3 environments, 1 directories, 1 variables, 1 secrets, 1 removed keys"), "{text}");
    assert!(text.ends_with("nothing is wrong\n"), "{text}");
    let output = check(&kit, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["whole"], &told["ledger_agrees"]), (&true.into(), &true.into()));
    assert_eq!(told["counts"]["secrets"], 1);
    assert_eq!(told["counts"]["sealed_records_opened"], 3);
    assert_eq!(told["findings"].as_array().unwrap().len(), 0);
}

fn a_store_in_use_is_left_alone() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let (store, identity) = (kit.path("store.redb"), kit.path("identity"));
    let arguments = ["check", "--store", store.to_str().unwrap(), "--identity", identity.to_str().unwrap()];
    fails(&keyfs(&arguments), 5, &["in use by"]);
    kit.unmounts();
    assert!(check(&kit, &[]).status.success());
}

fn a_damaged_page_is_damage() {
    let kit = kit();
    let mut bytes = fs::read(kit.path("store.redb")).unwrap();
    let places: Vec<_> = bytes.windows(8).enumerate().filter(|(_, eight)| eight == b"password").collect();
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|place| bytes[place] ^= 1);
    fs::write(kit.path("store.redb"), bytes).unwrap();
    fails(&check(&kit, &[]), 7, &["store.redb", "damaged", "backup"]);
}

/// Changes the rows as somebody does who has no key.
fn edit(kit: &Kit, work: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)) {
    let database = redb::Database::open(kit.path("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let rows: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("keyfs.rows");
    work(&mut transaction.open_table(rows).unwrap());
    transaction.commit().unwrap();
}

fn a_row_changed_without_the_key_is_named() {
    use redb::ReadableTable;
    let kit = kit();
    edit(&kit, |rows| {
        let all = rows.range::<&[u8]>(b"v/".as_slice()..b"v0".as_slice()).unwrap();
        let all: Vec<_> =
            all.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).unwrap()).collect();
        // Each secret's row is longer than a variable's.
        let (key, mut value) = all.iter().max_by_key(|(_, value)| value.len()).cloned().unwrap();
        let last = value.len() - 1;
        value[last] ^= 1;
        rows.insert(key.as_slice(), value.as_slice()).unwrap();
    });
    let output = check(&kit, &[]);
    fails(&output, 7, &["store.redb", "2 findings", "backup"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the ledger: the rows are not those that the daemon left"), "{text}");
    assert!(text.contains("it does not carry its tag; restore") || text.contains("tag: restore"), "{text}");
    let output = check(&kit, &["--json"]);
    assert_eq!(output.status.code(), Some(7));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["whole"], &told["ledger_agrees"]), (&false.into(), &false.into()));
    let findings = told["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2);
    assert!(findings.iter().all(|finding| finding["damage"] == true && finding["advice"].is_string()));
}

fn what_is_no_store_or_not_ours_has_its_own_code() {
    let kit = kit();
    let store = fs::read(kit.path("store.redb")).unwrap();
    fs::write(kit.path("store.redb"), "port = 80\n").unwrap();
    fails(&check(&kit, &[]), 6, &["not a keyfs store"]);
    fs::remove_file(kit.path("store.redb")).unwrap();
    fails(&check(&kit, &[]), 3, &["there is no"]);
    fs::write(kit.path("store.redb"), &store).unwrap();
    // Another identity, and none on record.
    let known = fs::read(kit.path("identity.stores")).unwrap();
    fs::write(kit.path("identity.stores"), "").unwrap();
    fails(&check(&kit, &[]), 4, &["fingerprint"]);
    fs::write(kit.path("identity.stores"), known).unwrap();
    let other = Kit::with_store();
    fs::copy(other.path("identity"), kit.path("identity")).unwrap();
    fails(&check(&kit, &[]), 4, &["does not unlock"]);
    fs::remove_file(kit.path("identity")).unwrap();
    fails(&check(&kit, &[]), 3, &["identity"]);
}

fn what_a_crash_left_is_whole() {
    let kit = kit();
    kit.mounts(&[]);
    fs::write(kit.path("keys/prod/secrets/db/password"), "three").unwrap();
    // As a snapshot of the file system has it.
    let left = fs::read(kit.path("store.redb")).unwrap();
    kit.unmounts();
    fs::write(kit.path("store.redb"), left).unwrap();
    let output = check(&kit, &[]);
    assert!(output.status.success(), "{output:?}");
    let output = Command::new("grep").args(["-c", "three"]).arg(kit.path("store.redb")).output().unwrap();
    assert_eq!(output.stdout, b"0\n");
}
