// A secret in the forms in which it could leak, and where each was found.
//
// It deliberately knows nothing of pages: bytes go in, names of forms come out.

import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A value that is nowhere by chance, and that reads otherwise in each encoding. */
export function secret() {
  return `${randomBytes(9).toString('hex')}/+ "é"&<${randomBytes(6).toString('hex')}>?`;
}

/** What holds secrets, and finds them. */
export class Secrets {
  #needles = [];

  /** `label` says in a failure which of them it is. Words of a value that stand in names as well are too short to be looked for. */
  add(value, label) {
    if (value.length < 12) throw new Error(`'${label}' is too short to be looked for`);
    for (const [form, bytes] of forms(value)) this.#needles.push({ label, form, bytes });
  }

  /** The first that is in there, in words, or nothing. */
  findIn(content) {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(content);
    const found = this.#needles.find((needle) => bytes.includes(needle.bytes));
    return found && `${found.label} (${found.form})`;
  }

  /** The files below a folder that have one in them, or in their names. */
  async findBelow(folder) {
    const found = [];
    for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
      const name = path.join(entry.parentPath ?? entry.path, entry.name);
      const what = this.findIn(name) ?? (entry.isFile() && this.findIn(await readFile(name)));
      if (what) found.push(`${path.relative(folder, name)}: ${what}`);
    }
    return found;
  }
}

function forms(value) {
  const utf8 = Buffer.from(value);
  const json = JSON.stringify(value).slice(1, -1);
  const texts = [
    ['as it is', value],
    ['in JSON', json],
    ['in JSON, ASCII', json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)],
    ['in HTML', value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')],
    ['in an HTML attribute', value.replace(/&/g, '&amp;').replace(/"/g, '&quot;')],
    ['URL-encoded', encodeURIComponent(value)],
    ['URL-encoded as a form', new URLSearchParams([['', value]]).toString().slice(1)],
    ['in hex', utf8.toString('hex')],
    ['in HEX', utf8.toString('hex').toUpperCase()],
    ['backwards', [...value].reverse().join('')],
    ['its beginning', value.slice(0, 16)],
  ];
  const found = new Map(texts.map(([form, text]) => [text, [form, Buffer.from(text)]]));
  found.set('utf16', ['as UTF-16', Buffer.from(value, 'utf16le')]);
  for (const shift of [0, 1, 2]) {
    // Base64 depends on where in a longer text it begins: what is sure is all but the ends.
    const whole = Buffer.concat([Buffer.alloc(shift), utf8]).toString('base64');
    const sure = whole.slice(shift ? 4 : 0, whole.length - 4);
    found.set(sure, ['in base64', Buffer.from(sure)]);
    const url = sure.replace(/\+/g, '-').replace(/\//g, '_');
    if (url !== sure) found.set(url, ['in base64url', Buffer.from(url)]);
  }
  return found.values();
}
