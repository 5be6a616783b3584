//! Files as data, and what belongs to no one format: names, depth, plans.

mod reading;
mod writing;

use std::path::Path;

use super::*;

const PLAIN: Mapping = Mapping { double_underscore: false, case: Case::Kept };

fn key(text: &str) -> KeyPath {
    KeyPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What a file holds, as `key=value` with the value's line, then its problems.
fn holds(format: Format, text: &str, mapping: &Mapping) -> (Vec<String>, Vec<String>) {
    let parsed = read(format, text.as_bytes(), mapping).unwrap_or_else(|error| panic!("{text}: {error}"));
    let entry = |entry: &Entry| format!("{}: {}={}", entry.line, entry.key, entry.value.escape_ascii());
    (parsed.entries.iter().map(entry).collect(), parsed.problems.iter().map(ToString::to_string).collect())
}

#[test]
fn nesting_has_a_limit() {
    let json = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let yaml = |depth: usize| {
        (0..depth).map(|at| format!("{}a:\n", " ".repeat(at))).collect::<String>() + &" ".repeat(depth) + "b\n"
    };
    let deepest = vec!["a"; collect::DEEPEST].join("/");
    for (format, text) in [
        (Format::Json, json(collect::DEEPEST)),
        (Format::Yaml, yaml(collect::DEEPEST)),
        (Format::Yaml, json(collect::DEEPEST)),
    ] {
        let parsed = read(format, text.as_bytes(), &PLAIN).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.entries[0].key.to_string(), deepest);
        let back =
            write(format, [(&parsed.entries[0].key, &b"1"[..])], &PLAIN).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read(format, &back, &PLAIN).unwrap().entries[0].key.to_string(), deepest);
    }
    for more in [1, 1000, 20_000] {
        for text in [json(collect::DEEPEST + more), "[".repeat(more * 200), format!("a:\n {}", "- ".repeat(more * 200))]
        {
            let error = read(Format::Yaml, text.as_bytes(), &PLAIN).expect_err("too deep");
            assert!(error.why.ends_with("at most 100 deep in each other"), "{error}");
        }
        let error = read(Format::Json, json(collect::DEEPEST + more).as_bytes(), &PLAIN).expect_err("too deep");
        assert_eq!(error.why, "objects stand at most 100 deep in each other");
        let lists = format!("{{\"a\": {}{}}}", "[".repeat(more), "]".repeat(more));
        assert_eq!(read(Format::Json, lists.as_bytes(), &PLAIN).unwrap().entries[0].value.len(), 2 * more);
    }
    let deeper = key(&(deepest + "/a"));
    for format in [Format::Json, Format::Yaml] {
        let error = write(format, [(&deeper, &b"1"[..])], &PLAIN).expect_err("too deep");
        assert!(error.to_string().ends_with("more than 100 names are too deep for this format"), "{error}");
    }
}

#[test]
fn names_are_mapped() {
    let lower = Mapping { double_underscore: true, case: Case::Lower };
    let upper = Mapping { double_underscore: true, case: Case::Upper };
    let text = "DB__PASSWORD=1\nDB_USER=2\nA__B__C=3\n";
    assert_eq!(holds(Format::Dotenv, text, &PLAIN).0, ["1: DB__PASSWORD=1", "2: DB_USER=2", "3: A__B__C=3"]);
    assert_eq!(holds(Format::Dotenv, text, &lower).0, ["1: db/password=1", "2: db_user=2", "3: a/b/c=3"]);
    assert_eq!(holds(Format::Json, "{\"a\": {\"b__c\": 1}}", &upper).0, ["1: A/B/C=1"]);
    assert_eq!(holds(Format::Dotenv, "A__=1\n", &lower).1.len(), 1, "a name would be empty");
    assert_eq!(holds(Format::Dotenv, "A=1\na=2", &lower).1, ["line 2, key `a`: it has a value already, on line 1"]);
    assert_eq!(
        holds(Format::Dotenv, "A=1\nA__B=2", &lower).1,
        ["line 2, key `a/b`: `a` has a value, on line 1, so nothing can be below it"]
    );

    let written = |format, keys: &[&str], mapping: &Mapping| {
        let keys: Vec<_> = keys.iter().map(|text| key(text)).collect();
        let text = write(format, keys.iter().map(|key| (key, &b"1"[..])), mapping);
        text.map(|text| String::from_utf8(text.to_vec()).unwrap()).map_err(|error| error.to_string())
    };
    assert_eq!(written(Format::Dotenv, &["db/user", "db/password"], &upper), Ok("DB__PASSWORD=1\nDB__USER=1\n".into()));
    assert_eq!(written(Format::Json, &["db/user"], &upper), Ok("{\n  \"DB__USER\": \"1\"\n}\n".into()));
    let no_name = "a dotenv name has letters, digits and `_` alone, and no `/` unless `__` is to stand for it";
    for (keys, mapping, expected) in [
        (&["db/user"][..], &PLAIN, format!("key `db/user`: {no_name}")),
        (&["a.b"], &PLAIN, format!("key `a.b`: {no_name}")),
        (&["9"], &PLAIN, format!("key `9`: {no_name}")),
        (&["é"], &PLAIN, format!("key `é`: {no_name}")),
        (&["a__b"], &lower, "key `a__b`: `a__b` would be read as another key".into()),
        (&["a_/b"], &upper, "key `a_/b`: `A___B` would be read as another key".into()),
        (&["a", "A"], &upper, "key `A`: it would have the same name as `a`".into()),
        (&["a", "a/b"], &PLAIN, "key `a/b`: `a` would be both a value and an object".into()),
    ] {
        assert_eq!(written(Format::Dotenv, keys, mapping), Err(expected), "{keys:?}");
    }
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
    assert_eq!(Format::parse("toml"), None);
    let of = |path: &str| Format::of(Path::new(path));
    assert_eq!(
        (of("a/b.json"), of("B.YAML"), of("x.yml")),
        (Some(Format::Json), Some(Format::Yaml), Some(Format::Yaml))
    );
    assert_eq!(
        (of(".env"), of("a/.env.local"), of("prod.env")),
        (Some(Format::Dotenv), Some(Format::Dotenv), Some(Format::Dotenv))
    );
    assert_eq!((of("a.toml"), of("json"), of("-"), of("/")), (None, None, None, None));
}

#[test]
fn a_plan_has_each_entry_once() {
    let file = "new=1\nother=2\nsame=3\nunread=4\ndirectory=5\nbelow__value=6\nnew=7\n";
    let mapping = Mapping { double_underscore: true, case: Case::Kept };
    let parsed = read(Format::Dotenv, file.as_bytes(), &mapping).unwrap();
    let made = plan(parsed, |key| match key.to_string().as_str() {
        "new" => Ok(Present::Absent),
        "other" => Ok(Present::Value(Zeroizing::new(b"3".to_vec()))),
        "same" => Ok(Present::Value(Zeroizing::new(b"3".to_vec()))),
        "unread" => Ok(Present::Unread),
        "directory" => Ok(Present::Directory),
        "below/value" => Ok(Present::BelowValue),
        other => Err(other.to_owned()),
    });
    let made = made.unwrap();
    let keys = |list: &[Entry]| list.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys(&made.added), ["new"]);
    assert_eq!(keys(&made.changed), ["other"]);
    assert_eq!(keys(&made.replaced), ["unread"]);
    assert_eq!(keys(&made.same), ["same"]);
    assert_eq!(made.stored().count(), 3);
    assert_eq!(
        made.invalid.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "line 5, key `directory`: it is a directory, with keys of its own",
            "line 6, key `below/value`: a key above it has a value, so nothing can be below that",
            "line 7, key `new`: it has a value already, on line 1",
        ]
    );
    let parsed = read(Format::Dotenv, b"a=1", &mapping).unwrap();
    assert_eq!(plan(parsed, |_| Err("no mount")).err(), Some("no mount"));
}

#[test]
fn nothing_shows_a_value() {
    let parsed = read(Format::Dotenv, b"A=s3cret\nA=s3cret", &PLAIN).unwrap();
    assert_eq!(format!("{:?}", parsed.entries), "[Entry(A = 6 bytes, line 1)]");
    let made = plan(parsed, |_| Ok::<_, ()>(Present::Absent)).unwrap();
    assert!(!format!("{made:?}").contains("s3cret"));
}

#[test]
fn a_format_is_guessed_by_how_a_text_begins() {
    for (text, format) in [
        ("", Format::Dotenv),
        ("# a comment\n\nexport DB_HOST=a", Format::Dotenv),
        ("DB.HOST = a", Format::Dotenv),
        ("\u{feff}{\"a\": 1}", Format::Json),
        ("  {", Format::Json),
        ("---\na: 1", Format::Yaml),
        ("url: http://x/?a=b", Format::Yaml),
        ("a:\n  b: 1", Format::Yaml),
    ] {
        assert_eq!(Format::guess(text), format, "{text}");
    }
}
