//! Identity files and the lists of known stores beside them: any bytes are read or refused, and no refusal shows a piece of
//! them.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use keyfs::id::StoreId;
use keyfs::seal::Fingerprint;
use keyfs::seal::identity::{Identities, IdentityError};

/// No message has a word of its own that is nearly as long, so a piece of so many bytes is the file's.
const TELLING: usize = 24;

/// See the module.
pub fn run(input: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("identity");
    put(&path, input);
    match Identities::read(&path) {
        Ok(read) => assert!(!read.recipients().is_empty() && !format!("{read:?}").contains("AGE-SECRET")),
        Err(error) => silent(&error, &path, input),
    }
    put(&path, genuine());
    let known = Identities::read(&path).expect("an identity");
    put(&known.known_stores(), input);
    match known.known(StoreId([0x5a; 16])) {
        Ok(Some(fingerprint)) => {
            let text = fingerprint.to_string();
            assert!(input.windows(text.len()).any(|window| window == text.as_bytes()));
        }
        Ok(None) => {}
        Err(error) => silent(&error, &known.known_stores(), input),
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(fingerprint) = text.parse::<Fingerprint>()
    {
        assert_eq!(fingerprint.to_string(), text);
    }
}

/// The text of an identity file, drawn once.
fn genuine() -> &'static [u8] {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    TEXT.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("identity");
        Identities::create(&path).expect("an identity");
        std::fs::read(&path).expect("its file")
    })
}

fn put(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a file");
}

/// That an error shows nothing of the file but its path.
fn silent(error: &IdentityError, path: &Path, input: &[u8]) {
    let shown = error.to_string().replace(&*path.to_string_lossy(), "");
    let shown = shown.as_bytes();
    // The message for a line that is no identity says what one begins with.
    let told = |window: &[u8]| window.iter().all(u8::is_ascii_graphic) && shown.windows(TELLING).any(|of| of == window);
    assert!(!input.windows(TELLING).any(told), "{error}");
}
