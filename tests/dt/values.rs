//! Values of every kind, through each way in and out.

use crate::fixture::{Mount, ROOT};
use crate::{Cases, fails, run, run_with, succeeds};

pub const CASES: Cases = &[
    ("by_argument", by_argument),
    ("by_stdin", by_stdin),
    ("by_file", by_file),
    ("one_newline_at_the_end_goes", one_newline_at_the_end_goes),
    ("too_large_a_value_leaves_the_old_one", too_large_a_value_leaves_the_old_one),
    ("quotes_of_the_client_go", quotes_of_the_client_go),
];

/// Of every kind that an argument can have.
const TEXTS: &[&str] = &[
    "",
    "plain",
    "two words",
    "it's \"quoted\"",
    "\"",
    "'",
    "\"one\"",
    "a\nb\n\nc",
    "schlüssel 键 🔑",
    "-",
    "--",
    "-s",
    "--reveal",
    "-5",
    " leading and trailing ",
    "$HOME `id` \\ * ?",
    "file:///etc/passwd",
    "\x1b[31m\x07\t\r",
];

/// Of every kind that there is.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<_> = TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.push(b"a\0b\0".to_vec());
    values.push((0..=255).collect());
    values.push(vec![b'x'; 1 << 20]);
    values.push((0..1_u32 << 20).map(|n| (n % 251) as u8).collect());
    values
}

fn by_argument() {
    let mount = Mount::new();
    for secure in [&[][..], &["-s"]] {
        for text in TEXTS {
            let put = [&["kv", "put"], secure, &["--literal", "dir/key", "--", text]].concat();
            assert!(succeeds(run(&mount, &ROOT, &put)).is_empty());
            let get = [&["kv", "get"], secure, &["dir/key"]].concat();
            assert_eq!(succeeds(run(&mount, &ROOT, &get)), text.as_bytes(), "{text:?}");
        }
    }
}

fn by_stdin() {
    let mount = Mount::new();
    for (tree, secure) in [("variables", &[][..]), ("secrets", &["-s"])] {
        for value in values() {
            for dash in [&[][..], &["-"]] {
                let put = [&["kv", "put"], secure, &["key"], dash].concat();
                assert!(succeeds(run_with(&mount, &ROOT, &put, &value)).is_empty());
                assert!(mount.get(&format!("dev/{tree}/key")) == value, "{} bytes", value.len());
                let get = [&["kv", "get", "--raw"], secure, &["key"]].concat();
                assert!(succeeds(run(&mount, &ROOT, &get)) == value, "{} bytes", value.len());
            }
            let json = [&["kv", "get", "-j"], secure, &["key"]].concat();
            let json: serde_json::Value = serde_json::from_slice(&succeeds(run(&mount, &ROOT, &json))).unwrap();
            match std::str::from_utf8(&value) {
                Ok(text) => assert_eq!(json.as_str(), Some(text.strip_suffix('\n').unwrap_or(text))),
                Err(_) => assert!(json["base64"].is_string(), "{json}"),
            }
        }
    }
}

fn by_file() {
    let mount = Mount::new();
    let file = mount.home().join("value");
    for value in values() {
        std::fs::write(&file, &value).unwrap();
        let url = format!("file://{}", file.display());
        succeeds(run(&mount, &ROOT, &["kv", "put", "-s", "key", &url]));
        assert!(succeeds(run(&mount, &ROOT, &["kv", "get", "-s", "--raw", "key"])) == value);
    }
    let missing = run(&mount, &ROOT, &["kv", "put", "other", "file:///no/such/file"]);
    fails(&missing, 3, &["/no/such/file", "No such file"]);
}

fn one_newline_at_the_end_goes() {
    let mount = Mount::new();
    for (stored, shown) in [("a\n", "a"), ("a\n\n", "a\n"), ("\n", ""), ("a\r\n", "a\r")] {
        succeeds(run_with(&mount, &ROOT, &["kv", "put", "key"], stored.as_bytes()));
        assert_eq!(succeeds(run(&mount, &ROOT, &["kv", "get", "key"])), shown.as_bytes());
        assert_eq!(succeeds(run(&mount, &ROOT, &["kv", "get", "--raw", "key"])), stored.as_bytes());
    }
}

fn too_large_a_value_leaves_the_old_one() {
    let mount = Mount::new();
    let large = vec![b'x'; (1 << 20) + 1];
    fails(&run_with(&mount, &ROOT, &["kv", "put", "dir/key"], &large), 1, &["dir/key in dev", "longer"]);
    assert!(!mount.path("dev/variables/dir").exists(), "the directory was left");
    succeeds(run(&mount, &ROOT, &["kv", "put", "dir/key", "old"]));
    fails(&run_with(&mount, &ROOT, &["kv", "put", "dir/key"], &large), 1, &["longer"]);
    assert_eq!(mount.get("dev/variables/dir/key"), b"old");
}

fn quotes_of_the_client_go() {
    let mount = Mount::new();
    let put = run(&mount, &ROOT, &["kv", "put", "\"a key\"", "\"two words\""]);
    assert!(String::from_utf8_lossy(&put.stderr).contains("--literal"), "{put:?}");
    succeeds(put);
    assert_eq!(mount.get("dev/variables/a key"), b"two words");
    assert_eq!(succeeds(run(&mount, &ROOT, &["kv", "get", "\"a key\""])), b"two words");
    succeeds(run(&mount, &ROOT, &["kv", "put", "--literal", "key", "\"two words\""]));
    assert_eq!(mount.get("dev/variables/key"), b"\"two words\"");
}
