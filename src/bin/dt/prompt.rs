//! Asking people: for a secret, and whether they want something.
//!
//! Invariant: a secret that is typed is not shown, however early: the echo is off before the question is asked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use keyfs::client::value::Value;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
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
    let _silence = Silence::new();
    let first = ask(format!("Value of {what}: "))?;
    let second = ask("The same again: ".to_owned())?;
    if *first != *second {
        return Err(Failure::usage("the two differ; nothing was stored"));
    }
    Ok(Zeroizing::new(first.as_bytes().to_vec()))
}

/// Asks whether to go on; `None` where nobody looks on who could answer. Stdin may have something else.
pub(crate) fn confirm(question: &str) -> Result<Option<bool>, Failure> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let Some(mut terminal) = terminal.ok().filter(|_| io::stderr().is_terminal()) else { return Ok(None) };
    let mut answer = String::new();
    let mut ask = || {
        terminal.write_all(question.as_bytes())?;
        BufReader::new(&terminal).read_line(&mut answer)
    };
    let failed =
        |error: io::Error| Failure::system(format!("nothing was answered: {}", keyfs::client::error::reason(&error)));
    ask().map_err(failed)?;
    Ok(Some(["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))))
}

/// A terminal that shows nothing of what is typed, for as long as this lives.
struct Silence(File, Termios);

impl Silence {
    /// `None` without a terminal; then nothing is asked either.
    fn new() -> Option<Silence> {
        let terminal = File::open("/dev/tty").ok()?;
        let usual = tcgetattr(&terminal).ok()?;
        let mut silent = usual.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &silent).ok()?;
        Some(Silence(terminal, usual))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.0, OptionalActions::Now, &self.1);
    }
}
