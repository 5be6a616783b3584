//! A medium to try an opening on: what is written to it is kept in memory, until it is done to the medium beneath as well.
//!
//! Invariants:
//! - Nothing that is done to a [`Trial`] reaches the medium beneath before [`Trial::replay`].
//! - What is replayed is what was done, in that order, with a sync wherever there was one: where a replay is cut short, the
//!   medium beneath is as if the machine had stopped in the middle of doing it.
//!
//! It deliberately has no bound: an opening writes some tens of pages, and nothing else is to be tried.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::Usage;
use super::medium::Medium;
use super::trouble::is_full;

/// See the module.
#[derive(Debug)]
pub(super) struct Trial {
    base: Arc<dyn Medium>,
    /// Many threads read at once.
    state: RwLock<TrialState>,
}

#[derive(Debug)]
struct TrialState {
    len: u64,
    /// Bytes of the base beyond this are not to be seen: the medium has been shorter in the meantime.
    base_len: u64,
    /// Blocks that differ from the base, by their number.
    blocks: BTreeMap<u64, Vec<u8>>,
    /// What was done, in order.
    done: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

const BLOCK: u64 = 4096;

impl Trial {
    pub(super) fn new(base: Arc<dyn Medium>) -> io::Result<Self> {
        let len = base.len()?;
        let state = TrialState { len, base_len: len, blocks: BTreeMap::new(), done: Vec::new() };
        Ok(Self { base, state: RwLock::new(state) })
    }

    fn state(&self) -> RwLockReadGuard<'_, TrialState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_to_change(&self) -> RwLockWriteGuard<'_, TrialState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does to the medium beneath what was done here. Nothing is to be done here any longer.
    pub(super) fn replay(&self) -> io::Result<()> {
        for step in &self.state().done {
            match step {
                Step::Write(offset, data) => self.base.write(*offset, data)?,
                // A repair may use what is kept to spare.
                Step::SetLen(len) => match self.base.set_len(*len) {
                    Err(error) if is_full(&error) => self.base.stretch(*len)?,
                    done => done?,
                },
                Step::Sync => self.base.sync()?,
            }
        }
        Ok(())
    }

    fn read_base(&self, base_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = base_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (head, tail) = out.split_at_mut(there);
        tail.fill(0);
        if head.is_empty() { Ok(()) } else { self.base.read(offset, head) }
    }
}

/// The part of a block that each piece of `len` bytes from `offset` touches: block, first byte in it, number of bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let (block, begin) = (at / BLOCK, at % BLOCK);
        let take = (BLOCK - begin).min(end - at);
        at += take;
        (take > 0).then_some((block, begin as usize, take as usize))
    })
}

impl Medium for Trial {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (block, begin, take) in pieces(offset, out.len()) {
            let (piece, rest) = std::mem::take(&mut out).split_at_mut(take);
            match state.blocks.get(&block).and_then(|held| held.get(begin..begin + take)) {
                Some(held) => piece.copy_from_slice(held),
                None => self.read_base(state.base_len, block * BLOCK + begin as u64, piece)?,
            }
            out = rest;
        }
        Ok(())
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        let mut state = self.state_to_change();
        state.done.push(Step::Write(offset, data.to_vec()));
        let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        for (block, begin, take) in pieces(offset, data.len()) {
            let mut held = vec![0; BLOCK as usize];
            match state.blocks.remove(&block) {
                Some(before) => held = before,
                None => self.read_base(state.base_len, block * BLOCK, &mut held)?,
            }
            let (piece, rest) = data.split_at(take);
            if let Some(place) = held.get_mut(begin..begin + take) {
                place.copy_from_slice(piece);
            }
            state.blocks.insert(block, held);
            data = rest;
        }
        state.len = state.len.max(end);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state_to_change();
        state.done.push(Step::SetLen(len));
        if len < state.len {
            state.base_len = state.base_len.min(len);
            state.blocks.split_off(&len.div_ceil(BLOCK));
            if let Some(last) = state.blocks.get_mut(&(len / BLOCK)) {
                last.iter_mut().skip((len % BLOCK) as usize).for_each(|byte| *byte = 0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.state_to_change().done.push(Step::Sync);
        Ok(())
    }

    fn usage(&self) -> io::Result<Usage> {
        self.base.usage()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Bytes, and what was done to them.
    #[derive(Debug, Default)]
    struct Noted(Mutex<(Vec<u8>, Vec<String>)>);

    impl Medium for Noted {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.lock().unwrap().0.len() as u64)
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let noted = self.0.lock().unwrap();
            out.copy_from_slice(&noted.0[offset as usize..offset as usize + out.len()]);
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let mut noted = self.0.lock().unwrap();
            let end = offset as usize + data.len();
            let len = noted.0.len().max(end);
            noted.0.resize(len, 0);
            noted.0[offset as usize..end].copy_from_slice(data);
            noted.1.push(format!("write {offset}+{}", data.len()));
            Ok(())
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            let mut noted = self.0.lock().unwrap();
            noted.0.resize(len as usize, 0);
            noted.1.push(format!("set_len {len}"));
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            self.0.lock().unwrap().1.push("sync".into());
            Ok(())
        }
        fn usage(&self) -> io::Result<Usage> {
            Ok(Usage::default())
        }
    }

    fn content(medium: &dyn Medium) -> Vec<u8> {
        let mut all = vec![0; medium.len().unwrap() as usize];
        medium.read(0, &mut all).unwrap();
        all
    }

    #[test]
    fn what_was_tried_is_done_in_the_same_order() {
        let base = Arc::new(Noted::default());
        base.write(0, &[7; 10_000]).unwrap();
        base.0.lock().unwrap().1.clear();
        let trial = Trial::new(Arc::clone(&base) as Arc<dyn Medium>).unwrap();
        trial.write(4090, &[1; 20]).unwrap();
        trial.sync().unwrap();
        trial.set_len(5000).unwrap();
        trial.set_len(20_000).unwrap();
        trial.write(0, b"head").unwrap();
        trial.sync().unwrap();
        assert!(base.0.lock().unwrap().1.is_empty());
        assert_eq!(content(&*base), vec![7; 10_000]);
        let tried = content(&trial);
        assert!(tried[5000..].iter().all(|byte| *byte == 0) && tried[4090] == 1);
        trial.replay().unwrap();
        assert_eq!(
            base.0.lock().unwrap().1,
            ["write 4090+20", "sync", "set_len 5000", "set_len 20000", "write 0+4", "sync"]
        );
        assert_eq!(content(&*base), tried);
    }
}
