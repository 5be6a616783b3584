#!/usr/bin/env node
// A job that takes its settings from keyfs: see ../README.md.
'use strict';

const fs = require('fs');
const path = require('path');
const { getSystemErrorMap } = require('util');

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** What the system calls an error. */
function reason(error) {
  const [, text] = getSystemErrorMap().get(error.errno) ?? [];
  return text ?? error.message;
}

function isDirectory(directory) {
  return fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The directory with the two trees, which a mount of one environment has at its root. */
function keys() {
  const mount = process.env.KEYFS_MOUNT ?? '/keys';
  if (['variables', 'secrets'].every((tree) => isDirectory(path.join(mount, tree)))) {
    return mount;
  }
  const directory = path.join(mount, process.env.KEYFS_ENV ?? 'dev');
  if (!isDirectory(path.join(directory, 'variables'))) {
    fail(`there are no keys in ${directory}: is keyfs mounted, and are KEYFS_MOUNT and KEYFS_ENV right?`);
  }
  return directory;
}

/** A key's value, less one trailing newline; where there is none, the default, if there is one. */
function get(tree, key, otherwise) {
  const file = path.join(keys(), tree, key);
  try {
    const value = fs.readFileSync(file);
    return value.at(-1) === 0x0a ? value.subarray(0, -1) : value;
  } catch (error) {
    if (error.code === 'ENOENT') {
      return otherwise ?? fail(`${key} is missing: write it to ${file}`);
    }
    if (error.code === 'EACCES') {
      const why = 'getfattr -n system.keyfs.why --only-values --absolute-names';
      fail(`${key} is not for this process; to see why: ${why} ${file}`);
    }
    fail(`${key} can't be read from ${file}: ${reason(error)}`);
  }
}

/** Stores a variable. fsync tells whether it is stored; how close ended is told to nobody. */
function put(key, value) {
  const file = path.join(keys(), 'variables', key);
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const descriptor = fs.openSync(file, 'w');
    fs.writeSync(descriptor, `${value}\n`);
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
  } catch (error) {
    fail(`${key} can't be written to ${file}: ${reason(error)}`);
  }
}

const host = get('variables', 'db/host', 'localhost');
const password = get('secrets', 'db/password');
const lastRun = get('variables', 'jobs/last_run', 'never');
console.log(`host: ${host}`);
console.log(`password: ${password.length} bytes`);
console.log(`last run: ${lastRun}`);
put('jobs/last_run', Math.floor(Date.now() / 1000));
