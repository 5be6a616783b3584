//! Who reads values while they are replaced, in each way that programs do it. Every value must be one that somebody stored,
//! whole, and none older than what the same reader has seen of the same writer.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::value::{Generation, LARGEST, examine};
use crate::scale::Random;
use crate::worker::Stop;

/// A way to read, how often of a hundred it is taken, and how it is done.
type Way = (&'static str, usize, fn(&mut Reader, &Path) -> std::io::Result<Vec<Vec<u8>>>);

const WAYS: &[Way] = &[
    ("at once", 36, |_, path| one(at_once(&open(path)?)?)),
    ("fstat, then pread of that size", 14, |_, path| one(sized(&open(path)?)?)),
    ("to the end, as cat does", 10, |_, path| one(to_the_end(open(path)?)?)),
    ("in pieces of 4 KiB", 10, |_, path| one(in_pieces(&mut open(path)?, || 4096)?)),
    ("readv", 8, |_, path| one(vectored(open(path)?)?)),
    ("O_DIRECT", 8, |_, path| one(directly(path)?)),
    ("from back to front", 4, |_, path| one(backwards(&open(path)?)?)),
    ("several descriptors", 4, several),
    ("two threads", 2, |_, path| one(by_two_threads(&open(path)?)?)),
    ("small pieces with pauses", 2, |reader, path| one(reader.slowly(open(path)?)?)),
    ("after a value of its own", 1, |reader, path| one(reader.after_its_own(path)?)),
    ("late after open", 2, |reader, path| one(reader.late(path)?)),
];

struct Reader {
    random: Random,
    stop_at: Instant,
    /// Its number as a writer, and how many values it has stored.
    writer: u64,
    stored: u64,
}

/// Reads the values below a directory so many times; how often in which way, and how many values it saw. Arguments: the
/// directory, how many keys, its number as a writer, a seed, how many reads.
pub fn work(arguments: &[String]) -> Result<String, String> {
    let [directory, keys, writer, seed, reads] = arguments else { return Err("five arguments".into()) };
    let stop = Stop::watch();
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (keys, reads) = (number(keys), number(reads));
    let random = Random(number(seed) as u64);
    let mut reader = Reader { random, stop_at: Instant::now(), writer: number(writer) as u64, stored: 0 };
    let mut seen = vec![vec![0; 101]; keys];
    let (mut done, mut others, mut buffer) = (vec![0; WAYS.len()], 0, Vec::new());
    let mut last = vec![Generation::new(0, 0, 0); keys];
    while done.iter().sum::<usize>() < reads && !stop.is_asked() {
        let key = reader.random.below(keys);
        let path = Path::new(directory).join(format!("k{key}"));
        let way = pick(&mut reader.random);
        let (name, _, read) = WAYS[way];
        let tell = |what: String| format!("{name}, {}: {what}", path.display());
        for value in read(&mut reader, &path).map_err(|error| tell(error.to_string()))? {
            let found = examine(&value, key as u64, &mut buffer).map_err(tell)?;
            let before = &mut seen[key][found.writer()];
            if found.count() < *before {
                return Err(tell(format!("{found:x?} after one of {before:x}")));
            }
            *before = found.count();
            others += usize::from(std::mem::replace(&mut last[key], found) != found);
            done[way] += 1;
        }
    }
    Ok(done.iter().chain([&others]).map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

/// The names of the ways to read, in the order of a reader's answer.
pub fn ways() -> impl Iterator<Item = &'static str> {
    WAYS.iter().map(|(name, ..)| *name)
}

fn pick(random: &mut Random) -> usize {
    let mut lot = random.below(WAYS.iter().map(|(_, weight, _)| weight).sum());
    let taken = WAYS.iter().position(|(_, weight, _)| {
        let here = lot < *weight;
        lot = lot.saturating_sub(*weight);
        here
    });
    taken.expect("a way")
}

fn one(value: Vec<u8>) -> std::io::Result<Vec<Vec<u8>>> {
    Ok(vec![value])
}

fn open(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// A read of more than there can be, and another that must find the end.
fn at_once(mut file: &File) -> std::io::Result<Vec<u8>> {
    let mut value = vec![0; LARGEST + 1];
    let length = file.read(&mut value)?;
    let behind = file.read(&mut [0; 16])?;
    if behind != 0 {
        return Err(std::io::Error::other(format!("{behind} bytes behind the end")));
    }
    value.truncate(length);
    Ok(value)
}

/// What fstat(2) says is there must be all that there is.
fn sized(file: &File) -> std::io::Result<Vec<u8>> {
    let size = file.metadata()?.size() as usize;
    let mut value = vec![0; size];
    let length = file.read_at(&mut value, 0)?;
    if length != size || file.read_at(&mut [0; 16], size as u64)? != 0 {
        return Err(std::io::Error::other(format!("fstat says {size} bytes, pread finds {length} or more")));
    }
    Ok(value)
}

fn to_the_end(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut value = Vec::new();
    file.read_to_end(&mut value)?;
    Ok(value)
}

fn in_pieces(file: &mut File, mut size: impl FnMut() -> usize) -> std::io::Result<Vec<u8>> {
    let mut value = Vec::new();
    loop {
        let before = value.len();
        value.resize(before + size(), 0);
        let length = file.read(&mut value[before..])?;
        value.truncate(before + length);
        if length == 0 {
            return Ok(value);
        }
    }
}

fn vectored(mut file: File) -> std::io::Result<Vec<u8>> {
    let (mut one, mut two, mut three) = (vec![0; 20], vec![0; 5000], vec![0; LARGEST]);
    let parts = &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two), IoSliceMut::new(&mut three)];
    let length = file.read_vectored(parts)?;
    let mut value = [one, two, three].concat();
    value.truncate(length);
    Ok(value)
}

/// Into memory that begins with a page, by whole pages.
fn directly(path: &Path) -> std::io::Result<Vec<u8>> {
    const PAGE: usize = 4096;
    let mut file = File::options().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let mut memory = vec![0; PAGE * 8];
    let start = PAGE - memory.as_ptr().addr() % PAGE;
    let place = &mut memory[start..start + PAGE * 4];
    let mut value = Vec::new();
    loop {
        let length = file.read(place)?;
        value.extend_from_slice(&place[..length]);
        if length == 0 {
            return Ok(value);
        }
    }
}

fn backwards(file: &File) -> std::io::Result<Vec<u8>> {
    let size = file.metadata()?.size() as usize;
    let mut value = vec![0; size];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(size.div_ceil(5));
        file.read_exact_at(&mut value[start..end], start as u64)?;
        end = start;
    }
    Ok(value)
}

/// Three descriptors, opened one after the other and read in turns, the second by way of a duplicate too.
fn several(reader: &mut Reader, path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for _ in 0..3 {
        files.push((open(path)?, Vec::new(), false));
        if reader.random.below(4) == 0 {
            reader.pause();
        }
    }
    let mut duplicate = files[1].0.try_clone()?;
    let mut piece = vec![0; 1 + LARGEST / 3];
    while let Some(next) = files.iter().position(|(_, _, ended)| !ended) {
        let turn = next + reader.random.below(files.len() - next);
        let (file, value, ended) = &mut files[turn];
        let length =
            if turn == 1 && value.len() % 2 == 0 { duplicate.read(&mut piece) } else { file.read(&mut piece) }?;
        value.extend_from_slice(&piece[..length]);
        *ended = length == 0;
    }
    Ok(files.into_iter().map(|(_, value, _)| value).collect())
}

/// Each half by another thread, through the same descriptor.
fn by_two_threads(file: &File) -> std::io::Result<Vec<u8>> {
    let size = file.metadata()?.size() as usize;
    let mut value = vec![0; size];
    let (one, other) = value.split_at_mut(size / 2);
    std::thread::scope(|scope| {
        let half = scope.spawn(|| file.read_exact_at(other, size as u64 / 2));
        file.read_exact_at(one, 0)?;
        half.join().expect("a thread")
    })?;
    Ok(value)
}

impl Reader {
    /// Lets others go on. Nothing depends on how long it takes.
    fn pause(&mut self) {
        std::thread::sleep(Duration::from_micros(self.random.below(400) as u64));
    }

    fn slowly(&mut self, mut file: File) -> std::io::Result<Vec<u8>> {
        let size = file.metadata()?.size() as usize;
        let piece = 1 + self.random.below(size / 4 + 1).max(size / 16);
        in_pieces(&mut file, || {
            self.pause();
            piece
        })
    }

    /// Stores one of another length, closes it, and reads at once what is there by then.
    fn after_its_own(&mut self, path: &Path) -> std::io::Result<Vec<u8>> {
        let key = path.as_os_str().as_encoded_bytes().last().expect("a name") - b'0';
        self.stored += 1;
        let mut value = Vec::new();
        Generation::new(self.writer, key.into(), self.stored).fill(&mut value);
        let mut file = File::options().write(true).truncate(true).open(path)?;
        file.write_all(&value)?;
        nix::unistd::close(file)?;
        sized(&open(path)?)
    }

    /// Reads what it opened once somebody has stored another value.
    fn late(&mut self, path: &Path) -> std::io::Result<Vec<u8>> {
        let before = version(path)?;
        let file = open(path)?;
        self.stop_at = Instant::now() + Duration::from_secs(30);
        while version(path)? == before {
            if Instant::now() > self.stop_at {
                return Err(std::io::Error::other("nobody stores another value"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        at_once(&file)
    }
}

fn version(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut number = vec![0; 32];
    let length = rustix::fs::getxattr(path, "system.keyfs.version", &mut number)?;
    number.truncate(length);
    Ok(number)
}
