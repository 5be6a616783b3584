//! What is written, and that each value comes back as it was.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_written_is_pleasant_to_read() {
    let entries = [
        ("db/password", "it's \"quoted\" \\ $HOME"),
        ("db/cert", "-----BEGIN-----\nabc\n-----END-----\n"),
        ("db/no", "5"),
        ("empty", ""),
        ("lines", " a\nb"),
        ("z", "a b"),
    ];
    let keys: Vec<_> = entries.iter().map(|(name, value)| (key(name), value.as_bytes())).collect();
    let text = |format, mapping: &Mapping| {
        let text = write(format, keys.iter().map(|(key, value)| (key, *value)), mapping).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    };
    let json = "{\n  \"db\": {\n    \"cert\": \"-----BEGIN-----\\nabc\\n-----END-----\\n\",\n    \"no\": \"5\",\n    \
                \"password\": \"it's \\\"quoted\\\" \\\\ $HOME\"\n  },\n  \"empty\": \"\",\n  \"lines\": \" a\\nb\",\n  \
                \"z\": \"a b\"\n}\n";
    assert_eq!(text(Format::Json, &PLAIN), json);
    let yaml = "db:\n  cert: |\n    -----BEGIN-----\n    abc\n    -----END-----\n  \"no\": \"5\"\n  \
                password: \"it's \\\"quoted\\\" \\\\ $HOME\"\nempty: \"\"\nlines: \" a\\nb\"\nz: \"a b\"\n";
    assert_eq!(text(Format::Yaml, &PLAIN), yaml);
    let dotenv = "db__cert='-----BEGIN-----\nabc\n-----END-----\n'\ndb__no=5\n\
                  db__password=\"it's \\\"quoted\\\" \\\\ \\$HOME\"\nempty=\nlines=' a\nb'\nz='a b'\n";
    assert_eq!(text(Format::Dotenv, &Mapping { double_underscore: true, case: Case::Kept }), dotenv);
    for (format, empty) in [(Format::Dotenv, ""), (Format::Json, "{}\n"), (Format::Yaml, "{}\n")] {
        assert_eq!(**write(format, [], &PLAIN).unwrap(), *empty.as_bytes());
    }
}

/// What a format gives back of what it was given, or why it takes none.
fn there_and_back(format: Format, key: &KeyPath, value: &[u8]) -> Result<(), WriteError> {
    let text = write(format, [(key, value)], &PLAIN)?;
    let parsed = read(format, &text, &PLAIN).unwrap_or_else(|error| panic!("{error}: {}", text.escape_ascii()));
    assert!(parsed.problems.is_empty(), "{:?}: {}", parsed.problems, text.escape_ascii());
    let found: Vec<_> = parsed.entries.iter().map(|entry| (&entry.key, &**entry.value)).collect();
    assert_eq!(found, [(key, value)], "{}", text.escape_ascii());
    Ok(())
}

/// Values that some format or program is known to take for something else.
const AWKWARD: &[&str] = &[
    "",
    " ",
    "\n",
    "\n\n",
    "a\n",
    "a\n\n",
    "\na",
    "a\nb",
    "a\n\nb\n",
    " a\nb",
    "a\n b\n",
    "a\n  \nb",
    "a\nb ",
    "a\nb\n ",
    "a \nb",
    "\ta\nb",
    "a\n\tb",
    "\t",
    "\r",
    "\r\n",
    "a\r\nb\r\n",
    "\0",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffe}",
    "\u{1f511}",
    "é",
    "'",
    "\"",
    "'\"",
    "\\",
    "\\n",
    "\\\\",
    "\\'",
    "`",
    "$HOME",
    "${X}",
    "$(date)",
    "#",
    " #",
    "a #b",
    "a#b",
    "-",
    "-n",
    "--",
    "---",
    "...",
    "- a",
    "? a",
    ": a",
    "a: b",
    "a:",
    "[",
    "]",
    "[]",
    "{",
    "{}",
    ",",
    "&a",
    "*a",
    "!a",
    "!!str",
    "|",
    ">",
    "%",
    "@",
    "~",
    "null",
    "true",
    "yes",
    "no",
    "0.95",
    "007",
    "1e3",
    ".inf",
    "2027-01-31",
    "=",
    "a=b",
    "export A=1",
    "!",
    "a!b",
    "---\na",
    "a\n---\nb",
    "a\n...\nb\n",
    "#a\n#b\n",
    "a: b\nc: d\n",
    "- a\n- b",
    "\u{1b}[31m",
    "a\u{301}",
    "\u{200f}x",
];

#[test]
fn awkward_values_and_names_come_back_as_they_were() {
    for text in AWKWARD {
        for format in [Format::Json, Format::Yaml] {
            assert_eq!(there_and_back(format, &key("a/b"), text.as_bytes()), Ok(()), "{text:?}");
            if let Ok(name) = KeyPath::parse(text) {
                assert_eq!(there_and_back(format, &name, b"1"), Ok(()), "{text:?}");
            }
        }
        let answer = there_and_back(Format::Dotenv, &key("A"), text.as_bytes());
        assert_eq!(answer.is_ok(), !text.contains('\0'), "{text:?}");
    }
}

#[test]
fn the_longest_names_come_back_as_they_were() {
    for c in ['\u{1}', '\u{7f}', '\u{85}', '\u{feff}', '"', '\\', '\n', 'é'] {
        let name = c.to_string().repeat(255 / c.len_utf8());
        for format in [Format::Json, Format::Yaml] {
            assert_eq!(there_and_back(format, &key(&format!("a/{name}/{name}")), b"1"), Ok(()), "{c:?}");
        }
    }
}

#[test]
fn bytes_have_a_form_in_yaml_alone() {
    let value = b"\xff\xfe s3cret \x00\xc3";
    assert_eq!(there_and_back(Format::Yaml, &key("a"), value), Ok(()));
    let error = |format| there_and_back(format, &key("a"), value).expect_err("no text").to_string();
    assert_eq!(error(Format::Json), "key `a`: its value isn't UTF-8 text, which JSON can't hold; YAML can");
    assert_eq!(error(Format::Dotenv), "key `a`: its value isn't text, which dotenv can't hold; YAML can");
}

#[test]
fn large_values_come_back_as_they_were() {
    let text = "0123456789abcde\n".repeat(1 << 16);
    for format in Format::ALL {
        assert_eq!(there_and_back(format, &key("a"), text.as_bytes()), Ok(()));
    }
}

proptest! {
    #[test]
    fn any_text_comes_back_as_it_was(value in any::<String>(), lines in prop::collection::vec("[ -~é\t]{0,3}", 0..5)) {
        for text in [value, lines.join("\n")] {
            for format in [Format::Json, Format::Yaml] {
                prop_assert_eq!(there_and_back(format, &key("a/b"), text.as_bytes()), Ok(()));
            }
            let answer = there_and_back(Format::Dotenv, &key("A"), text.as_bytes());
            prop_assert_eq!(answer.is_ok(), !text.contains('\0'));
        }
    }

    #[test]
    fn any_bytes_come_back_as_they_were(value in any::<Vec<u8>>()) {
        prop_assert_eq!(there_and_back(Format::Yaml, &key("a"), &value), Ok(()));
    }

    #[test]
    fn any_keys_come_back_as_they_were(names in prop::collection::btree_set(any::<String>(), 0..8)) {
        let mut keys: Vec<_> = names.iter().filter_map(|name| KeyPath::parse(name).ok()).collect();
        keys.sort();
        let within: Vec<_> = collect::within_values(keys.iter()).map(|(_, key)| key.clone()).collect();
        keys.retain(|key| !within.contains(key));
        for format in [Format::Json, Format::Yaml] {
            let text = write(format, keys.iter().map(|key| (key, &b"1"[..])), &PLAIN).unwrap();
            let parsed = read(format, &text, &PLAIN).unwrap();
            prop_assert!(parsed.problems.is_empty());
            prop_assert_eq!(parsed.entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), keys.clone());
        }
    }
}
