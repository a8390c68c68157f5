// A stand-in for GitHub: its REST API, its git on real repositories, and its OAuth, for tests.
//
//     node github.mjs --root FOLDER --config FILE [--port 0]
//
// It prints its address as one line of JSON, and ends when its standard input does.

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Api, bodyOf } from './api.mjs';
import { Knobs } from './knobs.mjs';
import { Moments } from './moments.mjs';
import { OAuth } from './oauth.mjs';
import { refsMoved } from './pulls.mjs';
import { Record } from './record.mjs';
import { Refusal } from './refusal.mjs';
import { NONE } from './repository.mjs';
import { Smart } from './smart.mjs';
import { World } from './world.mjs';

const { values: options } = parseArgs({ options: { root: { type: 'string' }, config: { type: 'string' }, port: { type: 'string', default: '0' } } });
const root = path.resolve(options.root);
mkdirSync(root, { recursive: true });
// Beside the repositories, so that it goes with them even where this process is killed.
const folder = mkdtempSync(path.join(root, '.stand-in-'));

const world = new World(JSON.parse(readFileSync(options.config, 'utf8')), root, folder);
const knobs = new Knobs();
const record = new Record();
const moments = new Moments(world);
const api = new Api(world, knobs, record);
const smart = new Smart(world, knobs, record, folder, root);
const oauth = new OAuth(world, knobs, record);
world.deliveries.report = (event, errors) => record.violation('webhook', event, errors);
await Promise.all([world.begin(), smart.begin()]);

/** A push that tests made by a repository's path, told as if it had come here. */
async function pushed(html, { full_name: name, ref, before, after, login }) {
  const repository = world.repositories.get(String(name).toLowerCase());
  if (!repository) throw new Refusal(404, `There is no repository ${name}`);
  const account = login ? world.account(login) : [...world.accounts.values()].find((one) => one.type === 'User' && one.token);
  const at = { world, principal: account ? { kind: 'user', account } : { kind: 'app' }, repository, git: repository.git, html, api: html };
  const or = (id) => (!id || id === NONE ? undefined : id);
  const move = { ref, before: or(before), after: or(after) };
  move.forced = Boolean(move.before && move.after) && !(await repository.git.isAncestor(move.before, move.after));
  await world.exclusive(repository, () => refsMoved(at, repository, [move]));
}

/** What the stand-in is asked as the stand-in. */
async function own(request, response, url) {
  const bytes = await bodyOf(request);
  const sent = bytes.length > 0 ? JSON.parse(bytes) : {};
  const commands = {
    'POST /_stand_in/knobs': () => knobs.set(sent),
    'POST /_stand_in/moment': () => moments.set(sent),
    'GET /_stand_in/moment': () => moments.state(),
    'POST /_stand_in/push': () => pushed(`http://${request.headers.host}`, sent),
    'POST /_stand_in/receive': async () => ({ refused: (await smart.judge(sent)) ?? null }),
    'GET /_stand_in/record': () => record,
    'DELETE /_stand_in/record': () => record.clear(),
  };
  const command = commands[`${request.method} ${url.pathname}`];
  const answer = command ? ((await command()) ?? {}) : { message: 'Not Found' };
  response.writeHead(command ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}

async function handle(request, response) {
  const url = new URL(request.url, `http://${request.headers.host ?? '127.0.0.1'}`);
  if (url.pathname.startsWith('/_stand_in/')) return own(request, response, url);
  moments.arrives(request.method, url.pathname.replace(/^\/api\/v3/, ''));
  if (knobs.latency > 0) await wait(knobs.latency);
  const git = smart.takes(url);
  if (git) return smart.handle(request, response, url, git);
  const login = oauth.takes(request, url);
  if (login) return oauth.handle(request, response, url, login);
  return api.handle(request, response, url, /^\/api\/v3(\/|$)/.test(url.pathname) ? '/api/v3' : '');
}

const server = http.createServer((request, response) => {
  handle(request, response).catch((error) => {
    if (!(error instanceof Refusal)) console.error(error);
    if (!response.headersSent) response.writeHead(error.status ?? 500, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ message: error.message }));
  });
});
// A push may take as long as it takes.
server.requestTimeout = 0;
// Tests block while git runs, and must find their connections as they left them.
server.keepAliveTimeout = 10 * 60 * 1000;

function end() {
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.stdin.on('end', end).on('error', end).resume();
server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(JSON.stringify({ listening: `http://127.0.0.1:${server.address().port}` }));
});
