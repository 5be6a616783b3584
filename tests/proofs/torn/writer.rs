//! Who replaces values in place, in each way that programs do it.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::value::Generation;
use crate::scale::Random;
use crate::worker::Stop;

/// Replaces the values below a directory until it is told to stop; how many it has stored. Arguments: the directory, how many
/// keys, its number, a seed, and one that it has no use for.
pub fn work(arguments: &[String]) -> Result<String, String> {
    let [directory, keys, writer, seed, _] = arguments else { return Err("five arguments".into()) };
    let stop = Stop::watch();
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (keys, writer) = (number(keys), number(writer));
    let mut random = Random(number(seed));
    let mut counts = vec![0; keys as usize];
    let mut value = Vec::new();
    while !stop.is_asked() {
        let key = random.below(keys as usize);
        counts[key] += 1;
        let generation = Generation::new(writer, key as u64, counts[key]);
        generation.fill(&mut value);
        let path = Path::new(directory).join(format!("k{key}"));
        replace(&path, &value, &mut random).map_err(|error| format!("writing {generation:x?}: {error}"))?;
    }
    Ok(counts.iter().sum::<u64>().to_string())
}

/// Stores a value in place.
fn replace(path: &Path, value: &[u8], random: &mut Random) -> std::io::Result<()> {
    let way = random.below(7);
    let mut file = File::options().write(true).truncate(way < 5).mode(0o660).open(path)?;
    match way {
        0 => file.write_all(value)?,
        1 => in_pieces(value, random, |piece, _| file.write_all(piece))?,
        // From back to front: the parts in between are zero until they are written.
        2 => {
            let mut pieces = Vec::new();
            in_pieces(value, random, |piece, at| {
                pieces.push((piece.len(), at));
                Ok(())
            })?;
            pieces.iter().rev().try_for_each(|(length, at)| file.write_all_at(&value[*at..at + length], *at as u64))?;
        }
        3 => {
            let (one, other) = value.split_at(random.below(value.len()));
            let written = file.write_vectored(&[IoSlice::new(one), IoSlice::new(other)])?;
            file.write_all(&value[written..])?;
        }
        // What is stored by fsync(2), and what by the close after it, is one whole value both times.
        4 => {
            in_pieces(value, random, |piece, _| file.write_all(piece))?;
            file.sync_all()?;
        }
        // Without O_TRUNC: over what is there, and the length at last or at first.
        5 => {
            in_pieces(value, random, |piece, at| file.write_all_at(piece, at as u64))?;
            file.set_len(value.len() as u64)?;
        }
        _ => {
            file.set_len(value.len() as u64)?;
            in_pieces(value, random, |piece, at| file.write_all_at(piece, at as u64))?;
        }
    }
    Ok(nix::unistd::close(file)?)
}

/// Hands out a value in 2 to 6 parts, each with its place.
fn in_pieces<'v>(
    value: &'v [u8],
    random: &mut Random,
    mut put: impl FnMut(&'v [u8], usize) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let piece = value.len().div_ceil(2 + random.below(5)).max(1);
    for (number, part) in value.chunks(piece).enumerate() {
        put(part, number * piece)?;
        if random.below(16) == 0 {
            std::thread::yield_now();
        }
    }
    Ok(())
}
