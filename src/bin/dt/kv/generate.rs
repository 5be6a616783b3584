//! `dt kv generate`.
//!
//! Invariant: each character is as likely as any other, and what is made is shown to nobody.

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::put::{Condition, Put, put};
use keyfs::client::value::Value;
use keyfs::key::Tree;
use zeroize::Zeroizing;

use super::put::report;
use super::set_acls::Who;
use crate::completions::keys;
use crate::context::{Where, name};
use crate::exit::Failure;

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789abcdef";

/// Stores a random secret, which nobody has seen: 32 letters and digits, if nothing else is said.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// It is a secret in any case
    #[arg(short, long)]
    secure: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    place: Where,
    /// How many characters
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(8..=4096))]
    length: u16,
    /// Of the digits 0 to 9 and a to f alone
    #[arg(long)]
    hex: bool,
    /// Also as a new version of a secret that is there
    #[arg(long)]
    rotate: bool,
    /// The key, such as db/password
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(keys))]
    key: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = arguments.who.change(true)?;
    let entry = arguments.place.scope()?.entry(Tree::Secrets, name(&arguments.key))?;
    if !arguments.rotate && entry.path().exists() {
        return Err(Failure::new(6, format!("{entry} exists already: --rotate stores a new version of it")));
    }
    let value = random(usize::from(arguments.length), if arguments.hex { DIGITS } else { LETTERS })?;
    let condition = if arguments.rotate { Condition::None } else { Condition::Absent };
    put(&entry, &Put { value: &value, change: &change, condition, expires: None })?;
    report(&entry, false)
}

/// So many characters of an alphabet. A byte that would make some likelier than others is thrown away.
fn random(length: usize, alphabet: &[u8]) -> Result<Value, Failure> {
    let fair = 256 - 256 % alphabet.len();
    let mut value = Zeroizing::new(Vec::with_capacity(length));
    let mut bytes = Zeroizing::new([0; 256]);
    while value.len() < length {
        getrandom::getrandom(&mut *bytes).map_err(|error| Failure::system(format!("no random bytes: {error}")))?;
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let characters = fair.filter_map(|byte| alphabet.get(byte % alphabet.len()));
        let missing = length - value.len();
        value.extend(characters.take(missing));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_characters_come_up() {
        for alphabet in [LETTERS, DIGITS] {
            let value = random(4096, alphabet).unwrap();
            assert_eq!(value.len(), 4096);
            assert!(value.iter().all(|character| alphabet.contains(character)));
            assert!(alphabet.iter().all(|character| value.contains(character)));
        }
        assert_ne!(random(32, LETTERS).unwrap(), random(32, LETTERS).unwrap());
    }
}
