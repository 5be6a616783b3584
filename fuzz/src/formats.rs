//! Files of keys and values: any bytes are read or refused, no refusal shows a piece of them, and what was read, or is made up
//! of the bytes, is written and read back as it was.

use std::collections::BTreeMap;

use keyfs::client::formats::{Case, Format, Mapping, Parsed, Present, plan, read, write};
use keyfs::key::KeyPath;

use super::input::Input;

/// No message has words of its own that a file would have by chance at this length, so a piece of so many bytes is the file's.
const TELLING: usize = 24;

const PLAIN: Mapping = Mapping { double_underscore: false, case: Case::Kept };

type Values = BTreeMap<KeyPath, Vec<u8>>;

/// See the module.
pub fn run(input: &[u8]) {
    let mut choices = Input(input);
    let Some(format) = choices.pick(&Format::ALL) else { return };
    let Some(case) = choices.pick(&[Case::Kept, Case::Kept, Case::Lower, Case::Upper]) else { return };
    let Some(double_underscore) = choices.pick(&[false, true]) else { return };
    let mapping = Mapping { double_underscore, case };
    match read(format, choices.0, &mapping) {
        Ok(parsed) => whole(parsed),
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1);
            silent(&error.to_string(), choices.0);
        }
    }
    pieces(&mut choices, &mapping);
}

/// What a file holds.
fn whole(parsed: Parsed) {
    for problem in &parsed.problems {
        assert!(problem.line >= 1 && !problem.to_string().contains(char::is_control), "{problem}");
    }
    let read: Values = parsed.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_vec())).collect();
    assert_eq!(read.len(), parsed.entries.len(), "each key once");
    let keys: Vec<_> = read.keys().collect();
    for (one, other) in keys.iter().zip(keys.iter().skip(1)) {
        assert!(!other.names().starts_with(one.names()), "a value and a directory");
    }
    for format in Format::ALL {
        back(format, &read, &PLAIN);
    }
    let (entries, problems) = (parsed.entries.len(), parsed.problems.len());
    let made = plan(parsed, |key| {
        Ok::<_, ()>(match key.to_string().len() % 5 {
            0 => Present::Absent,
            1 => Present::Value(read.get(key).expect("a key of the file").clone().into()),
            2 => Present::Unread,
            3 => Present::Directory,
            _ => Present::BelowValue,
        })
    });
    let made = made.expect("no lookup fails");
    assert!(made.changed.is_empty());
    assert_eq!(made.stored().count() + made.same.len() + made.invalid.len(), entries + problems);
}

/// Keys and values made up of the bytes.
fn pieces(choices: &mut Input<'_>, mapping: &Mapping) {
    let mut made = Values::new();
    while let (Some(key), Some(value)) = (choices.piece(), choices.piece()) {
        let Some(key) = std::str::from_utf8(key).ok().and_then(|text| KeyPath::parse(text).ok()) else { continue };
        let apart =
            |other: &KeyPath| !other.names().starts_with(key.names()) && !key.names().starts_with(other.names());
        if made.keys().all(apart) {
            made.insert(key, value.to_vec());
        }
    }
    for format in Format::ALL {
        let written = back(format, &made, &PLAIN);
        // All that text can say has a form in these two, and bytes in YAML.
        let text = made.values().all(|value| std::str::from_utf8(value).is_ok());
        let shallow = made.keys().all(|key| key.names().len() <= 100);
        let holds = format == Format::Yaml || format == Format::Json && text;
        assert!(written || !holds || !shallow);
        if mapping.case == Case::Kept {
            back(format, &made, mapping);
        }
    }
}

/// Whether a format takes these; if so, it gives them back.
fn back(format: Format, values: &Values, mapping: &Mapping) -> bool {
    let entries = values.iter().map(|(key, value)| (key, value.as_slice()));
    let Ok(text) = write(format, entries, mapping) else { return false };
    let parsed = read(format, &text, mapping).unwrap_or_else(|error| panic!("{error}: {}", text.escape_ascii()));
    assert!(parsed.problems.is_empty(), "{:?}: {}", parsed.problems, text.escape_ascii());
    let read: Values = parsed.entries.into_iter().map(|entry| (entry.key, entry.value.to_vec())).collect();
    assert_eq!(&read, values, "{}", text.escape_ascii());
    true
}

/// That a message shows nothing of a file.
fn silent(message: &str, file: &[u8]) {
    assert!(!message.contains(char::is_control), "{message}");
    let shown = message.as_bytes();
    let told = |piece: &[u8]| shown.windows(TELLING).any(|of| of == piece);
    assert!(!file.windows(TELLING).any(told), "{message}");
}
