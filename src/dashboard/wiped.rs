//! Bytes that may be secret, gathered piece by piece.
//!
//! Invariant: all of them are wiped when they go; where they move to have more room, nothing of them stays behind.

use zeroize::Zeroizing;

/// See the module.
pub(super) type Wiped = Zeroizing<Vec<u8>>;

/// Appends a piece.
pub(super) fn extend(gathered: &mut Wiped, piece: &[u8]) {
    let length = gathered.len().saturating_add(piece.len());
    if gathered.capacity() < length {
        // Growing in place would leave a copy behind.
        let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * gathered.capacity())));
        larger.extend_from_slice(gathered);
        *gathered = larger;
    }
    gathered.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_come_together() {
        let mut gathered = Wiped::default();
        let pieces: Vec<Vec<u8>> = (0..200_usize).map(|n| vec![n as u8; n * n % 97]).collect();
        pieces.iter().for_each(|piece| extend(&mut gathered, piece));
        assert_eq!(*gathered, pieces.concat());
        // Room is made rarely.
        assert!(gathered.capacity() <= 2 * gathered.len());
    }
}
