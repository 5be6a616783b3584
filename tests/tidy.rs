//! What the tree promises of itself: layers point one way, each library has its one place, files stay short, pages lead
//! somewhere.
//!
//! It reads text, and compiles nothing: a rule that a text search can't decide isn't here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may import. Read from the top, each imports only what stands above it.
const LAYERS: &[(&str, &[&str])] = &[
    ("id", &[]),
    ("clock", &[]),
    ("key", &[]),
    ("mountinfo", &[]),
    ("names", &["id"]),
    ("access", &["id"]),
    ("store", &["id"]),
    ("audit", &["clock", "id", "key"]),
    ("seal", &["access", "id", "store"]),
    ("tree", &["access", "audit", "clock", "id", "key", "seal", "store"]),
    ("fs", &["access", "audit", "clock", "id", "key", "mountinfo", "names", "tree"]),
    ("client", &["access", "clock", "id", "key", "mountinfo", "names"]),
    ("dashboard", &["access", "client", "clock", "id", "key", "names"]),
];

/// Which files may name a library: those whose path begins so.
const PLACES: &[(&str, &[&str])] = &[
    ("redb", &["src/store/redb"]),
    ("fuser", &["src/fs"]),
    ("age", &["src/seal"]),
    ("age_core", &["src/seal"]),
    ("chacha20poly1305", &["src/seal"]),
    ("getrandom", &["src/seal", "src/bin/dt/kv/generate.rs", "src/dashboard/session.rs", "src/dashboard/browser.rs"]),
    ("clap", &["src/bin/"]),
    ("env_logger", &["src/bin/"]),
    ("jiff", &["src/clock"]),
    ("winnow", &["src/client/filter/", "src/client/formats/"]),
    ("granit_parser", &["src/client/formats/yaml"]),
    ("base64", &["src/client/formats/yaml", "src/bin/dt/output.rs", "src/dashboard"]),
    ("clap_complete", &["src/bin/dt/"]),
    ("clap_mangen", &["src/bin/dt/man.rs"]),
    ("rpassword", &["src/bin/dt/prompt.rs"]),
    ("axum", &["src/dashboard"]),
    ("tokio", &["src/dashboard"]),
    ("hyper", &["src/dashboard"]),
    ("hyper_util", &["src/dashboard"]),
    ("http_body_util", &["src/dashboard"]),
    ("futures_core", &["src/dashboard/api/events.rs"]),
    ("serde_path_to_error", &["src/dashboard/api/body.rs"]),
    ("unsafe", &["src/seal/memory.rs"]),
];

/// The longest file, in lines.
const LONGEST: usize = 650;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project below a directory with this ending, by its path from the project's root.
fn files(below: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(below)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let skipped = ["target", "corpus", "node_modules"].contains(&name) || name == ".git";
            if path.is_dir() && !skipped {
                directories.push(path);
            } else if name.ends_with(ending) {
                found.push(path.strip_prefix(root()).expect("below the root").to_str().expect("text").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The code of a file, without comments.
fn code(path: &str) -> String {
    read(path).lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The words that stand right behind `prefix`, where that is no part of a longer path.
fn behind<'t>(text: &'t str, prefix: &str) -> BTreeSet<&'t str> {
    let own = |at: usize| !text[..at].ends_with(|before: char| before.is_alphanumeric() || "_:$".contains(before));
    let word = |rest: &'t str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    text.match_indices(prefix).filter(|(at, _)| own(*at)).map(|(at, _)| word(&text[at + prefix.len()..])).collect()
}

#[test]
fn layers_point_one_way() {
    let mut above: BTreeSet<&str> = BTreeSet::new();
    for (module, imports) in LAYERS {
        assert!(imports.iter().all(|import| above.contains(import)), "{module} imports what stands below it");
        above.insert(module);
    }
    for path in files("src", ".rs") {
        if path.starts_with("src/bin/") || path == "src/lib.rs" {
            continue;
        }
        let module = path["src/".len()..].split(['/', '.']).next().unwrap();
        let allowed = LAYERS.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{path}: the module {module} is in no layer"));
        // Tests set up what is below them in their own way.
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        for import in behind(&code(&path), "crate::") {
            assert!(import == module || allowed.contains(&import), "{path}: {module} may not import {import}");
        }
    }
}

#[test]
fn each_library_has_its_place() {
    for path in files("src", ".rs") {
        let code = code(&path);
        for (library, places) in PLACES {
            let named = if *library == "unsafe" {
                code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn")
            } else {
                !behind(&code, &format!("{library}::")).is_empty()
            };
            let here = places.iter().any(|place| path.starts_with(place));
            assert!(here || !named, "{path} names {library}, which belongs to {}", places.join(", "));
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for below in ["src", "tests", "benches", "examples", "fuzz"] {
        for path in files(below, ".rs") {
            let text = read(&path);
            assert!(text.starts_with("//! "), "{path} doesn't say what it is");
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{path} has {lines} lines; a reader finds less than {LONGEST} easier");
            assert!(!path.ends_with("/mod.rs"), "{path}: a module's file has the module's name");
        }
    }
    for (module, _) in LAYERS {
        let header = read(&format!("src/{module}.rs"));
        let header: String = header.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(header.contains("deliberately") || *module == "mountinfo", "{module} doesn't say what it leaves out");
    }
}

/// Files of others are as they were published: the page beside them has each with its SHA-256, and no other.
#[test]
fn files_of_others_are_unchanged() {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;

    let folder = "src/dashboard/page/vendor";
    let page = read(&format!("{folder}/README.md"));
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    for row in &listed {
        let content = fs::read(root().join(folder).join(&row[1])).unwrap_or_else(|error| panic!("{}: {error}", row[1]));
        let hash = Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text");
            text
        });
        assert_eq!(hash, row[4], "{} isn't what its page says that it is", row[1]);
        assert!(row[2].starts_with("npm `") && !row[3].is_empty(), "{}: from where, and under which licence?", row[1]);
    }
    let mut listed: Vec<_> = listed.iter().map(|row| format!("{folder}/{}", row[1])).collect();
    listed.sort();
    assert_eq!(files(folder, ".js"), listed);
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn pages_lead_somewhere() {
    let pages = files("", ".md");
    assert!(pages.len() > 8, "{pages:?}");
    for page in &pages {
        let text = read(page);
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (path, heading) =
                target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
            let place =
                if path.is_empty() { PathBuf::from(page) } else { Path::new(page).parent().unwrap().join(path) };
            assert!(root().join(&place).exists(), "{page} leads to {target}, which is not there");
            if let Some(heading) = heading {
                let text = fs::read_to_string(root().join(&place)).expect("a page");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.map(|line| anchor(line.trim_start_matches('#'))).any(|found| found == heading);
                assert!(found, "{page} leads to {target}, which has no such heading");
            }
        }
    }
}

#[test]
fn each_exit_code_is_documented_once_and_alike() {
    for (table, last, page) in
        [("src/bin/keyfs/exit.rs", 10, "docs/operations.md"), ("src/bin/dt/exit.rs", 8, "docs/dt.md")]
    {
        let help = read(table);
        let codes = help.lines().filter_map(|line| {
            let (code, meaning) = line.trim().split_once("  ")?;
            Some((code.parse::<u8>().ok()?, meaning.trim_end_matches("\";").to_owned()))
        });
        let codes: Vec<_> = codes.collect();
        assert_eq!(codes.iter().map(|(code, _)| *code).collect::<Vec<_>>(), (0..=last).collect::<Vec<u8>>());
        let text = read(page);
        for (code, meaning) in codes {
            let row = format!("| {code} | {meaning} |");
            assert!(text.contains(&row), "{page} has no row `{row}`");
        }
    }
}
