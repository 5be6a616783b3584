//! What the platform's command line and its clients have that an argument parser doesn't: `ls -s`, which means "secrets"
//! unless a sort expression follows it, and quotes around arguments.

use std::ffi::OsString;

/// The letters of `kv ls` behind which a value stands.
const WITH_VALUE: &str = "eobf";
/// Those that stand alone.
const ALONE: &str = "aSvjps";

/// The arguments with `-s` of `kv ls` spelt out as `--secure` or `--sort`; all others as they are.
pub(crate) fn rewrite(given: &[OsString]) -> Vec<OsString> {
    let is_list = given.get(1).is_some_and(|word| word == "kv") && given.get(2).is_some_and(|word| word == "ls");
    if !is_list {
        return given.to_vec();
    }
    let mut rewritten = given.get(..3).unwrap_or_default().to_vec();
    let mut rest = given.get(3..).unwrap_or_default().iter().peekable();
    while let Some(word) = rest.next() {
        let Some(letters) = word.to_str().and_then(|word| word.strip_prefix('-')) else {
            rewritten.push(word.clone());
            continue;
        };
        if letters == "-" {
            rewritten.push(word.clone());
            rewritten.extend(rest.by_ref().cloned());
            break;
        }
        let takes_next = letters.chars().next_back().is_some_and(|letter| WITH_VALUE.contains(letter))
            && letters.chars().rev().skip(1).all(|letter| ALONE.contains(letter));
        if takes_next || !letters.chars().all(|letter| ALONE.contains(letter)) || !letters.contains('s') {
            rewritten.push(word.clone());
            rewritten.extend(takes_next.then(|| rest.next().cloned()).flatten());
            continue;
        }
        let expression = rest.next_if(|next| letters.ends_with('s') && is_sort(next)).cloned();
        let others: String = letters.chars().filter(|letter| *letter != 's').collect();
        if !others.is_empty() {
            rewritten.push(format!("-{others}").into());
        }
        match expression {
            Some(expression) => {
                let mut sort = OsString::from("--sort=");
                sort.push(expression);
                rewritten.push(sort);
            }
            None => rewritten.push("--secure".into()),
        }
    }
    rewritten
}

/// Whether a word is a sort expression: `+` and anything, or `-` and the name of a field, which is no cluster of options.
fn is_sort(word: &OsString) -> bool {
    let Some(word) = word.to_str() else { return false };
    let first = |text: &str| text.split([' ', ',']).next().unwrap_or_default().to_owned();
    let field =
        |text: &str| keyfs::client::rows::KNOWN.iter().any(|known| known.name.eq_ignore_ascii_case(&first(text)));
    word.starts_with('+') || word.strip_prefix('-').is_some_and(field)
}

/// An argument without the quotes that the platform's Python client puts around each one with a blank or a quote in it, as if
/// a shell stood between; `None` for any other argument.
pub(crate) fn unquoted(argument: &[u8]) -> Option<&[u8]> {
    let inner = argument.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    inner.iter().any(|byte| b" \"'".contains(byte)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_quotes_are_known() {
        for (argument, inner) in [
            ("\"two words\"", Some("two words")),
            ("\"it's\"", Some("it's")),
            ("\"{\"a\":1}\"", Some("{\"a\":1}")),
            ("\"one\"", None),
            ("\"\"", None),
            ("\"", None),
            ("two words", None),
            ("say \"hi\"", None),
        ] {
            assert_eq!(unquoted(argument.as_bytes()), inner.map(str::as_bytes), "{argument}");
        }
    }

    fn after(line: &str) -> String {
        let words: Vec<OsString> = line.split('|').map(OsString::from).collect();
        let words: Vec<_> = rewrite(&words).into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join("|")
    }

    #[test]
    fn s_is_secure_unless_an_order_follows() {
        for (given, meant) in [
            ("dt|kv|ls|-s", "dt|kv|ls|--secure"),
            ("dt|kv|ls|-s|db", "dt|kv|ls|--secure|db"),
            ("dt|kv|ls|-s|+key", "dt|kv|ls|--sort=+key"),
            ("dt|kv|ls|-s|-key", "dt|kv|ls|--sort=-key"),
            ("dt|kv|ls|-s|-size +key", "dt|kv|ls|--sort=-size +key"),
            ("dt|kv|ls|-s|-a", "dt|kv|ls|--secure|-a"),
            ("dt|kv|ls|-as|-key|db", "dt|kv|ls|-a|--sort=-key|db"),
            ("dt|kv|ls|-sa|-key", "dt|kv|ls|-a|--secure|-key"),
            ("dt|kv|ls|-e|-s", "dt|kv|ls|-e|-s"),
            ("dt|kv|ls|-ae|prod|-s", "dt|kv|ls|-ae|prod|--secure"),
            ("dt|kv|ls|--|-s", "dt|kv|ls|--|-s"),
            ("dt|kv|ls|--sort|-key|-s", "dt|kv|ls|--sort|-key|--secure"),
            ("dt|kv|get|-s|key", "dt|kv|get|-s|key"),
            ("dt", "dt"),
        ] {
            assert_eq!(after(given), meant);
        }
    }
}
