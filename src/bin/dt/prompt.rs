//! Asking people for a secret.
//!
//! Invariant: what is typed is not shown.

use keyfs::client::value::Value;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Asks twice, without echo.
pub(crate) fn secret(what: &str) -> Result<Value, Failure> {
    let ask = |text: String| {
        let typed = rpassword::prompt_password(text);
        typed
            .map(Zeroizing::new)
            .map_err(|error| Failure::system(format!("nothing was typed: {}", keyfs::client::error::reason(&error))))
    };
    let first = ask(format!("Value of {what}: "))?;
    let second = ask("The same again: ".to_owned())?;
    if *first != *second {
        return Err(Failure::usage("the two differ; nothing was stored"));
    }
    Ok(Zeroizing::new(first.as_bytes().to_vec()))
}
