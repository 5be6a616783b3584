//! What the fuzzer found worth keeping, fed to its targets again: each file of `fuzz/corpus/`, without the fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Case;
use crate::scale::{Random, either, seed};

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

pub const CASES: &[Case] = &[
    ("every_target_has_a_corpus", every_target_has_a_corpus),
    ("each_input_keeps_every_promise", each_input_keeps_every_promise),
    ("so_does_what_comes_of_a_change", so_does_what_comes_of_a_change),
];

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The names and contents of a target's inputs, in the order of their names.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = corpus().join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("an input"))
        })
        .collect();
    inputs.sort();
    inputs
}

fn every_target_has_a_corpus() {
    let directories = fs::read_dir(corpus()).expect("the corpora");
    let mut found: Vec<_> =
        directories.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    let targets: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, targets);
    // Each target is a program of the fuzzer's too, which this doesn't build.
    let manifest = fs::read_to_string(corpus().join("../Cargo.toml")).expect("the fuzzer's manifest");
    for target in targets {
        assert!(inputs(target).len() > 1, "{target} has hardly an input");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is no program");
        let program = fs::read_to_string(corpus().join(format!("../fuzz_targets/{target}.rs"))).expect("a program");
        assert!(program.contains(&format!("keyfs_fuzz::{target}::run(input)")), "{target} runs something else");
    }
}

fn each_input_keeps_every_promise() {
    for (target, run) in fuzz::TARGETS {
        for (name, input) in inputs(target) {
            let _named = Named(target, &name, &input);
            run(&input);
        }
    }
}

fn so_does_what_comes_of_a_change() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random(seed);
    for (target, run) in fuzz::TARGETS {
        for (name, input) in inputs(target) {
            for _ in 0..either(1, 100) {
                let input = changed(&mut random, &input);
                let _named = Named(target, &name, &input);
                run(&input);
            }
        }
    }
}

/// A copy with some bytes changed, taken out or doubled.
fn changed(random: &mut Random, input: &[u8]) -> Vec<u8> {
    let mut input = input.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(input.len() + 1);
        match (random.below(4), input.get_mut(at)) {
            (0, Some(byte)) => *byte = random.next() as u8,
            (1, Some(byte)) => *byte ^= 1 << random.below(8),
            (2, Some(_)) => drop(input.remove(at)),
            _ => input.insert(at, random.next() as u8),
        }
    }
    input
}

/// Says at a failure which input it was.
struct Named<'i>(&'i str, &'i str, &'i [u8]);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Named(target, name, input) = self;
            eprintln!("{target}/{name}, as it is or changed: {}", input.escape_ascii());
        }
    }
}
