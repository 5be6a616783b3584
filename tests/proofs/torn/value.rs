//! Values that say of each of their bytes whether it belongs to them: who stored it and as which of theirs decides the length
//! and every byte, and each run of 64 bytes begins with that number.
//!
//! A reader compares all bytes with what they must be, which finds whatever a checksum would.

use crate::scale::Random;

pub const SMALLEST: usize = 40;
pub const LARGEST: usize = 200_000;
/// Each run of this many bytes says which value it is of.
const RUN: usize = 64;

/// Who stored a value, under which key, and how many this writer stored there before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Generation(u64);

impl Generation {
    /// How many bytes at the beginning of a run say which value it is of.
    pub const BYTES: usize = 8;

    pub fn new(writer: u64, key: u64, count: u64) -> Generation {
        assert!(writer < 1 << 16 && key < 1 << 8 && count < 1 << 40);
        Generation(writer << 48 | key << 40 | count)
    }

    pub fn writer(self) -> usize {
        (self.0 >> 48) as usize
    }

    pub fn key(self) -> u64 {
        self.0 >> 40 & 0xff
    }

    pub fn count(self) -> u64 {
        self.0 & ((1 << 40) - 1)
    }

    /// Between the two limits, as many short ones as long ones by their orders of magnitude.
    pub fn length(self) -> usize {
        let part = (Random(self.0).next() >> 11) as f64 / (1_u64 << 53) as f64;
        (SMALLEST as f64 * (LARGEST as f64 / SMALLEST as f64).powf(part)).round() as usize
    }

    /// The bytes of its value.
    pub fn fill(self, value: &mut Vec<u8>) {
        value.clear();
        let length = self.length();
        let mut random = Random(self.0 ^ 0x005e_ed0f_0b17_e500);
        while value.len() < length {
            value.extend_from_slice(&self.0.to_le_bytes());
            (8..RUN).step_by(8).for_each(|_| value.extend_from_slice(&random.next().to_le_bytes()));
        }
        value.truncate(length);
    }

    /// Which value a run of bytes says that it is of.
    pub fn of(run: &[u8]) -> Option<Generation> {
        Some(Generation(u64::from_le_bytes(run.get(..Self::BYTES)?.try_into().ok()?)))
    }
}

/// Which values the parts of these bytes say that they are of, each once in a row.
pub fn parts(bytes: &[u8]) -> Vec<Generation> {
    let mut all: Vec<_> = bytes.chunks(RUN).filter_map(Generation::of).collect();
    all.dedup();
    all
}

/// Which value this is, whole; or what is wrong with it.
pub fn examine(bytes: &[u8], key: u64, wanted: &mut Vec<u8>) -> Result<Generation, String> {
    let generation = Generation::of(bytes).ok_or_else(|| format!("a value of {} bytes", bytes.len()))?;
    if generation.key() != key || generation.writer() > 100 {
        return Err(format!("a value that begins as none of its key's: {generation:x?}"));
    }
    generation.fill(wanted);
    if let Some(at) = bytes.iter().zip(wanted.iter()).position(|(found, wanted)| found != wanted) {
        let parts = parts(bytes);
        return Err(format!("torn at {at} of {} bytes, of the values {parts:x?}", bytes.len()));
    }
    match bytes.len().cmp(&wanted.len()) {
        std::cmp::Ordering::Less => Err(format!("cut: {} bytes of {}", bytes.len(), wanted.len())),
        std::cmp::Ordering::Equal => Ok(generation),
        std::cmp::Ordering::Greater => Err(format!("{} bytes of {}", bytes.len(), wanted.len())),
    }
}

/// That each thing which can be wrong with a value is noticed.
pub fn wrong_values_are_noticed() {
    let (mut one, mut other, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    let (first, second) = (Generation::new(1, 2, 3), Generation::new(1, 2, 4));
    first.fill(&mut one);
    second.fill(&mut other);
    let mut wrong = |bytes: &[u8]| assert!(examine(bytes, 2, &mut buffer).is_err(), "{} bytes pass", bytes.len());
    wrong(&[]);
    wrong(&one[..one.len() - 1]);
    wrong(&[one.as_slice(), b"\0"].concat());
    wrong(&vec![0; one.len()]);
    let least = one.len().min(other.len());
    for at in [1, 8, 20, 63, 64, 65, least / 2, least - 1] {
        if one[at..least] != other[at..least] {
            wrong(&[&one[..at], &other[at..]].concat());
            wrong(&[&other[..at], &one[at..]].concat());
        }
        let mut flipped = one.clone();
        flipped[at] ^= 1;
        wrong(&flipped);
    }
    assert_eq!(examine(&one, 2, &mut buffer), Ok(first));
    assert!(examine(&one, 3, &mut buffer).is_err(), "the value of another key passes");
    let lengths: Vec<_> = (0..2000).map(|count| Generation::new(0, 0, count).length()).collect();
    assert!(lengths.iter().all(|length| (SMALLEST..=LARGEST).contains(length)));
    assert!(lengths.iter().any(|length| *length < 60) && lengths.iter().any(|length| *length > 150_000));
}
