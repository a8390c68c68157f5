// An OpenID provider for tests: the package `oidc-provider`, with people, clients, and ways to rotate keys and to fail.
//
//     node provider.mjs [--port 0] [--redirect URI]…
//
// It prints its issuer as one line of JSON, and ends when its standard input does.

import { generateKeyPair, randomBytes, sign } from 'node:crypto';
import http from 'node:http';
import { parseArgs, promisify } from 'node:util';
import { load } from './modules.mjs';

// Whoever started this reads one line of standard output; what the package tells its users goes to the log.
console.info = console.error;
const { Provider } = await load('oidc-provider/lib/index.js');
// Given to each instance, as signing in and codes are to survive a rotation. It keeps the 1,000 things used last.
const { createMemoryAdapter } = await load('oidc-provider/lib/adapters/memory_adapter.js');

const { values: options } = parseArgs({ options: { port: { type: 'string', default: '0' }, redirect: { type: 'string', multiple: true, default: [] } } });

/** Bytes of a body that is read here. */
const BODY_MAX = 256 * 1024;

const SCOPES = 'openid profile email groups';

/** Of `eve` there are no groups at all, rather than none of them: many providers leave the claim out. */
const ACCOUNTS = {
  ann: { name: 'Ann', email: 'ann@example.com', groups: ['platform', 'staff'] },
  bob: { name: 'Bob', email: 'bob@example.com', groups: ['staff'] },
  eve: { name: 'Eve', email: 'eve@example.com' },
};

/** How each algorithm makes a key and signs: JSON web signatures have both numbers of ES256 side by side. */
const make = promisify(generateKeyPair);
const ALGORITHMS = {
  RS256: { make: () => make('rsa', { modulusLength: 2048 }), sign: (bytes, key) => sign('sha256', bytes, key) },
  ES256: { make: () => make('ec', { namedCurve: 'P-256' }), sign: (bytes, key) => sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }) },
  EdDSA: { make: () => make('ed25519'), sign: (bytes, key) => sign(null, bytes, key) },
};

const adapter = createMemoryAdapter();
const cookieKeys = [randomBytes(32).toString('hex')];
const counts = { discovery: 0, jwks: 0 };
const state = { issuer: undefined, key: undefined, redirects: options.redirect, down: false, made: 0, provider: undefined, callback: undefined };

class Wrong extends Error {}

const page = (title, body) => `<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n${body}\n</html>\n`;

function configuration() {
  const { alg, kid, privateKey } = state.key;
  const signs = { id_token_signed_response_alg: alg };
  return {
    adapter,
    clients: [
      {
        ...signs,
        client_id: 'infinity',
        client_secret: 'infinity-secret-of-at-least-32-characters', // infinity:allow-secret
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        // The package wants one; at this port nobody listens.
        redirect_uris: state.redirects.length > 0 ? state.redirects : ['http://127.0.0.1:9/nowhere'],
      },
      { ...signs, client_id: 'machine', client_secret: 'machine-secret-of-at-least-32-characters', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }, // infinity:allow-secret
    ],
    // What discovery says is what both clients may do.
    clientAuthMethods: ['client_secret_basic'],
    responseTypes: ['code'],
    enabledJWA: { idTokenSigningAlgValues: [alg] },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }] },
    claims: { openid: ['sub'], profile: ['name'], email: ['email'], groups: ['groups'] },
    conformIdTokenClaims: false,
    cookies: { keys: cookieKeys },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, AuthorizationCode: 60, ClientCredentials: 600, DeviceCode: 600, Grant: 86_400, IdToken: 600, Interaction: 600, RefreshToken: 86_400, Session: 86_400 },
    findAccount: (context, id) => ACCOUNTS[id] && { accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) },
    // Neither is bound to `offline_access` here, which hosts need not ask for.
    issueRefreshToken: (context, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    extraTokenClaims: (context, token) => (token.kind === 'ClientCredentials' ? { groups: ['robots'] } : undefined),
    interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
    renderError: (context, out) => {
      context.type = 'html';
      context.body = page('Refused', `<pre>${JSON.stringify(out).replaceAll('<', '&lt;')}</pre>`);
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (context, form, out, error) => {
          // After an error a link leads back, as the form would have the wrong code in it.
          const again = `<p>${(error?.message ?? '').replaceAll('<', '&lt;')}\n<p><a href="/device">Enter a code</a>`;
          context.body = error ? page(error.name === 'AbortedError' ? 'Denied' : 'Refused', again) : page('Connect a device', `${form}<button form="op.deviceInputForm">Continue</button>`);
        },
        userCodeConfirmSource: (context, form, client, device, code) => {
          context.body = page('Confirm', `<p>Is it ${code} that the device shows?${form}<button form="op.deviceConfirmForm">Continue</button> <button form="op.deviceConfirmForm" name="abort" value="yes">Abort</button>`);
        },
        successSource: (context) => {
          context.body = page('Connected', '<p>You may close this page.');
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (context, resource) => ({ audience: resource, scope: SCOPES, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg } } }),
      },
    },
  };
}

/** A new instance of the package, as none can be changed; it goes on with what the one before kept. */
function renew() {
  const provider = new Provider(state.issuer, configuration());
  provider.on('server_error', (context, error) => console.error(error));
  provider.use(async (context, next) => {
    await next();
    // Without it, clients wait five seconds between two questions.
    if (context.path === '/device/auth' && context.body?.device_code) context.body.interval = 1;
  });
  Object.assign(state, { provider, callback: provider.callback() });
}

/** Signs with a new key; the one before is gone. */
async function rotate(alg = 'RS256') {
  if (!Object.hasOwn(ALGORITHMS, alg)) throw new Wrong(`alg is one of ${Object.keys(ALGORITHMS).join(', ')}`);
  const { privateKey } = await ALGORITHMS[alg].make();
  state.made += 1;
  state.key = { alg, kid: `key-${state.made}-${randomBytes(4).toString('hex')}`, privateKey };
  renew();
  return { alg, kid: state.key.kid };
}

function redirects(uris) {
  if (!Array.isArray(uris) || !uris.every((one) => URL.canParse(one))) throw new Wrong('uris is a list of URIs');
  state.redirects = uris;
  renew();
  return { uris };
}

/** Signs claims as they are, whatever they are. A member of the header that is null is left out. */
function signed({ claims, header = {} }) {
  const { alg, kid, privateKey } = state.key;
  const head = Object.fromEntries(Object.entries({ alg, kid, typ: 'JWT', ...header }).filter(([, value]) => value !== null));
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part(head)}.${part(claims ?? {})}`;
  return { token: `${text}.${ALGORITHMS[alg].sign(Buffer.from(text), privateKey).toString('base64url')}` };
}

async function bodyOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_MAX) throw new Wrong('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** The page where somebody signs in, who consents to everything by it. */
async function interact(request, response) {
  const { provider } = state;
  const show = (status, more = '') =>
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(page('Sign in', `${more}<form method="post">\n<label>Account <input name="account" autofocus autocomplete="off"></label>\n<button>Sign in</button>\n</form>`));
  let details;
  try {
    details = await provider.interactionDetails(request, response);
  } catch {
    return response.writeHead(400, { 'content-type': 'text/html; charset=utf-8' }).end(page('Refused', '<p>Nobody is to sign in here, or it took too long.'));
  }
  if (request.method !== 'POST') return show(200);
  const account = new URLSearchParams(await bodyOf(request)).get('account');
  const finish = (result) => provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  if (!account) return finish({ error: 'access_denied', error_description: 'The person said no' });
  if (!Object.hasOwn(ACCOUNTS, account)) return show(422, '<p>There is no such account.');
  const { params } = details;
  const grant = new provider.Grant({ accountId: account, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? SCOPES);
  for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, params.scope ?? SCOPES);
  return finish({ login: { accountId: account }, consent: { grantId: await grant.save() } });
}

/** What tests say to the provider as such. */
async function own(request, response, pathname) {
  const text = await bodyOf(request);
  const sent = text ? JSON.parse(text) : {};
  const commands = {
    'GET /test/counts': () => counts,
    'POST /test/down': () => ({ down: (state.down = sent.down === true) }),
    'POST /test/redirects': () => redirects(sent.uris),
    'POST /test/rotate': () => rotate(sent.alg),
    'POST /test/sign': () => signed(sent),
  };
  const command = commands[`${request.method} ${pathname}`];
  const answer = command ? await command() : { message: 'Not Found' };
  response.writeHead(command ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}

async function handle(request, response) {
  const { pathname } = new URL(request.url, state.issuer);
  if (pathname.startsWith('/test/')) return own(request, response, pathname);
  if (pathname.startsWith('/interaction/')) return interact(request, response);
  const counted = { '/.well-known/openid-configuration': 'discovery', '/jwks': 'jwks' }[pathname];
  if (counted) {
    counts[counted] += 1;
    if (state.down) return response.writeHead(503, { 'content-type': 'text/plain' }).end('down');
  }
  return state.callback(request, response);
}

const server = http.createServer((request, response) => {
  handle(request, response).catch((error) => {
    const known = error instanceof Wrong || error instanceof SyntaxError;
    if (!known) console.error(error);
    if (!response.headersSent) response.writeHead(known ? 400 : 500, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ message: error.message }));
  });
});
// Tests block meanwhile, and must find their connections as they left them.
server.keepAliveTimeout = 10 * 60 * 1000;

const end = () => process.exit(0);
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.stdin.on('end', end).on('error', end).resume();
server.listen(Number(options.port), '127.0.0.1', async () => {
  // The issuer has the port in it, so that the provider comes after the server.
  state.issuer = `http://127.0.0.1:${server.address().port}`;
  await rotate();
  console.log(JSON.stringify({ issuer: state.issuer }));
});
