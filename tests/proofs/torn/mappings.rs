//! What a mapping shows while values are replaced. The kernel has one page cache and one size for all descriptors of a file, so
//! that a mapping promises less than read(2): this measures how much less.

use std::collections::BTreeMap;
use std::path::Path;

use super::value::{Generation, parts};
use crate::fixture::{BOB, PAYMENTS, User};
use crate::peer::Peer;
use crate::scale::Random;

const PAGE: usize = 4096;

/// Opens, maps, looks at the first page, waits for another version where it is told to, and takes all that the mapping shows:
/// in a child, since touching what the kernel takes to be behind the end is a signal. As a line: what `read` shows first, the
/// size, and what the mapping showed; or the signal.
const LOOK: &str = r#"
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
def look(path, kind, late):
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        own = os.pread(fd, size, 0)
        where, what = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(where)
                before = os.getxattr(path, 'system.keyfs.version')
                at = libc.mmap(None, size, 1, kind, fd, 0)
                ctypes.string_at(at, 1)
                while late and os.getxattr(path, 'system.keyfs.version') == before:
                    pass
                data = memoryview(ctypes.string_at(at, size))
                while data:
                    data = data[os.write(what, data):]
            finally:
                os._exit(0)
        os.close(what)
        data = b''
        while part := os.read(where, 1 << 20):
            data += part
        os.close(where)
        status = os.waitpid(child, 0)[1]
        return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else own.hex() + ' ' + data.hex()
    finally:
        os.close(fd)
"#;

/// Someone who maps.
pub struct Mapper(Peer);

impl Mapper {
    pub fn new() -> Mapper {
        let mut peer = Peer::new(User(BOB, BOB, &[PAYMENTS]));
        peer.is(&format!("exec({LOOK:?}, names)"), "None");
        Mapper(peer)
    }

    /// What one look at a value by a mapping comes to.
    pub fn look(&mut self, path: &Path, kind: &str, late: bool, key: u64) -> String {
        let asked = format!("look('{}', mmap.{kind}, {})", path.display(), if late { "True" } else { "False" });
        let answer = self.0.ask(&asked);
        let answer = answer.trim_matches('\'');
        let Some((own, shown)) = answer.split_once(' ') else { return answer.to_owned() };
        let (own, shown) = (bytes(own), bytes(shown));
        assert!(!shown.is_empty(), "{asked}: nothing");
        judge(&own, &shown, key)
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).expect("a digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// In words, what a mapping showed of a value that `read` shows as `own`.
fn judge(own: &[u8], shown: &[u8], key: u64) -> String {
    if own == shown {
        return "the value that read shows".into();
    }
    let mut kinds = BTreeMap::new();
    for (number, page) in shown.chunks(PAGE).enumerate() {
        *kinds.entry(kind(own, page, number, key)).or_insert(0) += 1;
    }
    kinds.into_keys().collect::<Vec<_>>().join(" and ")
}

/// What one page is: every byte of one value as it was stored, and zero behind that value's end.
fn kind(own: &[u8], page: &[u8], number: usize, key: u64) -> &'static str {
    let begun = |value: &[u8]| {
        let there = value.get(number * PAGE..).unwrap_or_default();
        let there = &there[..there.len().min(page.len())];
        let alike = page.iter().zip(there).take_while(|(shown, wanted)| shown == wanted).count();
        (alike == there.len() && page[alike..].iter().all(|byte| *byte == 0), alike > 0, alike)
    };
    let mut other = Vec::new();
    let generation = Generation::of(page).filter(|found| found.key() == key && found.writer() < 100);
    generation.inspect(|generation| generation.fill(&mut other));
    let shown = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match (begun(own), begun(&other)) {
        ((true, true, _), _) => "own pages",
        (_, (true, true, _)) => "pages of another version",
        _ if shown == 0 => "zero pages",
        // What was cut off is zero in the last page that stays.
        ((_, true, alike), _) | (_, (_, true, alike)) if shown <= alike => "pages cut short",
        // Where the size of one value cuts another, or a value ends right behind the start of a page.
        _ if shown < Generation::BYTES => "pages too short to say of which version",
        _ => panic!("page {number} that nobody stored, {shown} of its {} bytes, of {:x?}", page.len(), parts(page)),
    }
}

/// Looks at values so many times: how often which was seen.
pub fn looks(directory: &Path, keys: usize, times: usize, random: &mut Random) -> BTreeMap<String, usize> {
    let mut mapper = Mapper::new();
    let mut seen = BTreeMap::new();
    for _ in 0..times {
        let key = random.below(keys);
        let (kind, late) = (random.pick(&["MAP_PRIVATE", "MAP_SHARED"]), random.below(2) == 0);
        let found = mapper.look(&directory.join(format!("k{key}")), kind, late, key as u64);
        let when = if late { "after another commit" } else { "at once" };
        *seen.entry(format!("{kind} {when}: {found}")).or_insert(0) += 1;
    }
    seen
}
