// Runs git and other programs: without a shell, and without the configuration of whoever runs the tests.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

export const ENVIRONMENT = {
  PATH: process.env.PATH,
  HOME: os.tmpdir(),
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: os.devNull,
  GIT_TERMINAL_PROMPT: '0',
};

/** Settings of git for one call, which hold before those of a repository. */
export const settings = (pairs) =>
  Object.fromEntries([['GIT_CONFIG_COUNT', String(pairs.length)], ...pairs.flatMap(([key, value], at) => [[`GIT_CONFIG_KEY_${at}`, key], [`GIT_CONFIG_VALUE_${at}`, value]])]);

/** Tests may make repositories as somebody else. */
const ANYONES = ['safe.directory', '*'];

/** Runs a program to its end. */
export function run(program, args, { input, env = {} } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env: { ...ENVIRONMENT, ...settings([ANYONES]), ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    const out = [];
    const err = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.on('error', failed);
    // A program may end before it has read everything.
    child.stdin.on('error', () => {});
    child.on('close', (code) => {
      const bytes = Buffer.concat(out);
      done({ code, bytes, text: bytes.toString().replace(/\n$/, ''), error: Buffer.concat(err).toString() });
    });
    child.stdin.end(input);
  });
}

/** Runs something with a folder that is gone afterwards. */
export async function withFolder(what) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'stand-in-'));
  try {
    return await what(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
