//! Permissions, ACLs, set-group-id and sticky directories and renames, against tmpfs and ext4: the same operations of the same
//! callers in a directory of variables and in one of each, compared errno by errno and tree by tree.
//!
//! What is not compared, since it deliberately differs (docs/semantics.md): access times, which reading moves on the other two;
//! the time of modification of a file that the same value is stored in again, which is no change here, so that it is compared
//! right after it was set; `chown` to no other owner and no other group; the size of a directory; links, fifos and devices, which a key can't be; what stands right below a tree's root, which is why
//! the directory is one level down.

use std::path::{Path, PathBuf};

use super::actor::{self, hexadecimal};
use super::{CALLERS, Callers};
use crate::fixture::Mount;
use crate::medium::Medium;
use crate::scale::{self, Random};

const MODES: &[u32] =
    &[0o600, 0o640, 0o660, 0o644, 0o666, 0o755, 0o777, 0o400, 0o200, 0o040, 0o4755, 0o2755, 0o2745, 0o6777];
const DIRECTORIES: &[u32] = &[0o755, 0o777, 0o777, 0o700, 0o750, 0o711, 0o733, 0o2775, 0o2777, 0o1777, 0o3777, 0o333];
const UMASKS: &[u32] = &[0, 0o022, 0o077, 0o027, 0o007];
/// How many steps begin with an empty directory.
const STEPS: usize = 400;

/// Who does it, and what, without the directory.
type Step = (usize, String);

pub fn it_is_as_on_linux() {
    let mount = Mount::new();
    let (tmpfs, ext4) = (Medium::in_memory(64 << 20), Medium::on_disk(64 << 20));
    let tops = [("keyfs", mount.path("dev/variables")), ("tmpfs", tmpfs.path("")), ("ext4", ext4.path(""))];
    let mut callers = Callers::start();
    let seed = scale::seed();
    let rounds = scale::either(20, 250);
    let (mut outcomes, mut attempts) = (Outcomes::new(), 0);
    for round in 0..rounds {
        let mut random = Random(seed.wrapping_add(round));
        let steps: Vec<Step> = (0..STEPS).map(|number| step(&mut random, number < STEPS / 10)).collect();
        attempts += 1;
        match run(&mut callers, &tops, attempts, &steps) {
            Ok(done) => done.into_iter().for_each(|(what, count)| *outcomes.entry(what).or_default() += count),
            Err((at, failure)) => {
                let (steps, failure) = shrink(&mut callers, &tops, steps[..=at].to_vec(), failure);
                panic!("KEYFS_PROOFS_SEED={}: {failure}\nafter {steps:#?}", seed.wrapping_add(round));
            }
        }
    }
    let all = rounds as usize * STEPS;
    let succeeded = outcomes.iter().filter(|((_, outcome), _)| outcome == "ok").map(|(_, count)| count).sum::<usize>();
    println!("{all} steps on keyfs, tmpfs and ext4, of which {succeeded} were no errors; {outcomes:?}");
    assert!(succeeded > all / 5, "hardly anything was done");
}

/// How often an operation had which outcome.
type Outcomes = std::collections::BTreeMap<(String, String), usize>;

/// Does the steps in a new directory of each: what came of them, or which step came out differently.
fn run(
    callers: &mut Callers,
    tops: &[(&str, PathBuf); 3],
    attempt: usize,
    steps: &[Step],
) -> Result<Outcomes, (usize, String)> {
    let bases = tops.each_ref().map(|(name, top)| {
        let base = top.join(format!("t{attempt}"));
        std::fs::create_dir(&base).expect("a directory");
        std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
        (*name, base)
    });
    let mut outcomes = Outcomes::new();
    for (at, (who, line)) in steps.iter().enumerate() {
        let answers = bases.each_ref().map(|(name, base)| (*name, callers.ask(*who, base, line)));
        same(&answers).map_err(|different| (at, format!("{line:?} by {:?}: {different}", CALLERS[*who])))?;
        if let ["removeacl", name, "0"] = line.split('\t').collect::<Vec<_>>()[..] {
            as_ext4_has_it(&bases, name);
        }
        let word = |text: &str| text.split(['\t', ' ']).next().unwrap_or_default().to_owned();
        *outcomes.entry((word(line), word(&answers[0].1))).or_default() += 1;
        let touched: Vec<&str> = line.split('\t').skip(1).take(2).collect();
        for name in touched {
            let seen = bases.each_ref().map(|(kind, base)| (*kind, actor::attributes(&base.join(name), true)));
            same(&seen).map_err(|different| (at, format!("after {line:?}, {name}: {different}")))?;
            if line.starts_with("times") && answers[0].1.starts_with("ok") && !line.contains("omit") {
                let times = bases.each_ref().map(|(kind, base)| (*kind, actor::modified(&base.join(name))));
                same(&times).map_err(|different| (at, format!("after {line:?}, {name}: {different}")))?;
            }
        }
        if at % 40 == 39 || at + 1 == steps.len() {
            compare_all(callers, &bases).map_err(|different| (at, different))?;
        }
    }
    bases.iter().for_each(|(_, base)| std::fs::remove_dir_all(base).expect("it goes"));
    Ok(outcomes)
}

/// Where the two differ from each other, ext4 is followed: who removes an access ACL and is not in the group takes set-group-id away on
/// tmpfs alone.
fn as_ext4_has_it(bases: &[(&str, PathBuf); 3], name: &str) {
    let [_, tmpfs, ext4] = bases.each_ref().map(|(_, base)| base.join(name));
    if let Ok(found) = std::fs::symlink_metadata(ext4) {
        std::fs::set_permissions(tmpfs, found.permissions()).expect("chmod");
    }
}

/// The whole tree, as each caller may see it.
fn compare_all(callers: &mut Callers, bases: &[(&str, PathBuf); 3]) -> Result<(), String> {
    for (who, caller) in CALLERS.iter().enumerate() {
        let seen = bases.each_ref().map(|(name, base)| (*name, callers.ask(who, base, "tree").replace('|', "\n")));
        same(&seen).map_err(|different| format!("the tree as {caller:?} sees it: {different}"))?;
    }
    Ok(())
}

fn same(answers: &[(&str, String); 3]) -> Result<(), String> {
    if answers.windows(2).all(|pair| pair[0].1 == pair[1].1) { Ok(()) } else { Err(format!("{answers:#?}")) }
}

/// Leaves out steps as long as it still comes out differently.
fn shrink(
    callers: &mut Callers,
    tops: &[(&str, PathBuf); 3],
    mut steps: Vec<Step>,
    mut failure: String,
) -> (Vec<Step>, String) {
    let mut attempt = 1_000_000;
    let mut part = steps.len() / 2;
    while part > 0 && attempt < 1_000_300 {
        let mut from = 0;
        while from + part < steps.len() && attempt < 1_000_300 {
            let mut fewer = steps.clone();
            fewer.drain(from..from + part);
            attempt += 1;
            match run(callers, tops, attempt, &fewer) {
                Err((at, again)) => {
                    fewer.truncate(at + 1);
                    (steps, failure) = (fewer, again);
                }
                Ok(_) => from += part,
            }
        }
        part /= 2;
    }
    (steps, failure)
}

/// A name: directories are mostly a and b, files mostly x and y.
fn name(random: &mut Random, last: &[&str]) -> String {
    let depth = random.pick(&[0, 1, 1, 2]);
    let above = (0..depth).map(|_| random.pick(&["a", "b"])).collect::<Vec<_>>();
    [above, vec![random.pick(last)]].concat().join("/")
}

/// A step; at first those that give the later ones something to work on.
fn step(random: &mut Random, first: bool) -> Step {
    const ANY: &[&str] = &["a", "b", "x", "y"];
    const FILES: &[&str] = &["x", "y", "x", "y", "x", "y", "b"];
    const DIRECTORY: &[&str] = &["a", "b", "a", "b", "a", "b", "x"];
    let (who, lot) = (random.below(CALLERS.len()), random.below(100));
    let path = match lot {
        0..70 if first => name(random, DIRECTORY),
        0..30 | 48..52 => name(random, FILES),
        30..48 => name(random, DIRECTORY),
        _ => name(random, ANY),
    };
    let line = match lot {
        0..70 if first => format!("mkdir\t{path}\t{}\t0", random.pick(&[0o777, 0o3777, 0o2777])),
        _ if first => format!("put\t{path}\texclusive\t{}\t0\tvalue", random.pick(&[0o666, 0o664])),
        0..22 => {
            let how = random.pick(&["truncate", "truncate", "append", "exclusive", "there", "update"]);
            let value = "v".repeat(random.below(30));
            format!("put\t{path}\t{how}\t{}\t{}\t{value}", random.pick(MODES), random.pick(UMASKS))
        }
        22..27 => format!("get\t{path}"),
        27..30 => format!("truncate\t{path}\t{}", random.below(40)),
        30..45 => format!("mkdir\t{path}\t{}\t{}", random.pick(DIRECTORIES), random.pick(UMASKS)),
        45..48 => format!("rmdir\t{path}"),
        48..52 => format!("unlink\t{path}"),
        52..66 => format!("rename\t{path}\t{}\t{}", name(random, ANY), random.pick(&[0, 0, 0, 1, 2, 2, 3])),
        66..75 => {
            let modes = random.pick(&[MODES, DIRECTORIES]);
            format!("chmod\t{path}\t{}", random.pick(modes))
        }
        75..81 => {
            let ids = [u32::MAX, 0, 20_001, 20_002, 20_003];
            let groups = [u32::MAX, 0, 20_010, 20_020, 20_030];
            match (random.pick(&ids), random.pick(&groups)) {
                // Of a change to nothing else the kernel's FUSE asks neither the daemon nor its own permission bits.
                (u32::MAX, u32::MAX) => format!("chown\t{path}\t{}\t{}", u32::MAX, 20_010),
                (id, group) => format!("chown\t{path}\t{id}\t{group}"),
            }
        }
        81..89 => format!("setacl\t{path}\t{}\t{}", random.below(2), acl(random)),
        89..91 => format!("removeacl\t{path}\t{}", random.below(2)),
        91..92 => {
            let options =
                random.pick(&["-m\tg:20010:rw", "-m\tu:20002:r", "-d\t-m\tg:20020:rwx", "-b", "-k", "-m\tm::r"]);
            format!("setfacl\t{path}\t{options}")
        }
        92..96 => format!("access\t{path}\t{}", random.below(8)),
        _ => {
            let times = ["now", "omit", "1000", "2000"];
            format!("times\t{path}\t{}\t{}", random.pick(&times), random.pick(&times))
        }
    };
    (who, line)
}

/// A list as the kernel takes it (version 2, then tag, rights and id of each entry); now and then one that it refuses.
fn acl(random: &mut Random) -> String {
    const USER_OBJ: u16 = 1;
    const USER: u16 = 2;
    const GROUP_OBJ: u16 = 4;
    const GROUP: u16 = 8;
    const MASK: u16 = 16;
    const OTHER: u16 = 32;
    let mut entries = vec![(USER_OBJ, random.below(8), u32::MAX)];
    let users: Vec<u32> = [20_001, 20_002, 20_003].into_iter().filter(|_| random.below(3) == 0).collect();
    let groups: Vec<u32> = [0, 20_010, 20_020].into_iter().filter(|_| random.below(3) == 0).collect();
    entries.extend(users.iter().map(|id| (USER, random.below(8), *id)));
    entries.push((GROUP_OBJ, random.below(8), u32::MAX));
    entries.extend(groups.iter().map(|id| (GROUP, random.below(8), *id)));
    // Without a mask it is refused where somebody is named.
    if random.below(10) > 0 && (!users.is_empty() || !groups.is_empty() || random.below(3) == 0) {
        entries.push((MASK, random.below(8), u32::MAX));
    }
    entries.push((OTHER, random.below(8), u32::MAX));
    if random.below(30) == 0 {
        entries.swap(0, 1);
    }
    let mut blob = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        blob.extend_from_slice(&tag.to_le_bytes());
        blob.extend_from_slice(&(rights as u16).to_le_bytes());
        blob.extend_from_slice(&id.to_le_bytes());
    }
    hexadecimal(&blob)
}

/// That a tree which differs in one thing is noticed.
pub fn differences_are_noticed() {
    let home = tempfile::tempdir().expect("a directory");
    let path = |name: &str| home.path().join(name);
    let see = |name: &str| actor::attributes(&path(name), true);
    let make = |name: &str, mode: u32| {
        std::fs::write(path(name), "value").expect("a file");
        std::fs::set_permissions(path(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("chmod");
    };
    make("a", 0o640);
    make("b", 0o640);
    assert_eq!(see("a"), see("b"));
    let before = see("b");
    let changes: [&dyn Fn(); 4] = [
        &|| std::fs::set_permissions(path("b"), std::os::unix::fs::PermissionsExt::from_mode(0o641)).expect("chmod"),
        &|| std::os::unix::fs::chown(path("b"), None, Some(7)).expect("chown"),
        &|| std::fs::write(path("b"), "walue").expect("write"),
        &|| std::fs::hard_link(path("b"), path("c")).expect("link"),
    ];
    for change in changes {
        let last = see("b");
        change();
        assert_ne!(see("b"), last);
        assert_ne!(see("b"), before);
    }
    assert_ne!(actor::attributes(Path::new("/nonexistent"), true), before);
}
