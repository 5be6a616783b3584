//! Takes an input apart into choices: each byte is one, and where there is none left the choices end.

/// What is left of an input.
pub struct Input<'i>(pub &'i [u8]);

impl<'i> Input<'i> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> Option<usize> {
        self.byte().map(|byte| usize::from(byte) % bound)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let place = self.below(from.len())?;
        from.get(place).copied()
    }

    /// Four bytes as a number.
    pub fn word(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    /// As many bytes as the next one says, or what is left.
    pub fn piece(&mut self) -> Option<&'i [u8]> {
        let length = self.byte()?;
        let (piece, rest) = self.0.split_at(usize::from(length).min(self.0.len()));
        self.0 = rest;
        Some(piece)
    }
}
