//! Names, environments and keys: what is taken is what the rules of docs/semantics.md take, and its text is what was parsed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use keyfs::id::NodeId;
use keyfs::key::{Environment, KeyPath, Name, NameError, Tree};
use keyfs::tree::row::key;

/// See the module.
pub fn run(input: &[u8]) {
    component(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    environment(text);
    path(text);
    if let Some(tree) = Tree::parse(text) {
        assert_eq!(tree.to_string(), text);
    }
}

fn component(input: &[u8]) {
    let parsed = Name::parse(input);
    let dots = input == b"." || input == b"..";
    let fits = (1..=255).contains(&input.len()) && !dots && !input.contains(&b'/') && !input.contains(&0);
    assert_eq!(parsed.is_ok(), fits && std::str::from_utf8(input).is_ok());
    assert_eq!(Name::try_from(OsStr::from_bytes(input)), parsed);
    match parsed {
        Ok(name) => {
            assert_eq!(name.as_bytes(), input);
            assert_eq!(key::entry_name(&key::entry(NodeId(7), &name)), Some(name));
        }
        Err(error) => assert_eq!(error == NameError::TooLong, input.len() > 255),
    }
}

fn environment(text: &str) {
    let parsed = Environment::parse(text);
    assert_eq!(parsed.is_ok(), Name::parse(text.as_bytes()).is_ok() && !text.starts_with('.'));
    if let Ok(environment) = parsed {
        assert_eq!(environment.to_string(), text);
        assert_eq!(text.parse(), Ok(environment));
    }
}

fn path(text: &str) {
    let parsed = KeyPath::parse(text);
    let parts: Vec<_> = text.split('/').map(|part| Name::parse(part.as_bytes())).collect();
    assert_eq!(parsed.is_ok(), parts.iter().all(Result::is_ok) && text.len() <= KeyPath::MAX_BYTES);
    if let Ok(parsed) = parsed {
        assert_eq!(parsed.to_string(), text);
        let names: Vec<_> = parts.into_iter().flatten().collect();
        assert_eq!(parsed.names(), names);
        // No key's place in the history is within that of its own directory's neighbour.
        let place = key::history(NodeId(7), &names);
        let above = key::history(NodeId(7), &names[..names.len() - 1]);
        assert!(place.starts_with(&above) && place[above.len()] == b'/');
        assert_eq!(place.len(), 10 + text.len() + 1);
    }
}
