// A mount, what is in it, and the programs that run as one of the users whom `inside` made.
//
// What is started here ends with `end`; where that is never reached, with the namespace that the runner is in.

import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';

const PLACE = process.env.KEYFS_BROWSER_PLACE;
if (!PLACE) {
  console.error('start the tests with tests/browser/run: it makes the users and mounts that they need, and takes them away again');
  process.exit(2);
}
const BIN = path.join(PLACE, 'bin');

/** Runs a program as a user and gives what it wrote to stdout; `input` is its stdin. */
export function run(user, argv, { input = '', env = {}, fails = false } = {}) {
  const [program, ...args] = as(user, argv);
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { env: environment(user, env), maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (!!error === fails) resolve(fails ? stderr : stdout);
      else reject(new Error(`${user}: ${argv.join(' ')}: ${fails ? 'did not fail' : `${error.code}: ${stderr}`}`));
    });
    child.stdin.on('error', () => {}); // Whoever ended early says why.
    child.stdin.end(input);
  });
}

function as(user, argv) {
  if (user === 'root') return argv;
  return ['setpriv', '--reuid', user, '--regid', user, '--init-groups', '--', ...argv];
}

function environment(user, more) {
  const home = user === 'root' ? path.join(PLACE, 'home') : path.join(PLACE, 'home', user);
  return { PATH: `${BIN}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8', TZ: 'UTC', ...more };
}

/** A store of its own, mounted. */
export class Mount {
  #dashboards = [];

  static async start(at) {
    const home = await mkdtemp(path.join(PLACE, 'tests', 'mount-'));
    const mount = new Mount();
    mount.home = home;
    mount.keys = at ?? path.join(home, 'keys');
    await run('root', ['chmod', '755', home]);
    await mkdir(mount.keys, { recursive: true });
    const store = ['--store', path.join(home, 'store.redb'), '--identity', path.join(home, 'identity')];
    await run('root', ['keyfs', 'mount', '--create', '--background', ...store, mount.keys]);
    return mount;
  }

  /** Writes a value as a user would: `dev/secrets/db/password`. Directories are made, `groups` is `payments:rw,analysts:r`. */
  async echo(key, value, { as: user = 'alice', groups, mode, expires } = {}) {
    const script = `set -e
      file=$1; shift
      umask "$1"; mkdir -p "\${file%/*}"
      umask "$2"; cat >"$file"
      [ -z "$3" ] || setfattr -n user.keyfs.groups -v "$3" "$file"
      [ -z "$4" ] || chmod "$4" "$file"
      [ -z "$5" ] || setfattr -n user.keyfs.expires -v "$5" "$file"`;
    const umask = key.split('/')[1] === 'secrets' ? '077' : '022';
    const argv = [path.join(this.keys, key), '022', umask, groups ?? '', mode ?? '', expires ?? ''];
    await run(user, ['sh', '-c', script, 'sh', ...argv], { input: value });
  }

  /** `setfacl`, `chmod`, `rm` and the rest, in the mount's directory. */
  async sh(command, { as: user = 'alice' } = {}) {
    return run(user, ['sh', '-e', '-c', `cd "$0"; ${command}`, this.keys]);
  }

  /** The command line as a user. */
  async dt(argv, { as: user = 'alice', ...rest } = {}) {
    return run(user, ['dt', ...argv], { env: { KEYFS_MOUNT: this.keys }, ...rest });
  }

  /** A dashboard of a user. */
  async dashboard(user, options = []) {
    const dashboard = await Dashboard.start(user, this.keys, options);
    this.#dashboards.push(dashboard);
    return dashboard;
  }

  async end() {
    await Promise.all(this.#dashboards.map((dashboard) => dashboard.end()));
    await run('root', ['keyfs', 'umount', this.keys]);
  }
}

/** `dt dashboard` of a user: `link` leads in, `origin` is where it is. */
class Dashboard {
  static async start(user, keys, options) {
    const [program, ...args] = as(user, ['dt', 'dashboard', '--no-open', ...options, keys]);
    const child = spawn(program, args, { env: environment(user), stdio: ['ignore', 'pipe', 'pipe'] });
    const dashboard = new Dashboard();
    Object.assign(dashboard, { user, child, said: '' });
    dashboard.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    child.stderr.on('data', (data) => (dashboard.said += data));
    dashboard.link = await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      dashboard.ended.then((code) => reject(new Error(`dt dashboard of ${user} ended with ${code}: ${dashboard.said}`)));
    });
    dashboard.origin = new URL(dashboard.link).origin;
    return dashboard;
  }

  /** The token of this start. */
  get token() {
    return new URL(this.link).hash.replace('#token=', '');
  }

  /** Ends it with a signal and waits for that; the end is its own, not the signal's. */
  async end() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    const code = await this.ended;
    if (code !== 0) throw new Error(`dt dashboard of ${this.user} ended with ${code}: ${this.said}`);
  }
}
