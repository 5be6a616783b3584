//! Bytes that are wiped when they are no longer needed, also where they grew.
//!
//! Invariant: whatever was written is either in the buffer, in what it was turned into, or gone.
//!
//! It deliberately doesn't lock its memory: a client holds a value only as long as it takes to pass it on.

use std::io;

use zeroize::Zeroizing;

/// A growing text or value.
#[derive(Default)]
pub(super) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// Adds bytes to the end.
    pub(super) fn push(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            // A vector that grows by itself leaves what it had in memory that was given back.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(64)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Adds a character to the end.
    pub(super) fn push_char(&mut self, c: char) {
        self.push(c.encode_utf8(&mut [0; 4]));
    }

    /// Begins a line that stands so deep.
    pub(super) fn indent(&mut self, depth: usize) {
        for _ in 0..depth {
            self.push("  ");
        }
    }

    /// Adds a JSON string.
    pub(super) fn push_json(&mut self, text: &str) {
        // A buffer takes whatever is written to it.
        let _ = serde_json::to_writer(self, text);
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl io::Write for &mut Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
