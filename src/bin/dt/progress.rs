//! How far something is that takes a while, on a terminal; and a signal that calls it off.
//!
//! Invariant: a signal that ends a program waits until what was begun is cleaned up, and then ends this one too.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// From so many on there is something to see.
const MANY: usize = 500;

const WIDTH: usize = 30;

/// A bar that fills.
pub(crate) struct Bar {
    doing: &'static str,
    total: usize,
    shown: bool,
    drawn: usize,
    signals: Option<SignalFd>,
    signal: Option<Signal>,
}

impl Bar {
    /// A bar for so many; from now on signals wait for it.
    pub(crate) fn new(doing: &'static str, total: usize) -> Bar {
        let shown = total >= MANY && io::stderr().is_terminal();
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        // Without it a signal ends the program at once, and what is staged goes with its time.
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).ok();
        let signals = signals.filter(|_| set.thread_block().is_ok());
        Bar { doing, total, shown, drawn: usize::MAX, signals, signal: None }
    }

    /// So many are done; says whether to go on.
    pub(crate) fn moved(&mut self, done: usize) -> ControlFlow<()> {
        if self.shown && self.drawn != done {
            self.drawn = done;
            let full = (done * WIDTH).checked_div(self.total).unwrap_or(WIDTH);
            let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH.saturating_sub(full)));
            self.draw(&format!("[{bar}] {} {done} of {}", self.doing, self.total));
        }
        let told = self.signals.as_ref().and_then(|signals| signals.read_signal().ok().flatten());
        self.signal = told.and_then(|told| Signal::try_from(told.ssi_signo as i32).ok());
        if self.signal.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Takes the bar away; tells which signal has called it off.
    pub(crate) fn end(mut self) -> Option<Signal> {
        if self.shown && self.drawn != usize::MAX {
            self.draw("");
            let _ = write!(io::stderr(), "\r");
        }
        self.signal.take()
    }

    /// Replaces the line that is there, by a shorter one too.
    fn draw(&self, text: &str) {
        let width = WIDTH + 60;
        let _ = write!(io::stderr(), "\r{text:<width$}");
    }
}

/// Ends this program as the signal does that was held back.
pub(crate) fn die(signal: Signal) {
    let _ = nix::sys::signal::raise(signal);
    let mut set = SigSet::empty();
    set.add(signal);
    let _ = set.thread_unblock();
}
