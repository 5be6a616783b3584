//! Many at once on few names: nobody waits for ever, nothing breaks, and what is left hangs together.

use std::sync::atomic::AtomicUsize;

use super::*;

fn turn(world: &World, who: &Who, number: usize) -> Result<(), Error> {
    let names = ["a", "b", "d/a", "d/b"];
    let pick = |salt: usize| format!("dev/secrets/{}", names[(number / 7 + salt) % names.len()]);
    let id = world.find(&pick(0));
    match number % 12 {
        11 => world.transact(who, &[pick(0), pick(1), pick(2)], number),
        0..3 => world.write(who, &pick(number), REWRITE, number),
        3 => world.write(who, &pick(0), APPEND, number),
        4 => world.move_one(who, &pick(0), &pick(1), RenameMode::Replace),
        5 => world.move_one(who, &pick(0), &pick(2), RenameMode::Exchange),
        6 => world.ns.remove_by_editor(who, id?).map(drop),
        7 => world.ns.truncate_closed(who, id?, (number % 5) as u64),
        8 => {
            let bits = if number.is_multiple_of(2) { 0o640 } else { 0o600 };
            world.ns.alter(
                who,
                id?,
                Alteration::Set(AttributeChange { mode: Some(mode(bits)), ..AttributeChange::default() }),
            )
        }
        9 => {
            let file = world.ns.open(who, id?, READ)?;
            let answer = world.read(who, &file);
            world.ns.attributes(who, file.node())?;
            world.ns.release(&file);
            answer.map(drop)
        }
        _ => {
            let top = world.root("dev", Tree::Secrets);
            world.ns.list(top)?;
            world.ns.past(who, top, &[name("d")])?;
            match number % 3 {
                0 => world.ns.make_directory(who, top, &name("d"), mode(0o755), mode(0)).map(drop),
                1 => world.ns.rename(who, (top, &name("d")), (top, &name("e")), RenameMode::Replace),
                _ => world.ns.rename(who, (top, &name("e")), (top, &name("d")), RenameMode::Replace),
            }
        }
    }
}

impl World {
    fn find(&self, path: &str) -> Result<NodeId, Error> {
        let (root, names) = self.split(path);
        names.iter().try_fold(root, |id, name| Ok(self.ns.lookup(id, name)?.node))
    }

    fn above(&self, path: &str) -> Result<(NodeId, Name), Error> {
        let (above, last) = path.rsplit_once('/').unwrap();
        Ok((
            if above.matches('/').count() == 1 { self.root("dev", Tree::Secrets) } else { self.find(above)? },
            name(last),
        ))
    }

    fn write(&self, who: &Who, path: &str, how: OpenMode, number: usize) -> Result<(), Error> {
        let (parent, name) = self.above(path)?;
        let (_, file) = self.ns.create(who, parent, &name, (mode(0o640), mode(0)), how, false)?;
        let written = self.ns.write(&file, 0, number.to_string().as_bytes());
        if number.is_multiple_of(5) {
            // Its name goes while it is open.
            let _ = self.ns.remove_file(who, parent, &name);
        }
        let flushed = self.ns.flush(who, &file);
        self.ns.release(&file);
        written.and(flushed)
    }

    /// Changes several at once, and two that nobody else changes alike.
    fn transact(&self, who: &Who, paths: &[String; 3], number: usize) -> Result<(), Error> {
        let stage = self.stage(who, &format!("t{}-{number}", who.thread));
        let staged = || {
            for path in ["dev/secrets/d", "dev/secrets/pair"] {
                stage.mkdir(who, path)?;
            }
            let value = number.to_string();
            stage.put(who, &paths[0], value.as_bytes())?;
            stage.put(who, "dev/secrets/pair/one", value.as_bytes())?;
            stage.put(who, "dev/secrets/pair/other", value.as_bytes())?;
            if paths[1] != paths[0] {
                stage.rm(who, &paths[1])?;
            }
            if !paths[..2].contains(&paths[2]) {
                let id = stage.touch(who, &paths[2])?;
                self.ns.stage_alteration(who, id, Alteration::Note(b"n", value.as_bytes(), Note::Set))?;
            }
            stage.commit(who).map(drop)
        };
        staged().inspect_err(|_| stage.take_back(who))
    }

    fn move_one(&self, who: &Who, from: &str, to: &str, how: RenameMode) -> Result<(), Error> {
        let (from, to) = (self.above(from)?, self.above(to)?);
        self.ns.rename(who, (from.0, &from.1), (to.0, &to.1), how)
    }
}

#[test]
fn many_at_once_leave_a_whole_tree() {
    let world = World::new();
    let begun = world.ns.events_end();
    let transactions = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (world, transactions) = (&world, &transactions);
            scope.spawn(move || {
                let who = root().thread(thread + 1);
                for number in 0..1500 {
                    let number = number * 13 + thread as usize;
                    let answer = turn(world, &who, number);
                    transactions.fetch_add(usize::from(number % 12 == 11 && answer.is_ok()), Ordering::Relaxed);
                    if let Err(error @ (Error::Tampered(_) | Error::Store(_))) = answer {
                        panic!("{error}");
                    }
                }
            });
        }
    });
    assert_eq!(world.ns.totals().open_files, 0);
    assert!(!world.paper.take().iter().any(|line| line.starts_with("tampered")));
    assert_eq!(world.findings(), [""; 0]);
    // What was changed together is alike, and was told as often as it was changed.
    let transactions = transactions.into_inner();
    assert!(transactions > 50, "{transactions}");
    let pair = ["one", "other"].map(|name| format!("dev/secrets/pair/{name}"));
    assert_eq!(world.get(&root(), &pair[0]).unwrap(), world.get(&root(), &pair[1]).unwrap());
    assert_eq!(pair.map(|path| world.version(&path)), [transactions as u64; 2]);
    let told = world.follow(&root(), begun).0;
    assert_eq!(told.iter().filter(|line| line.starts_with("put pair/")).count(), 2 * transactions);
    assert_eq!(world.ns.transactions(), 0);
    let mut waiting = vec![world.root("dev", Tree::Secrets)];
    while let Some(directory) = waiting.pop() {
        let listed = world.ns.list(directory).unwrap();
        let directories = listed.iter().filter(|entry| entry.kind == Kind::Directory).count();
        assert_eq!(world.ns.attributes(&root(), directory).unwrap().links as usize, directories + 2);
        for entry in listed {
            assert_eq!(world.ns.lookup(directory, &entry.name).unwrap().node, entry.node);
            world.ns.address(entry.node).unwrap();
            match entry.kind {
                Kind::Directory => waiting.push(entry.node),
                Kind::File => {
                    let file = world.ns.open(&root(), entry.node, READ).unwrap();
                    world.read(&root(), &file).unwrap();
                    world.ns.release(&file);
                }
            }
        }
    }
}
