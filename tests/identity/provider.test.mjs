// Tests of the provider itself: `INFINITY_NODE_MODULES=… node --test provider.test.mjs`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import readline from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { load } from './modules.mjs';

const { createLocalJWKSet, createRemoteJWKSet, jwtVerify } = await load('jose/dist/webapi/index.js');

const here = path.dirname(fileURLToPath(import.meta.url));
const CALLBACK = 'http://127.0.0.1:9/callback';
const OTHER = 'http://127.0.0.1:10/callback';
const INFINITY = ['infinity', 'infinity-secret-of-at-least-32-characters'];
const MACHINE = ['machine', 'machine-secret-of-at-least-32-characters'];
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const RESOURCE = 'https://infinity.test';

let provider;
before(async () => {
  provider = await start('--redirect', CALLBACK);
});
after(() => provider.stop());

async function start(...more) {
  const child = spawn(process.execPath, [path.join(here, 'provider.mjs'), ...more], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((done) => child.on('close', done));
  const line = await Promise.race([new Promise((done) => readline.createInterface({ input: child.stdout }).once('line', done)), ended.then(() => assert.fail('it ended'))]);
  const { issuer } = JSON.parse(line);
  const own = async (method, name, body) => {
    const answer = await fetch(`${issuer}/test/${name}`, { method, body: body && JSON.stringify(body) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const stop = () => {
    child.stdin.end();
    return ended;
  };
  const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  return { issuer, metadata, own, stop };
}

/** A browser with its cookies: gives the address that leads away from the provider, or the last page. */
class Browser {
  jar = new Map();

  async walk(address, account) {
    let [url, body] = [address];
    for (let at = 0; at < 20; at += 1) {
      const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const answer = await fetch(url, { method: body ? 'POST' : 'GET', body, redirect: 'manual', headers: { accept: 'text/html', cookie } });
      for (const [, name, value] of answer.headers.getSetCookie().map((one) => /^([^=]+)=([^;]*)/.exec(one))) {
        if (value) this.jar.set(name, value);
        else this.jar.delete(name);
      }
      const location = answer.headers.get('location');
      const text = await answer.text();
      if (location) {
        [url, body] = [new URL(location, url).href];
        if (!url.startsWith(`${provider.issuer}/`)) return { url: new URL(url) };
        continue;
      }
      const [, attributes, form] = /<form\b([^>]*)>(.*?)<\/form>/s.exec(text) ?? [];
      const inputs = [...(form ?? '').matchAll(/<input\b[^>]*>/g)].map(([one]) => [/name="([^"]*)"/.exec(one)[1], /value="([^"]*)"/.exec(one)?.[1]]);
      // The code of a device is to be in the address.
      if (!answer.ok || !form || inputs.some(([name, value]) => value === undefined && name !== 'account')) return { status: answer.status, text };
      url = new URL(/action="([^"]*)"/.exec(attributes)?.[1] ?? url, url).href;
      body = new URLSearchParams(inputs.map(([name, value]) => [name, value ?? account]));
    }
    return assert.fail('it leads nowhere');
  }
}

const challengeOf = (verifier) => createHash('sha256').update(verifier).digest('base64url');

function authorization(more = {}) {
  const url = new URL(provider.metadata.authorization_endpoint);
  const asked = { client_id: 'infinity', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile email groups', state: 'state-1', nonce: 'nonce-1', code_challenge_method: 'S256', ...more };
  for (const [name, value] of Object.entries(asked)) if (value !== undefined) url.searchParams.set(name, value);
  return url.href;
}

async function post(url, [id, secret], body) {
  const answer = await fetch(url, { method: 'POST', headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` }, body: new URLSearchParams(body) });
  return { status: answer.status, body: await answer.json() };
}

const token = (client, body) => post(provider.metadata.token_endpoint, client, body);
const verify = (jwt, audience) => jwtVerify(jwt, createRemoteJWKSet(new URL(provider.metadata.jwks_uri)), { issuer: provider.issuer, audience });
const machine = async (resource) => (await token(MACHINE, { grant_type: 'client_credentials', ...(resource ? { resource } : {}) })).body.access_token;

/** Signs somebody in: gives the answer of the token endpoint. */
async function signIn(account, browser = new Browser()) {
  const verifier = randomBytes(32).toString('base64url');
  const { url } = await browser.walk(authorization({ code_challenge: challengeOf(verifier) }), account);
  assert.equal(url.origin + url.pathname, CALLBACK);
  assert.equal(url.searchParams.get('state'), 'state-1');
  assert.equal(url.searchParams.get('iss'), provider.issuer);
  const redeem = (code_verifier) => token(INFINITY, { grant_type: 'authorization_code', code: url.searchParams.get('code'), redirect_uri: CALLBACK, code_verifier });
  return { redeem, verifier };
}

test('people sign in with a code and PKCE', async () => {
  const groups = { ann: ['platform', 'staff'], bob: ['staff'], eve: undefined };
  for (const [account, expected] of Object.entries(groups)) {
    const { redeem, verifier } = await signIn(account);
    const { status, body } = await redeem(verifier);
    assert.equal(status, 200, JSON.stringify(body));
    const { payload, protectedHeader } = await verify(body.id_token, 'infinity');
    assert.equal(protectedHeader.alg, 'RS256');
    assert.deepEqual([payload.sub, payload.email, payload.groups, payload.nonce], [account, `${account}@example.com`, expected, 'nonce-1']);
    assert.ok(payload.name);
    // A code works once, and takes with it what came of it.
    const again = await redeem(verifier);
    assert.deepEqual([again.status, again.body.error], [400, 'invalid_grant']);
    const refreshed = await token(INFINITY, { grant_type: 'refresh_token', refresh_token: body.refresh_token });
    assert.equal(refreshed.body.error, 'invalid_grant');
  }
});

test('refreshing gives the claims again', async () => {
  const { redeem, verifier } = await signIn('ann');
  const { body } = await redeem(verifier);
  const refreshed = await token(INFINITY, { grant_type: 'refresh_token', refresh_token: body.refresh_token });
  assert.deepEqual((await verify(refreshed.body.id_token, 'infinity')).payload.groups, ['platform', 'staff']);
  const said = await fetch(provider.metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${refreshed.body.access_token}` } });
  assert.equal((await said.json()).email, 'ann@example.com');
});

test('PKCE is required and checked, and so are secrets and addresses', async () => {
  const { redeem } = await signIn('ann');
  assert.equal((await redeem(randomBytes(32).toString('base64url'))).body.error, 'invalid_grant');
  const without = await new Browser().walk(authorization({ code_challenge_method: undefined }), 'ann');
  assert.equal(without.url.searchParams.get('error'), 'invalid_request');
  const elsewhere = await new Browser().walk(authorization({ code_challenge: challengeOf('x'), redirect_uri: OTHER }), 'ann');
  assert.equal(elsewhere.status, 400);
  assert.equal((await token(['infinity', 'wrong'], { grant_type: 'refresh_token', refresh_token: 'x' })).status, 401);
  assert.equal((await provider.own('POST', 'redirects', { uris: [OTHER] })).status, 200);
  const now = await new Browser().walk(authorization({ code_challenge: challengeOf(randomBytes(32).toString('hex')), redirect_uri: OTHER }), 'ann');
  assert.ok(now.url.href.startsWith(`${OTHER}?code=`));
  assert.equal((await new Browser().walk(authorization({ code_challenge: challengeOf('x') }), 'ann')).status, 400);
  assert.equal((await provider.own('POST', 'redirects', { uris: ['no address'] })).status, 400);
  await provider.own('POST', 'redirects', { uris: [CALLBACK, OTHER] });
});

test('somebody who says no is not signed in', async () => {
  const challenge = { code_challenge: challengeOf(randomBytes(32).toString('hex')) };
  const { url } = await new Browser().walk(authorization(challenge), '');
  assert.deepEqual([url.searchParams.get('error'), url.searchParams.get('state')], ['access_denied', 'state-1']);
  assert.equal((await new Browser().walk(authorization(challenge), 'mallory')).status, 422);
  assert.equal((await new Browser().walk(`${provider.issuer}/interaction/none`, 'ann')).status, 400);
});

test('a browser stays signed in, and changes who it is when asked again', async () => {
  const browser = new Browser();
  const challenge = { code_challenge: challengeOf(randomBytes(32).toString('hex')) };
  await browser.walk(authorization(challenge), 'ann');
  assert.ok((await browser.walk(authorization({ ...challenge, prompt: 'none' }))).url.searchParams.has('code'));
  assert.equal((await new Browser().walk(authorization({ ...challenge, prompt: 'none' }))).url.searchParams.get('error'), 'login_required');
  const { url } = await browser.walk(authorization({ ...challenge, prompt: 'login' }), 'bob');
  assert.ok(url.searchParams.has('code'), url.href);
});

async function device(account, more = {}) {
  const { body } = await post(provider.metadata.device_authorization_endpoint, INFINITY, { client_id: 'infinity', scope: 'openid profile email groups', ...more });
  assert.equal(body.interval, 1);
  const poll = () => token(INFINITY, { grant_type: DEVICE, device_code: body.device_code });
  const pending = await poll();
  assert.deepEqual([pending.status, pending.body.error], [400, 'authorization_pending']);
  const last = await new Browser().walk(body.verification_uri_complete, account);
  return { poll, last, body };
}

test('a device is connected', async () => {
  const { poll, last } = await device('bob');
  assert.match(last.text, /Connected/);
  const { body } = await poll();
  const { payload } = await verify(body.id_token, 'infinity');
  assert.deepEqual([payload.sub, payload.groups, payload.email], ['bob', ['staff'], 'bob@example.com']);
  assert.ok(body.refresh_token);
  assert.equal((await poll()).body.error, 'invalid_grant');
});

test('a device is denied, or its code is wrong', async () => {
  const { poll, last } = await device('');
  assert.match(last.text, /Denied/);
  assert.equal((await poll()).body.error, 'access_denied');
  const wrong = await new Browser().walk(`${provider.issuer}/device?user_code=WRONG`, 'ann');
  assert.match(wrong.text, /not found/);
});

test('a machine has tokens for a resource', async () => {
  for (const resource of [RESOURCE, 'https://other.test']) {
    const { payload, protectedHeader } = await verify(await machine(resource), resource);
    assert.deepEqual([payload.sub, payload.client_id, payload.aud, payload.groups], ['machine', 'machine', resource, ['robots']]);
    assert.deepEqual([protectedHeader.alg, protectedHeader.typ], ['RS256', 'at+jwt']);
  }
  await assert.rejects(verify(await machine('https://other.test'), RESOURCE), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
  // Without a resource a token says nothing to others.
  assert.equal((await machine()).split('.').length, 1);
});

test('keys are rotated, and what went before goes on', async () => {
  const old = await machine(RESOURCE);
  const keys = async () => (await (await fetch(provider.metadata.jwks_uri)).json()).keys;
  const before = await keys();
  const browser = new Browser();
  const { redeem, verifier } = await signIn('ann', browser);
  for (const alg of ['ES256', 'EdDSA', 'RS256']) {
    const said = await provider.own('POST', 'rotate', { alg });
    const [key, ...more] = await keys();
    assert.deepEqual([key.kid, key.alg, more], [said.kid, alg, []]);
    assert.ok(!('d' in key));
    assert.notEqual(key.kid, before[0].kid);
    const { protectedHeader } = await verify(await machine(RESOURCE), RESOURCE);
    assert.deepEqual([protectedHeader.alg, protectedHeader.kid], [alg, said.kid]);
    const metadata = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).json();
    assert.deepEqual([metadata.issuer, metadata.id_token_signing_alg_values_supported], [provider.issuer, [alg]]);
    if (alg === 'ES256') assert.equal((await verify((await redeem(verifier)).body.id_token, 'infinity')).protectedHeader.alg, 'ES256');
  }
  await assert.rejects(verify(old, RESOURCE), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
  await jwtVerify(old, createLocalJWKSet({ keys: before }));
  assert.ok((await browser.walk(authorization({ prompt: 'none', code_challenge: challengeOf(randomBytes(32).toString('hex')) }))).url.searchParams.has('code'));
  assert.equal((await provider.own('POST', 'rotate', { alg: 'none' })).status, 400);
});

test('only discovery and keys are down, and each question is counted', async () => {
  const before = await provider.own('GET', 'counts');
  await provider.own('POST', 'down', { down: true });
  const status = async (where) => (await fetch(`${provider.issuer}${where}`)).status;
  assert.deepEqual([await status('/jwks'), await status('/.well-known/openid-configuration')], [503, 503]);
  assert.ok(await machine(RESOURCE));
  await provider.own('POST', 'down', { down: false });
  assert.deepEqual([await status('/jwks'), await status('/.well-known/openid-configuration')], [200, 200]);
  const now = await provider.own('GET', 'counts');
  assert.deepEqual([now.jwks - before.jwks, now.discovery - before.discovery], [2, 2]);
});

test('any claims are signed', async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    await provider.own('POST', 'rotate', { alg });
    const good = await provider.own('POST', 'sign', { claims: { iss: provider.issuer, aud: RESOURCE, exp: now + 60, sub: 'ann' } });
    const { payload, protectedHeader } = await verify(good.token, RESOURCE);
    assert.deepEqual([payload.sub, protectedHeader.alg, protectedHeader.typ], ['ann', alg, 'JWT']);
  }
  const odd = await provider.own('POST', 'sign', { claims: { exp: 'soon', groups: { a: 1 } }, header: { typ: 'at+jwt', kid: null } });
  const part = (at) => JSON.parse(Buffer.from(odd.token.split('.')[at], 'base64url'));
  assert.deepEqual([part(0), part(1)], [{ alg: 'EdDSA', typ: 'at+jwt' }, { exp: 'soon', groups: { a: 1 } }]);
  assert.equal((await fetch(`${provider.issuer}/test/sign`, { method: 'POST', body: '{' })).status, 400);
  assert.equal((await provider.own('POST', 'nothing')).status, 404);
});

test('it ends with whoever started it', async () => {
  const other = await start();
  assert.equal(await Promise.race([other.stop(), wait(10_000, undefined, { ref: false })]), 0);
});
