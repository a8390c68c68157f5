// GitHub's OAuth for people who sign in elsewhere: the web flow and the device flow. On GitHub these pages are at github.com, and the API is not.

import { createHash, randomBytes, randomInt } from 'node:crypto';
import { bodyOf } from './api.mjs';
import { Refusal } from './refusal.mjs';

const PAGES = 'https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** Seconds that a code of the web flow lasts. */
const CODE_S = 600;

/** Seconds that a code of a device lasts, and between two questions of it, unless the App says otherwise. */
const DEVICE_S = 900;
const INTERVAL_S = 5;

/** Codes that are kept, of either kind. */
const CODES_MAX = 1000;

/** Letters of a code that people type: no vowels, so that no words come out. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ';

const SAID = {
  access_denied: 'The authorization request was denied.',
  authorization_pending: 'The authorization request is still pending.',
  bad_verification_code: 'The code passed is incorrect or expired.',
  device_flow_disabled: 'Device Flow must be explicitly enabled for this App',
  expired_token: 'The `device_code` has expired.',
  incorrect_client_credentials: 'The client_id and/or client_secret passed are incorrect.',
  incorrect_device_code: 'The device_code provided is not valid.',
  redirect_uri_mismatch: 'The redirect_uri MUST match the registered callback URL for this application.',
  slow_down: 'Too many requests have been made in the same timeframe.',
  unsupported_grant_type: 'The grant_type parameter is not valid.',
};

const escaped = (text) => String(text).replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
const page = (title, body = '') => `<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n${body}\n</html>\n`;
const failed = (error, more = {}) => ({ error, error_description: SAID[error], error_uri: `${PAGES}/troubleshooting-oauth-app-access-token-request-errors/#${error.replaceAll('_', '-')}`, ...more });
const html = (text, status = 200) => ({ status, type: 'text/html', text });

/** Whether somebody may be sent to an address: below the registered one, at any port where that is this machine's. */
function matches(registered, asked) {
  if (!URL.canParse(asked)) return false;
  const [is, at] = [new URL(registered), new URL(asked)];
  const loopback = ['127.0.0.1', '[::1]'].includes(is.hostname);
  if (is.protocol !== at.protocol || is.hostname !== at.hostname || (is.port !== at.port && !loopback) || at.username || at.hash) return false;
  const folder = is.pathname.replace(/\/$/, '');
  return at.pathname === is.pathname || at.pathname.startsWith(`${folder}/`);
}

export class OAuth {
  constructor(world, knobs, record) {
    Object.assign(this, { world, knobs, record });
    this.codes = new Map();
    this.devices = new Map();
  }

  /** Whether a request is for one of these pages. */
  takes(request, url) {
    return this.#pages[`${request.method} ${url.pathname.replace(/(?<=.)\/$/, '')}`];
  }

  #pages = {
    'GET /login/oauth/authorize': (given) => this.#ask(given),
    'POST /login/oauth/authorize': (given) => this.#decided(given),
    'POST /login/oauth/access_token': (given, request) => this.#token(given, request),
    'POST /login/device/code': (given, request, at) => this.#device(given, at),
    'GET /login/device': () => html(this.#devicePage()),
    'POST /login/device': (given) => this.#connect(given),
  };

  async handle(request, response, url, take) {
    const entry = { method: request.method, path: url.pathname, query: url.search, operation: url.pathname, status: null, principal: 'none', permission: null, body_bytes: 0 };
    this.record.requests.push(entry);
    const struck = this.knobs.strikes(request.method, url.pathname, url.search);
    if (struck === 'before') {
      entry.status = 'outage';
      this.knobs.strike(request, response);
      return;
    }
    const bytes = await bodyOf(request);
    entry.body_bytes = bytes.length;
    const answer = await take(this.#given(request, url, bytes), request, `http://${request.headers.host}`);
    entry.status = answer.status ?? 200;
    if (struck === 'after') {
      entry.status = 'lost';
      this.knobs.strike(request, response);
      return;
    }
    if (answer.location) return response.writeHead(entry.status, { location: answer.location }).end();
    // Whoever does not ask for JSON gets a form.
    const json = /\bapplication\/(?:\S+\+)?json\b/.test(request.headers.accept ?? '');
    const [type, text] = answer.text !== undefined ? [answer.type, answer.text] : json ? ['application/json', JSON.stringify(answer.body)] : ['application/x-www-form-urlencoded', new URLSearchParams(answer.body).toString()];
    response.writeHead(entry.status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' }).end(text);
  }

  #given(request, url, bytes) {
    const given = Object.fromEntries(url.searchParams);
    if (bytes.length === 0) return given;
    if (!/\bjson\b/.test(request.headers['content-type'] ?? '')) return { ...given, ...Object.fromEntries(new URLSearchParams(bytes.toString())) };
    try {
      return { ...given, ...JSON.parse(bytes) };
    } catch {
      throw new Refusal(400, 'Problems parsing JSON');
    }
  }

  #keep(codes, name, code, seconds) {
    const now = Date.now();
    // Those that expired long ago are forgotten: until then they are said to have.
    for (const [other, { expires }] of codes) if (expires + DEVICE_S * 1000 < now || codes.size >= CODES_MAX) codes.delete(other);
    codes.set(name, { ...code, expires: now + seconds * 1000 });
  }

  #person(login) {
    const account = this.world.account(login);
    return account?.type === 'User' ? account : undefined;
  }

  /** The App and the address of a request for the web flow, or what is answered instead. */
  #asked(given) {
    const app = this.world.oauthApp(given.client_id);
    if (!app) return { instead: html(page('Page not found'), 404) };
    const back = (to, more) => {
      const url = new URL(to);
      for (const [name, value] of Object.entries({ ...more, state: given.state })) if (value !== undefined) url.searchParams.set(name, value);
      return { status: 302, location: url.href };
    };
    const refused = (to, error, said) => back(to, { error, error_description: said, error_uri: `${PAGES}/troubleshooting-authorization-request-errors/#${error.replaceAll('_', '-')}` });
    const to = given.redirect_uri ?? app.callback_url;
    if (!matches(app.callback_url, to)) return { instead: refused(app.callback_url, 'redirect_uri_mismatch', SAID.redirect_uri_mismatch) };
    if (given.code_challenge && (given.code_challenge_method !== 'S256' || !/^[\w-]{43}$/.test(given.code_challenge))) {
      return { instead: html(page('Invalid request', '<p>code_challenge is to be made by S256.'), 400) };
    }
    return { app, to, back, refused };
  }

  #ask(given) {
    const { app, instead } = this.#asked(given);
    if (instead) return instead;
    const hidden = ['client_id', 'redirect_uri', 'state', 'scope', 'code_challenge', 'code_challenge_method'].filter((name) => given[name] !== undefined);
    const inputs = hidden.map((name) => `<input type="hidden" name="${name}" value="${escaped(given[name])}">\n`).join('');
    return html(page(`Authorize ${escaped(app.name)}`, `<p>It asks for: ${escaped(given.scope || 'nothing but who you are')}\n<form method="post" action="/login/oauth/authorize">\n${inputs}<label>Account <input name="account" value="${escaped(given.login ?? '')}" autofocus autocomplete="off"></label>\n<button>Authorize</button>\n</form>`));
  }

  #decided(given) {
    const { app, to, back, refused, instead } = this.#asked(given);
    if (instead) return instead;
    if (!given.account) return refused(to, 'access_denied', 'The user has denied your application access.');
    const account = this.#person(given.account);
    if (!account) return html(page('Incorrect username'), 422);
    const code = randomBytes(10).toString('hex');
    this.#keep(this.codes, code, { app, account, redirect: given.redirect_uri, challenge: given.code_challenge, scope: given.scope }, CODE_S);
    return back(to, { code });
  }

  /** A client says who it is in the body or, as OAuth has it, in a header. */
  #client(given, request) {
    const [, basic] = /^basic\s+(.*)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (!basic) return given;
    const text = Buffer.from(basic, 'base64').toString();
    const plain = (part) => new URLSearchParams(`x=${part}`).get('x');
    const at = text.indexOf(':');
    return { ...given, client_id: plain(text.slice(0, at)), client_secret: plain(text.slice(at + 1)) };
  }

  #token(given, request) {
    const asked = this.#client(given, request);
    const app = this.world.oauthApp(asked.client_id);
    if (!app) return { body: failed('incorrect_client_credentials') };
    if (asked.device_code !== undefined || asked.grant_type === DEVICE_GRANT) return { body: this.#poll(app, asked) };
    if (asked.client_secret !== app.client_secret) return { body: failed('incorrect_client_credentials') };
    if (![undefined, 'authorization_code'].includes(asked.grant_type)) return { body: failed('unsupported_grant_type') };
    const found = this.codes.get(asked.code);
    if (!found || found.app !== app || found.expires <= Date.now()) return { body: failed('bad_verification_code') };
    if (asked.redirect_uri !== undefined && found.redirect !== undefined && asked.redirect_uri !== found.redirect) return { body: failed('redirect_uri_mismatch') };
    this.codes.delete(asked.code);
    const verified = found.challenge === undefined || createHash('sha256').update(String(asked.code_verifier ?? '')).digest('base64url') === found.challenge;
    return { body: verified ? this.#made(app, found) : failed('bad_verification_code') };
  }

  #made(app, { account, scope }) {
    const { token, scopes } = this.world.makeOauthToken(app, account, scope);
    return { access_token: token, token_type: 'bearer', scope: scopes.join(',') };
  }

  #device(given, at) {
    const app = this.world.oauthApp(given.client_id);
    if (!app) return { body: failed('incorrect_client_credentials') };
    if (!app.device_flow) return { body: failed('device_flow_disabled') };
    const four = () => Array.from({ length: 4 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
    const [device, user, seconds, interval] = [randomBytes(20).toString('hex'), `${four()}-${four()}`, app.device_seconds ?? DEVICE_S, app.device_interval ?? INTERVAL_S];
    this.#keep(this.devices, device, { app, user, interval, scope: given.scope, asked: -Infinity }, seconds);
    return { body: { device_code: device, user_code: user, verification_uri: `${at}/login/device`, expires_in: seconds, interval } };
  }

  #devicePage(said = '') {
    return page('Device Activation', `${said}<form method="post" action="/login/device">\n<label>Code <input name="user_code" autofocus autocomplete="off"></label>\n<label>Account <input name="account" autocomplete="off"></label>\n<button>Continue</button>\n</form>`);
  }

  #connect({ user_code: code = '', account: login }) {
    const plain = (text) => String(text).toUpperCase().replace(/[^A-Z]/g, '');
    const found = [...this.devices.values()].find((one) => plain(one.user) === plain(code) && one.expires > Date.now() && !one.account && !one.denied);
    if (!found) return html(this.#devicePage("<p>Uh oh, we couldn't find anything.\n"), 422);
    const account = login ? this.#person(login) : undefined;
    if (login && !account) return html(this.#devicePage('<p>Incorrect username.\n'), 422);
    Object.assign(found, account ? { account } : { denied: true });
    return html(page(account ? "Congratulations, you're all set!" : 'The device is not connected'));
  }

  #poll(app, { device_code: code, grant_type: grant }) {
    if (grant !== DEVICE_GRANT) return failed('unsupported_grant_type');
    const found = this.devices.get(code);
    if (!found || found.app !== app) return failed('incorrect_device_code');
    const now = Date.now();
    if (found.expires <= now) return failed('expired_token');
    const early = now - found.asked < found.interval * 1000;
    found.asked = now;
    if (early) {
      // GitHub adds five seconds, its usual interval, each time.
      found.interval += app.device_interval ?? INTERVAL_S;
      return failed('slow_down', { interval: found.interval });
    }
    if (found.denied) return failed('access_denied');
    if (!found.account) return failed('authorization_pending');
    this.devices.delete(code);
    return this.#made(app, found);
  }
}
