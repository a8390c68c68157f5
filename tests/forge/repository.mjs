// One bare repository, through git's own commands. Nothing is remembered between two calls: tests push to it by its path meanwhile.

import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run, withFolder } from './git.mjs';

export const NONE = '0'.repeat(40);
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const ID = /^[0-9a-f]{40}$/;

/** Why a path cannot be in a tree; undefined where it can. */
export function wrongPath(name) {
  if (typeof name !== 'string' || name === '') return 'tree.path is missing';
  if (name.startsWith('/')) return 'tree.path cannot start with a slash';
  if (name.includes('\0')) return 'tree.path contains a malformed path component';
  for (const part of name.split('/')) {
    if (['', '.', '..'].includes(part)) return 'tree.path contains a malformed path component';
    // What file systems take for `.git`, git refuses to check out.
    const plain = part.replace(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, '').replace(/[ .]+$/, '').toLowerCase();
    if (plain === '.git' || plain === 'git~1') return 'tree.path contains a malformed path component';
  }
  return undefined;
}

/** An instant as GitHub writes it. */
export const moment = (value) => new Date(value).toISOString().replace(/\.\d+Z$/, 'Z');

const PERSON = /^(.*?) ?<(.*?)> (-?\d+) ([+-]\d{4})$/;
const TYPES = { '040000': 'tree', 160000: 'commit' };
const typeOf = (mode) => TYPES[mode] ?? 'blob';

/** A date as git writes it: the zone stays, `Z` is `+0000`. */
function stamp(text) {
  const zone = /([+-])(\d\d):?(\d\d)$/.exec(text.slice(10));
  return `${Math.floor(Date.parse(text) / 1000)} ${zone ? zone.slice(1).join('') : '+0000'}`;
}

const person = ({ name, email, date }) => `${name} <${email}> ${stamp(date)}`;

export class Repository {
  constructor(directory) {
    this.directory = directory;
  }

  async begin() {
    if (!existsSync(this.directory)) await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', this.directory]);
  }

  git(args, options) {
    return run('git', ['-C', this.directory, ...args], options);
  }

  /** What git says; undefined where it refuses. */
  async say(args, options) {
    const said = await this.git(args, options);
    return said.code === 0 ? said.text : undefined;
  }

  /** What git says, in an operation that cannot fail by what was asked. */
  async must(args, options) {
    const said = await this.git(args, options);
    if (said.code !== 0) throw new Error(`git ${args.join(' ')}: ${said.error}`);
    return said;
  }

  async defaultBranch() {
    // Nearly every answer has it: a process for each would be slow.
    const head = await readFile(path.join(this.directory, 'HEAD'), 'utf8');
    return /^ref: refs\/heads\/(.+)$/m.exec(head)?.[1] ?? 'main';
  }

  async isEmpty() {
    return (await this.say(['for-each-ref', '--count=1', 'refs/heads', 'refs/tags'])) === '';
  }

  /** The id that a revision names. What could be an option or a range is none. */
  async resolve(revision) {
    if (!revision || /^-|\.\.|[\s~^:?*[\\]|@\{/.test(revision)) return undefined;
    return this.say(['rev-parse', '--verify', '--quiet', '--end-of-options', revision]);
  }

  /** The commit of a branch, a tag, a reference or an id. */
  async commitOf(name) {
    if (!name || /^-|\.\.|[\s~^:?*[\\]|@\{/.test(name)) return undefined;
    for (const candidate of [`refs/heads/${name}`, `refs/tags/${name}`, `refs/${name}`, name]) {
      const found = await this.say(['rev-parse', '--verify', '--quiet', '--end-of-options', `${candidate}^{commit}`]);
      if (found) return found;
    }
    return undefined;
  }

  /** What a full reference points at. */
  async reference(name) {
    const all = await this.references(name);
    return all.find((one) => one.ref === name)?.sha;
  }

  branch(name) {
    return this.reference(`refs/heads/${name}`);
  }

  /** References that begin with a text, such as `refs/heads/fea`. */
  async references(prefix) {
    // for-each-ref knows whole parts of names alone.
    const whole = prefix.slice(0, prefix.lastIndexOf('/'));
    const said = (await this.say(['for-each-ref', '--format=%(objectname) %(objecttype) %(refname)', whole])) ?? '';
    const lines = said.split('\n').filter(Boolean).map((line) => line.split(' '));
    return lines.map(([sha, type, ref]) => ({ ref, sha, type })).filter((one) => one.ref.startsWith(prefix));
  }

  async typeOf(id) {
    return ID.test(id ?? '') ? this.say(['cat-file', '-t', id]) : undefined;
  }

  /** The types of many objects, by one process; undefined of those that are not there. */
  async typesOf(ids) {
    const { text } = await this.must(['cat-file', '--batch-check=%(objecttype)'], { input: ids.map((id) => (ID.test(id) ? `${id}\n` : 'none\n')).join('') });
    const lines = text.split('\n');
    return ids.map((_, at) => (/^(blob|tree|commit|tag)$/.test(lines[at]) ? lines[at] : undefined));
  }

  async has(id, type) {
    return (await this.typeOf(id)) === type;
  }

  async isAncestor(ancestor, of) {
    return (await this.git(['merge-base', '--is-ancestor', ancestor, of])).code === 0;
  }

  /** Moves a reference from where it was seen, makes it, or removes it; false where somebody was faster. */
  async move(ref, to, from) {
    if (to === undefined) return (await this.git(['update-ref', '-d', ref, from])).code === 0;
    return (await this.git(['update-ref', ref, to, from ?? NONE])).code === 0;
  }

  async writeBlob(bytes) {
    return (await this.must(['hash-object', '-w', '--stdin'], { input: bytes })).text;
  }

  /** Stores many texts, by one process. */
  writeBlobs(texts) {
    return withFolder(async (folder) => {
      const names = texts.map((_, at) => path.join(folder, String(at)));
      for (const [at, name] of names.entries()) await writeFile(name, texts[at]);
      const { text } = await this.must(['hash-object', '-w', '--no-filters', '--stdin-paths'], { input: names.map((name) => `${name}\n`).join('') });
      return text.split('\n');
    });
  }

  async readBlob(id) {
    return (await this.must(['cat-file', 'blob', id])).bytes;
  }

  /** The entries of a tree; undefined where it is none. */
  async entries(treeish, { recursive = false, at = [] } = {}) {
    const said = await this.git(['--literal-pathspecs', 'ls-tree', '-z', '--long', '--full-tree', ...(recursive ? ['-r', '-t'] : []), treeish, ...at]);
    if (said.code !== 0) return undefined;
    return said.bytes.toString().split('\0').filter(Boolean).map((line) => {
      const tab = line.indexOf('\t');
      const [mode, type, sha, size] = line.slice(0, tab).split(/ +/);
      return { path: line.slice(tab + 1), mode, type, sha, ...(type === 'blob' ? { size: Number(size) } : {}) };
    });
  }

  /** What a path holds in a tree. */
  async entry(treeish, name) {
    return (await this.entries(treeish, { at: ['--', name] }))?.find((one) => one.path === name);
  }

  /**
   * A tree made of changes over another one: of each, `path` and either `mode` and `sha`, or `sha: null` where it goes. Gives `{ sha }`, or `{ wrong }` with the path.
   */
  async writeTree(base, changes) {
    const held = base ? await this.entries(base) : [];
    const inside = new Map(held.map((one) => [one.path, one]));
    const below = new Map();
    const placed = new Set();
    for (const change of changes) {
      const slash = change.path.indexOf('/');
      if (slash >= 0) {
        const name = change.path.slice(0, slash);
        if (!below.has(name)) below.set(name, []);
        below.get(name).push({ ...change, path: change.path.slice(slash + 1) });
      } else if (change.sha === null) {
        if (!inside.delete(change.path)) return { wrong: change.path };
      } else {
        inside.set(change.path, { ...change, type: typeOf(change.mode) });
        placed.add(change.path);
      }
    }
    for (const [name, inner] of below) {
      const folder = held.find((one) => one.path === name);
      const made = await this.writeTree(folder?.type === 'tree' ? folder.sha : undefined, inner);
      if (made.wrong !== undefined) return { wrong: `${name}/${made.wrong}` };
      // A file takes the place of a folder that lost everything; git has no empty ones.
      if (placed.has(name)) continue;
      if (made.empty) inside.delete(name);
      else inside.set(name, { path: name, mode: '040000', type: 'tree', sha: made.sha });
    }
    const input = [...inside.values()].map((one) => `${one.mode} ${one.type} ${one.sha}\t${one.path}\0`).join('');
    const { text } = await this.must(['mktree', '-z', '--missing'], { input });
    return { sha: text, empty: inside.size === 0 };
  }

  /** Stores a commit. `sign` gives the signature over its bytes, or nothing. */
  async writeCommit({ tree, parents, author, committer, message, sign }) {
    const head = [`tree ${tree}`, ...parents.map((parent) => `parent ${parent}`), `author ${person(author)}`, `committer ${person(committer)}`];
    const signature = await sign?.(`${head.join('\n')}\n\n${message}`);
    if (signature) head.push(`gpgsig ${signature.replace(/\r\n/g, '\n').trimEnd().replaceAll('\n', '\n ')}`);
    return (await this.must(['hash-object', '-t', 'commit', '-w', '--stdin'], { input: `${head.join('\n')}\n\n${message}` })).text;
  }

  /** A commit from its bytes: `payload` is what its signature is over. */
  async readCommit(id) {
    const said = await this.must(['cat-file', 'commit', id]);
    const text = said.bytes.toString();
    const end = text.indexOf('\n\n');
    const found = { sha: id, parents: [], message: text.slice(end + 2), signature: null };
    const signed = [];
    let inSignature = false;
    for (const line of text.slice(0, end).split('\n')) {
      const [, name, rest] = /^(\S*) (.*)$/.exec(line) ?? [];
      if (line.startsWith(' ') && inSignature) {
        found.signature += `\n${line.slice(1)}`;
        continue;
      }
      inSignature = name === 'gpgsig';
      if (inSignature) {
        found.signature = rest;
        continue;
      }
      signed.push(line);
      if (name === 'tree') found.tree = rest;
      if (name === 'parent') found.parents.push(rest);
      if (name === 'author' || name === 'committer') {
        const [, who, email, seconds] = PERSON.exec(rest) ?? [undefined, rest, '', '0'];
        found[name] = { name: who, email, date: moment(Number(seconds) * 1000) };
      }
    }
    found.payload = `${signed.join('\n')}\n\n${found.message}`;
    return found;
  }

  async mergeBase(one, other) {
    return this.say(['merge-base', one, other]);
  }

  /** The tree of a merge; undefined where the sides conflict. */
  async mergedTree(ours, theirs, base) {
    const said = await this.git(['merge-tree', '--write-tree', '--no-messages', ...(base ? [`--merge-base=${base}`] : []), ours, theirs]);
    return said.code === 0 ? said.text.split('\n')[0] : undefined;
  }

  /** Ids reachable from one commit and not from another, newest first. */
  async history(from, { not, paths = [], since, until, author, skip, count, reverse = false } = {}) {
    const limit = [
      ...(count === undefined ? [] : [`--max-count=${count}`]),
      ...(skip ? [`--skip=${skip}`] : []),
      // As seconds: git's own reading of dates ends in 2099.
      ...(since ? [`--since=@${Date.parse(since) / 1000} +0000`] : []),
      ...(until ? [`--until=@${Date.parse(until) / 1000} +0000`] : []),
      ...(author ? ['--fixed-strings', `--author=${author}`] : []),
      ...(reverse ? ['--reverse'] : []),
    ];
    const said = await this.say(['--literal-pathspecs', 'rev-list', ...limit, from, ...(not ? [`^${not}`] : []), '--', ...paths]);
    return (said ?? '').split('\n').filter(Boolean);
  }

  async count(from, not) {
    return Number((await this.say(['rev-list', '--count', from, ...(not ? [`^${not}`] : [])])) ?? 0);
  }

  /** The files that differ between two trees. Without the first: all files of the second. */
  async diff(from, to, { patches = true } = {}) {
    const sides = [from ?? EMPTY_TREE, to];
    const options = ['--no-ext-diff', '--no-textconv', '--find-renames', '--no-color', '--full-index'];
    const raw = (await this.must(['diff', ...options, '--raw', '-z', '--no-abbrev', ...sides])).bytes.toString().split('\0');
    const files = [];
    for (let at = 0; raw[at]?.startsWith(':'); ) {
      const [, , before, after, letter] = raw[at].split(' ');
      const status = { A: 'added', D: 'removed', R: 'renamed', C: 'copied', T: 'changed' }[letter[0]] ?? 'modified';
      const two = letter[0] === 'R' || letter[0] === 'C';
      files.push({ status, filename: raw[at + (two ? 2 : 1)], ...(two ? { previous_filename: raw[at + 1] } : {}), sha: after === NONE ? before : after });
      at += two ? 3 : 2;
    }
    const numbers = (await this.must(['diff', ...options, '--numstat', '-z', ...sides])).bytes.toString().split('\0');
    let at = 0;
    for (const file of files) {
      const [added, removed, name] = numbers[at].split('\t');
      at += name ? 1 : 3;
      Object.assign(file, { additions: Number(added) || 0, deletions: Number(removed) || 0, binary: added === '-' });
    }
    if (!patches) return files;
    const text = (await this.must(['diff', ...options, ...sides])).bytes.toString();
    // No line of a patch begins like this one, for theirs begin with a sign or a space.
    text.split(/^diff --git .*\n/m).slice(1).forEach((patch, index) => {
      const hunks = patch.search(/^@@ /m);
      if (files[index] && hunks >= 0) files[index].patch = patch.slice(hunks).replace(/\n$/, '');
    });
    return files;
  }

  /** A difference as text. */
  async patch(from, to) {
    return (await this.must(['diff', '--no-ext-diff', '--no-color', '--find-renames', from, to])).bytes;
  }
}
