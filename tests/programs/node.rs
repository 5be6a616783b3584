//! Node's `fs`: synchronous, with callbacks and with promises, whose calls run in one thread or another of a pool.

use std::path::Path;
use std::process::Output;

use crate::alike::{python, reference};
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User};
use crate::service::said;
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("node", "nodejs")];

pub const CASES: &[Case] = &[
    ("synchronous", synchronous),
    ("promises", promises),
    ("streams", streams),
    ("a_handle_keeps_what_it_opened", a_handle_keeps_what_it_opened),
    ("a_handle_knows_its_size", a_handle_knows_its_size),
    ("a_program_of_the_group", a_program_of_the_group),
];

/// What each program begins with; `done` tells how a promise ended.
const PRELUDE: &str = r#"
const fs = require('fs'), { execFileSync } = require('child_process'), path = require('path');
const p = fs.promises;
process.umask(0o027);
function show(label, work) {
    try { console.log(label, JSON.stringify(work())); } catch (error) { console.log(label, error.code); }
}
async function done(label, promise) {
    try { console.log(label, JSON.stringify(await promise)); } catch (error) { console.log(label, error.code); }
}
const mode = (name) => (fs.statSync(name).mode & 0o7777).toString(8);
function elsewhere(name, value) {
    execFileSync(process.argv[1], ['-c', 'import sys; open(sys.argv[1], "w").write(sys.argv[2])', name, value]);
}
function must(label, found, wanted) {
    if (found !== wanted) { throw new Error(`${label}: ${found}, and it should be ${wanted}`); }
}
"#;

fn node(user: User<'_>, directory: &Path, program: &str) -> Output {
    let text = format!("{PRELUDE}\n(async () => {{ {program} }})();");
    let mut command = user.command("node");
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent").current_dir(directory);
    command.arg("-e").arg(text).arg(python()).output().expect("node")
}

#[track_caller]
fn shown(directory: &Path, program: &str) -> String {
    let output = node(ROOT, directory, program);
    assert!(output.status.success(), "in {}: {}", directory.display(), said(&output));
    said(&output)
}

/// The same in variables, in secrets and outside the mount.
#[track_caller]
fn alike(program: &str) {
    let mount = Mount::new();
    let expected = shown(&reference(&mount, "reference"), program);
    for tree in ["dev/variables/node", "dev/secrets/node"] {
        mount.mkdir(tree);
        assert_eq!(shown(&mount.path(tree), program), expected, "in {tree}");
    }
}

fn synchronous() {
    alike(
        r#"
fs.writeFileSync('k', 'value\n');
show('read', () => fs.readFileSync('k', 'utf8'));
fs.writeFileSync('k', 'v');
show('shorter', () => fs.readFileSync('k', 'utf8'));
fs.appendFileSync('k', 'w');
show('appended', () => [fs.readFileSync('k', 'utf8'), fs.statSync('k').size, mode('k')]);
fs.writeFileSync('private', Buffer.alloc(100000, 7), { mode: 0o600 });
show('private', () => [mode('private'), fs.readFileSync('private').equals(Buffer.alloc(100000, 7))]);
show('exclusive', () => fs.writeFileSync('k', '', { flag: 'wx' }));
show('none', () => fs.readFileSync('none'));
show('directory', () => fs.readFileSync('.'));
fs.renameSync('k', 'renamed');
fs.copyFileSync('renamed', 'copied');
show('copied', () => [fs.readFileSync('copied', 'utf8'), fs.existsSync('k')]);
show('copied to none', () => fs.copyFileSync('renamed', 'copied', fs.constants.COPYFILE_EXCL));
show('deep', () => path.basename(fs.mkdirSync('a/b/c', { recursive: true })));
fs.writeFileSync('a/b/c/k', 'v');
fs.cpSync('a', 'd', { recursive: true, preserveTimestamps: true });
show('listed', () => fs.readdirSync('.', { recursive: true }).sort());
show('kinds', () => fs.readdirSync('.', { withFileTypes: true }).map((e) => [e.name, e.isDirectory()]).sort());
fs.truncateSync('copied', 1);
show('truncated', () => fs.readFileSync('copied', 'utf8'));
fs.utimesSync('copied', 1e9, 1e9);
fs.chmodSync('copied', 0o600);
show('times', () => [fs.statSync('copied').mtimeMs, mode('copied')]);
const fd = fs.openSync('rw', 'w+');
fs.writeSync(fd, 'hello');
show('its size', () => fs.fstatSync(fd).size);
show('a part', () => { const part = Buffer.alloc(3); return [fs.readSync(fd, part, 0, 3, 1), part.toString()]; });
fs.fsyncSync(fd); fs.closeSync(fd);
show('may', () => [fs.accessSync('rw', fs.constants.R_OK | fs.constants.W_OK)]);
show('temporary', () => { const made = fs.mkdtempSync('t-'); fs.rmdirSync(made); return made.length; });
fs.rmSync('a', { recursive: true }); fs.unlinkSync('rw');
show('left', () => fs.readdirSync('.').sort());
"#,
    );
}

fn promises() {
    alike(
        r#"
await done('write', p.writeFile('k', 'value\n'));
await done('read', p.readFile('k', 'utf8'));
await done('append', p.appendFile('k', 'more\n'));
await done('whole', p.readFile('k', 'utf8'));
await done('none', p.readFile('none'));
await done('exclusive', p.writeFile('k', '', { flag: 'wx' }));
await done('rename', p.rename('k', 'renamed'));
await done('copy', p.copyFile('renamed', 'copied'));
await done('deep', p.mkdir('a/b', { recursive: true }).then(path.basename));
await done('many', Promise.all([...Array(20).keys()].map((n) => p.writeFile(`a/b/${n}`, `${n}`))));
await done('all', Promise.all([...Array(20).keys()].map((n) => p.readFile(`a/b/${n}`, 'utf8'))));
await done('listed', p.readdir('a/b').then((names) => names.sort()));
await done('removed', p.rm('a', { recursive: true }));
const handle = await p.open('h', 'w+');
await handle.write('one');
await handle.write('two', 3);
await handle.truncate(5);
await handle.sync();
await done('handle', handle.read(Buffer.alloc(10), 0, 10, 0).then((read) => read.buffer.toString('utf8', 0, read.bytesRead)));
await handle.close();
await done('closed', p.readFile('h', 'utf8'));
await done('stat', p.stat('h').then((found) => [found.size, found.isFile()]));
await done('left', p.readdir('.').then((names) => names.sort()));
"#,
    );
}

fn streams() {
    alike(
        r#"
const { pipeline } = require('stream/promises'), { createGzip, createGunzip } = require('zlib');
const value = Buffer.alloc(300000, 'keys and values ');
await done('written', pipeline([value], fs.createWriteStream('k')));
await done('packed', pipeline(fs.createReadStream('k'), createGzip(), fs.createWriteStream('k.gz')));
await done('unpacked', pipeline(fs.createReadStream('k.gz'), createGunzip(), fs.createWriteStream('again')));
show('same', () => fs.readFileSync('again').equals(value));
await done('appended', pipeline(['tail'], fs.createWriteStream('again', { flags: 'a' })));
show('longer', () => fs.statSync('again').size);
const lines = require('readline').createInterface({ input: fs.createReadStream('k', { end: 31 }) });
let count = 0;
for await (const line of lines) { count += line.length; }
console.log('lines', count);
"#,
    );
}

fn a_handle_keeps_what_it_opened() {
    // Opened in one thread, measured and read in others, while other processes store values of other lengths.
    let mount = Mount::new();
    let program = r#"
const values = ['long, '.repeat(3000), 'short', 'of another length'];
fs.writeFileSync('k', values[0]);
let before = [];
for (let round = 0; round < 12; round += 1) {
    const handles = await Promise.all([1, 2, 3, 4].map(() => p.open('k')));
    elsewhere('k', values[(round + 1) % 3]);
    // Those of the round before are open still, on a version of their own.
    for (const [handles, value] of before) {
        for (const handle of handles) {
            const found = await handle.readFile('utf8');
            must(`round ${round}, the value's length`, found.length, value.length);
            must(`round ${round}, the value`, found, value);
            await handle.close();
        }
    }
    before = [[handles.slice(0, 2), values[round % 3]]];
    for (const handle of handles.slice(2)) {
        must(`round ${round}, at once`, (await handle.readFile('utf8')), values[round % 3]);
        await handle.close();
    }
}
"#;
    for tree in ["dev/variables/node", "dev/secrets/node"] {
        mount.mkdir(tree);
        shown(&mount.path(tree), program);
    }
}

fn a_handle_knows_its_size() {
    alike(
        r#"
for (let round = 0; round < 12; round += 1) {
    const handles = await Promise.all([1, 2, 3, 4].map((n) => p.open(`k${n}`, 'w+')));
    for (const handle of handles) {
        await handle.write('written');
        must(`round ${round}, unflushed`, (await handle.stat()).size, 7);
        must(`round ${round}, read`, await p.readFile(handle, 'utf8'), '');
        await handle.write('!', 0);
        must(`round ${round}, again`, (await handle.stat()).size, 7);
        await handle.close();
    }
}
console.log(fs.readFileSync('k1', 'utf8'));
"#,
    );
}

fn a_program_of_the_group() {
    let mount = Mount::new();
    mount.put("prod/secrets/token", "s3cret\n");
    mount.own("prod/secrets/token", 0, PAYMENTS, 0o640);
    let program = "await done('sync', (async () => fs.readFileSync('token', 'utf8').length)());
         await done('promise', p.readFile('token', 'utf8').then((token) => token.length));";
    let read = |user: User<'_>| said(&node(user, &mount.path("prod/secrets"), program));
    assert_eq!(read(User(ALICE, ALICE, &[PAYMENTS])), "sync 7\npromise 7\n");
    for user in [ROOT, User(BOB, BOB, &[ANALYSTS])] {
        assert_eq!(read(user), "sync EACCES\npromise EACCES\n");
    }
}
