//! The model that the tree alone is compared with (tests/model), in front of it what the kernel asks: on a real mount, both trees,
//! by real callers, with what each of them may read and the daemon started anew now and then.

use std::path::PathBuf;

use keyfs::id::Gid;
use keyfs::tree::RenameMode;

use super::reference::{Entry, KEPT, Model, Path, Perm, Who};
use super::{CALLERS, Callers, LIMIT};
use crate::fixture::Mount;
use crate::scale::{self, Random};

/// After how many steps the daemon is started anew.
const RESTART: usize = 1000;
/// After how many everything is compared, besides what a step was about.
const ALL: usize = 25;

pub fn it_is_as_the_model() {
    let mut mount = Mount::with(&["--value-limit", &LIMIT.to_string()]);
    let mut callers = Callers::start();
    let all = who();
    let seed = scale::seed();
    let mut random = Random(seed);
    let mut model = Model::default();
    let steps = scale::either(4_000, 60_000);
    let (mut granted, mut refused, mut last) = (0, 0, Vec::new());
    for number in 0..steps {
        let step = step(&mut random, &model, &all, number < 60);
        last.push(format!("{step:?}"));
        let wanted = predict(&mut model, &all[step.who], &step);
        let base = mount.path(if step.old.is_some() { ".keyfs/history/dev" } else { "dev" });
        let answer = callers.ask(step.who, &base, &step.line());
        let fail = |what: String| -> ! {
            let from = last.len().saturating_sub(40);
            panic!("KEYFS_PROOFS_SEED={seed}, step {number}: {what}\nafter {:#?}", &last[from..]);
        };
        match (&wanted, answer.strip_prefix("ok ")) {
            (Ok(value), Some(found)) if *value == found => granted += 1,
            (Err(()), None) => refused += 1,
            _ => fail(format!("{answer:?} where the model says {wanted:?}")),
        }
        let mut paths = vec![step.path.clone()];
        paths.extend(step.to.clone());
        if number % ALL == 0 {
            paths.extend(model.entries.keys().cloned());
        }
        paths.iter().for_each(|path| compare(&mount, &model, path).unwrap_or_else(|what| fail(what)));
        if number % ALL == 0 {
            views(&mount, &model, &mut callers, &all).unwrap_or_else(|what| fail(what));
        }
        if number % RESTART == RESTART - 1 {
            mount.restart();
        }
    }
    println!("{steps} steps against the model on a mount, {granted} as it grants and {refused} as it refuses");
    assert!(granted > steps / 10 && refused > steps / 10);
}

fn who() -> Vec<Who> {
    let who =
        |(uid, gid, groups): (u32, u32, &[u32])| Who { uid, gid, groups: groups.iter().copied().map(Gid).collect() };
    CALLERS.into_iter().map(who).collect()
}

#[derive(Clone, Debug)]
struct Step {
    who: usize,
    operation: &'static str,
    path: Path,
    to: Option<Path>,
    how: u32,
    mode: u32,
    value: String,
    old: Option<u64>,
}

impl Step {
    fn line(&self) -> String {
        let path = self.path.join("/");
        let Step { operation, how, mode, value, .. } = self;
        match *operation {
            "put" => format!("put\t{path}\ttruncate\t{mode}\t0\t{value}"),
            "append" => format!("put\t{path}\tappend\t{mode}\t0\t{value}"),
            "old" => format!("get\t{path}/{}", self.old.unwrap_or_default()),
            "truncate" => format!("truncate\t{path}\t{how}"),
            "mkdir" => format!("mkdir\t{path}\t{mode}\t0"),
            "chmod" => format!("chmod\t{path}\t{mode}"),
            "chgrp" => format!("chown\t{path}\t{}\t{how}", u32::MAX),
            "rename" => format!("rename\t{path}\t{}\t{how}", self.to.as_ref().expect("a name").join("/")),
            _ => format!("{operation}\t{path}"),
        }
    }
}

fn path(random: &mut Random) -> Path {
    let mut path = vec![random.pick(&["secrets", "secrets", "variables"])];
    (0..random.pick(&[0, 0, 1, 1, 2])).for_each(|_| path.push(random.pick(&["a", "b"])));
    path.push(random.pick(&["a", "b", "x", "y"]));
    path
}

fn step(random: &mut Random, model: &Model, all: &[Who], first: bool) -> Step {
    let mut path = path(random);
    let lot = if first { random.pick(&[0, 50]) } else { random.below(100) };
    let operation = match lot {
        0..27 => "put",
        27..35 => "append",
        35..39 => "truncate",
        39..50 => "get",
        50..58 => "mkdir",
        58..61 => "rmdir",
        61..70 => "unlink",
        70..84 => "rename",
        84..87 => "chmod",
        87..90 => "chgrp",
        _ => "old",
    };
    // Directories are mostly a and b, files mostly x and y.
    let last = match operation {
        "mkdir" | "rmdir" => random.pick(&["a", "b"]),
        "rename" | "chmod" | "chgrp" => path[path.len() - 1],
        _ => random.pick(&["x", "y", "x", "y", "x", "y", "a"]),
    };
    if let Some(name) = path.last_mut() {
        *name = last;
    }
    let how = match operation {
        "rename" => random.pick(&[0, 0, 0, 1, 2]),
        "chgrp" => random.pick(&[20_010, 20_020, 20_030]),
        _ => random.pick(&[0, 1, 6, 40, LIMIT as u32, LIMIT as u32 + 1]),
    };
    let mode = match operation {
        // Nothing to write for other: who may edit a directory as other alone may not take it away from a tree's root, a rule that
        // the model doesn't know (docs/semantics.md).
        "mkdir" => random.pick(&[0o755, 0o775, 0o775, 0o700, 0o711]),
        "chmod" if model.directory(&path) => random.pick(&[0o755, 0o775, 0o711, 0o700, 0o730]),
        _ => random.pick(&[0o600, 0o640, 0o660, 0o644, 0o200, 0o666, 0o040]),
    };
    let value = random.pick(&["a", "b", "c", "d"]).repeat(random.pick(&[0, 1, 2, 5, 20, LIMIT, LIMIT + 1]));
    let to = (operation == "rename").then(|| self::path(random));
    let newest = model.versions(&path).last().map_or(1, |stored| stored.number);
    let old = (operation == "old").then(|| (newest + 1).saturating_sub(random.below(KEPT + 2) as u64));
    Step { who: random.below(all.len()), operation, path, to, how, mode, value, old }
}

/// What comes of a step, and of the model with it.
fn predict(model: &mut Model, who: &Who, step: &Step) -> Result<String, ()> {
    let Step { path, how, mode, .. } = step;
    let value = step.value.clone().into_bytes();
    let none = |answer: Result<(), ()>| answer.map(|()| String::new());
    if step.operation == "old" {
        let answer = model.old(who, path, step.old.unwrap_or_default());
        return answer.map(|value| value.escape_ascii().to_string());
    }
    passes(model, who, path)?;
    match step.operation {
        "put" | "append" => {
            if !model.entries.contains_key(path) {
                writes(model, who, path)?;
            }
            let append = step.operation == "append";
            // An empty write is none, so that what is appended to keeps its version; the creation is the model's.
            none(model.put(who, path, *mode, value, append))
        }
        "truncate" => {
            let file = model.file(path).ok_or(())?;
            if !model.files[file].perm.allows(who, 2) {
                return Err(());
            }
            none(model.truncate(who, path, *how as usize))
        }
        "get" => {
            let file = model.file(path).ok_or(())?;
            if !model.files[file].perm.allows(who, 4) {
                return Err(());
            }
            model.get(who, path).map(|value| value.escape_ascii().to_string())
        }
        "mkdir" => {
            writes(model, who, path)?;
            none(model.mkdir(who, path, *mode))
        }
        "rmdir" => writes(model, who, path).and_then(|()| none(model.rmdir(who, path))),
        "unlink" => writes(model, who, path).and_then(|()| none(model.remove(who, path, false))),
        "rename" => none(rename(model, who, path, step.to.as_ref().ok_or(())?, *how)),
        change => {
            let Perm { owner, group, .. } = model.perm(path).ok_or(())?;
            let may = who.uid == 0 || (who.uid == owner && (change == "chmod" || who.in_group(*how) || *how == group));
            if !may {
                return Err(());
            }
            none(model.chmod(path, |perm| if change == "chmod" { perm.mode = *mode } else { perm.group = *how }))
        }
    }
}

fn rename(model: &mut Model, who: &Who, from: &Path, to: &Path, how: u32) -> Result<(), ()> {
    passes(model, who, to)?;
    // The kernel has nothing to do, and asks nobody.
    if from == to && model.entries.contains_key(from) {
        return if how == 1 { Err(()) } else { Ok(()) };
    }
    writes(model, who, from)?;
    writes(model, who, to)?;
    let exchange = how == 2;
    // A directory that gets another parent has its `..` changed.
    let moved = |path: &Path| model.directory_perm(path).is_none_or(|perm| perm.allows(who, 2));
    let elsewhere = from[..from.len() - 1] != to[..to.len() - 1];
    if elsewhere && (!moved(from) || (exchange && !moved(to))) {
        return Err(());
    }
    let mode = match how {
        1 => RenameMode::Keep,
        2 => RenameMode::Exchange,
        _ => RenameMode::Replace,
    };
    model.rename(who, from, to, mode)
}

/// Whether the directories above are there and can be searched. A tree's root is open to everybody.
fn passes(model: &Model, who: &Who, path: &Path) -> Result<(), ()> {
    let there = (2..path.len()).all(|length| model.directory(&path[..length]));
    if there && model.above_allow(who, path, 1) { Ok(()) } else { Err(()) }
}

/// Whether names in the directory above can be made and taken away.
fn writes(model: &Model, who: &Who, path: &Path) -> Result<(), ()> {
    match model.directory_perm(&path[..path.len() - 1]) {
        Some(perm) if !perm.allows(who, 3) => Err(()),
        _ => Ok(()),
    }
}

/// What one path shows to root.
fn compare(mount: &Mount, model: &Model, path: &Path) -> Result<(), String> {
    let place: PathBuf = mount.path("dev").join(path.join("/"));
    let shown = super::actor::attributes(&place, false);
    let below = |path: &Path| model.children(path).filter(|(_, entry)| matches!(entry, Entry::Directory(_))).count();
    let told = |perm: Perm, links: usize, size: &str| {
        format!("{:o} {}:{} links {links} {size}", perm.mode, perm.owner, perm.group)
    };
    let wanted = match model.entries.get(path) {
        None => return if place.exists() { Err(format!("{} is there: {shown}", place.display())) } else { Ok(()) },
        Some(Entry::Directory(directory)) => told(model.directories[*directory], 2 + below(path), "directory"),
        Some(Entry::File(file)) => {
            let file = &model.files[*file];
            told(file.perm, 1, &format!("{} bytes", file.value().len()))
        }
    };
    if shown == wanted { Ok(()) } else { Err(format!("{}: {shown} where the model has {wanted}", place.display())) }
}

/// The names that there are, and every value as each caller may read it.
fn views(mount: &Mount, model: &Model, callers: &mut Callers, all: &[Who]) -> Result<(), String> {
    for (number, who) in all.iter().enumerate() {
        let seen = callers.ask(number, &mount.path("dev"), "tree");
        let mut found: Vec<&str> = seen.split('|').filter(|line| line.contains(" bytes ")).collect();
        let mut wanted = Vec::new();
        for (path, entry) in &model.entries {
            let Entry::File(file) = entry else { continue };
            let file = &model.files[*file];
            if model.above_allow(who, path, 5) {
                let reads = file.perm.allows(who, 4) && (!file.secret || file.perm.gate(who));
                let value =
                    if reads { format!("ok {}", file.value().escape_ascii()) } else { libc::EACCES.to_string() };
                let Perm { owner, group, mode } = file.perm;
                let (size, path) = (file.value().len(), path.join("/"));
                wanted.push(format!("{path}: {mode:o} {owner}:{group} links 1 {size} bytes {value}"));
            }
        }
        found.sort_unstable();
        wanted.sort();
        if let Some((found, wanted)) = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted) {
            return Err(format!("{who:?} sees {found} where the model has {wanted}"));
        }
        if found.len() != wanted.len() {
            return Err(format!("{who:?} sees {found:#?} where the model has {wanted:#?}"));
        }
    }
    Ok(())
}
