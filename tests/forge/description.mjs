// GitHub's published description of its REST API: which operation a request is, and whether requests, answers and webhook payloads are as described.

import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// The modules are installed elsewhere, so that this folder holds sources alone.
const folder = process.env.INFINITY_NODE_MODULES ?? path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(path.resolve(folder), 'from.js'));
const described = require('@octokit/openapi/generated/api.github.com.json');
const Ajv = require('ajv').default;
const addFormats = require('ajv-formats').default;

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** Parameters whose value may have slashes. */
const LONG = new Set(['ref', 'path', 'basehead', 'branch']);

/** Statuses that any operation may answer with, whether described for it or not. */
const ANYWHERE = (status) => [304, 401, 403, 404, 429].includes(status) || status >= 500;

/** Statuses that GitHub does answer with and that its description lacks. */
const UNDESCRIBED = {
  // Both say "No commit found for SHA".
  'POST /repos/{owner}/{repo}/check-runs': [422],
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': [422],
  'POST /repos/{owner}/{repo}/statuses/{sha}': [422],
  // An empty repository.
  'GET /repos/{owner}/{repo}/commits/{ref}/status': [409],
  'GET /repos/{owner}/{repo}/compare/{basehead}': [409],
};

function deref(node) {
  let found = node;
  while (found?.$ref) found = found.$ref.slice(2).split('/').reduce((at, part) => at[part.replaceAll('~1', '/')], described);
  return found;
}

function patternOf(template) {
  const parts = template.slice(1).split('/').map((part) => {
    const name = /^\{([^}]+)\}$/.exec(part)?.[1];
    // The root of a repository's contents has an empty path.
    if (name === 'path') return '(?:/(.*))?';
    if (name) return LONG.has(name) ? '/(.+)' : '/([^/]+)';
    return `/${part.split(/\{[^}]+\}/).map((text) => text.replace(/[.*+?^$()[\]|\\]/g, '\\$&')).join('([^/]+)')}`;
  });
  return new RegExp(`^${parts.join('') || '/'}$`);
}

// Here the description says that an account is a person and an enterprise at once.
const account = described.paths['/app/installations'].get.responses['200'].content['application/json'].schema.items.properties.account;
if (account.allOf) {
  account.anyOf = account.allOf;
  delete account.allOf;
}
// The older form of `/compare/{basehead}`.
delete described.paths['/repos/{owner}/{repo}/compare/{base}...{head}'];

const operations = Object.entries(described.paths).flatMap(([template, item]) => {
  const names = [...template.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
  const literal = template.split('/').filter((part) => part && !part.startsWith('{')).length;
  const pattern = patternOf(template);
  return METHODS.filter((method) => item[method]).map((method) => ({
    key: `${method.toUpperCase()} ${template}`,
    method: method.toUpperCase(),
    template,
    names,
    literal,
    pattern,
    long: names.filter((name) => LONG.has(name)).length,
    spec: item[method],
  }));
});
// Words before parameters: `/user/keys` is no `/user/{id}`.
operations.sort((one, other) => other.literal - one.literal || one.long - other.long);

/** The operation of a request with its path parameters as text; undefined where GitHub has none. */
export function operationOf(method, pathname) {
  for (const operation of operations) {
    if (operation.method !== method) continue;
    const match = operation.pattern.exec(pathname);
    if (!match) continue;
    try {
      return { ...operation, path: Object.fromEntries(operation.names.map((name, at) => [name, decodeURIComponent(match[at + 1] ?? '')])) };
    } catch {
      return undefined;
    }
  }
  return undefined;
}

/** Where people read about an operation. */
export const documentationOf = (operation) => operation?.spec.externalDocs?.url ?? 'https://docs.github.com/rest';

const IGNORED = new Set(['example', 'examples', 'nullable', 'discriminator', 'xml', 'externalDocs', 'deprecated', 'readOnly', 'writeOnly', 'description', 'title', 'x-github-breaking-changes']);
const idOf = (ref) => `schema:/${ref.split('/').at(-1)}`;

/** A schema of OpenAPI 3.0 as JSON Schema, where `nullable` is a type of its own. */
function jsonSchema(node) {
  if (Array.isArray(node)) return node.map(jsonSchema);
  if (node === null || typeof node !== 'object') return node;
  if (node.$ref) {
    need(node.$ref);
    return { $ref: idOf(node.$ref) };
  }
  const out = {};
  for (const [name, value] of Object.entries(node)) {
    if (IGNORED.has(name)) continue;
    if (name === 'properties') out.properties = Object.fromEntries(Object.entries(value).map(([member, one]) => [member, jsonSchema(one)]));
    else if (['enum', 'required', 'default'].includes(name)) out[name] = value;
    // Its alternatives overlap, so that no answer would be exactly one of them.
    else if (name === 'oneOf' && !node.anyOf) out.anyOf = jsonSchema(value);
    else if (typeof value === 'boolean' && name.startsWith('exclusiveM')) continue;
    else out[name] = jsonSchema(value);
  }
  return node.nullable ? { anyOf: [{ type: 'null' }, out] } : out;
}

const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, logger: false });
addFormats(ajv);
for (const name of ['timestamp', 'repo.nwo', 'binary']) ajv.addFormat(name, true);
// The addresses of GitHub's own bots, such as `1+app[bot]@users.noreply.github.com`, are stricter readers' errors.
ajv.addFormat('email', /^[^\s@]+@[^\s@]+$/);

const known = new Set();
/** Gives ajv a schema of the description when something first refers to it: all of them would take seconds. */
function need(ref) {
  if (known.has(ref)) return;
  known.add(ref);
  ajv.addSchema({ ...jsonSchema(deref({ $ref: ref })), $id: idOf(ref) });
}

const compiled = new Map();
function wrongIn(schema, value) {
  if (!compiled.has(schema)) compiled.set(schema, ajv.compile(jsonSchema(schema)));
  const validate = compiled.get(schema);
  if (validate(value)) return [];
  return validate.errors.slice(0, 8).map((error) => `${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`);
}

function alternatives(schema) {
  const found = deref(schema);
  const inner = [...(found.allOf ?? []), ...(found.anyOf ?? []), ...(found.oneOf ?? [])].flatMap(alternatives);
  return [found, ...inner];
}

/** Members of a value that no part of its schema knows. */
function strangersIn(schemas, value, at = '') {
  if (value === null || typeof value !== 'object') return [];
  const parts = schemas.flatMap(alternatives);
  if (Array.isArray(value)) {
    const items = parts.map((part) => part.items).filter(Boolean);
    return items.length === 0 ? [] : value.flatMap((one, index) => strangersIn(items, one, `${at}/${index}`));
  }
  const shaped = parts.filter((part) => part.properties);
  const open = shaped.length === 0 || parts.some((part) => part.additionalProperties);
  return Object.entries(value).flatMap(([name, one]) => {
    const of = shaped.map((part) => part.properties[name]).filter(Boolean);
    if (of.length > 0) return strangersIn(of, one, `${at}/${name}`);
    return open ? [] : [`${at}/${name} is not described`];
  });
}

const jsonOf = (content) => content && (content['application/json'] ?? Object.entries(content).find(([type]) => type.includes('json'))?.[1])?.schema;

function typed(schema, text) {
  const { type } = deref(schema) ?? {};
  if ((type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

/**
 * What is wrong with a request: `path`, `query` and `body` for which GitHub refuses it, `strangers` that GitHub passes over in silence. A body of `undefined` is none.
 */
export function wrongRequest(operation, query, body) {
  const parameters = (operation.spec.parameters ?? []).map(deref);
  const check = (where, name, text) => {
    const schema = parameters.find((one) => one.in === where && one.name === name)?.schema;
    return schema ? wrongIn(schema, typed(schema, text)).map((why) => `${where} parameter ${name}: ${why}`) : undefined;
  };
  const wrong = { path: [], query: [], body: [], strangers: [] };
  for (const [name, text] of Object.entries(operation.path)) wrong.path.push(...(check('path', name, text) ?? []));
  for (const [name, text] of query) {
    const why = check('query', name, text);
    if (why) wrong.query.push(...why);
    else wrong.strangers.push(`query parameter ${name} is not described`);
  }
  for (const { name } of parameters.filter((one) => one.in === 'query' && one.required && !query.has(one.name))) wrong.query.push(`query parameter ${name} is missing`);
  const taken = deref(operation.spec.requestBody);
  const schema = jsonOf(taken?.content);
  if (body === undefined && taken?.required) wrong.body.push('body is missing');
  if (body !== undefined && !schema) wrong.strangers.push('body: the operation takes none');
  if (body !== undefined && schema) {
    wrong.body.push(...wrongIn(schema, body).map((why) => `body ${why}`));
    wrong.strangers.push(...strangersIn([schema], body).map((why) => `body ${why}`));
  }
  return wrong;
}

const ERROR = { $ref: '#/components/schemas/basic-error' };

/** What is wrong with an answer. A body of `undefined` is none. */
export function wrongAnswer(operation, status, body) {
  const answer = deref(operation.spec.responses[String(status)]);
  if (!answer && !ANYWHERE(status) && !UNDESCRIBED[operation.key]?.includes(status)) return [`status ${status} is not described`];
  if (status === 304) return [];
  // Errors have a body, which the description sometimes leaves out.
  const schema = jsonOf(answer?.content) ?? (status >= 400 ? ERROR : undefined);
  if (body === undefined) return schema && status < 400 ? ['a body is missing'] : [];
  if (!schema) return ['a body is not described'];
  return wrongIn(schema, body).map((why) => `body ${why}`);
}

/** What is wrong with a webhook's payload. */
export function wrongPayload(event, payload) {
  const hooks = described['x-webhooks'];
  const name = event.replaceAll('_', '-');
  const hook = hooks[payload.action ? `${name}-${payload.action.replaceAll('_', '-')}` : name] ?? hooks[name];
  if (!hook) return [`there is no event ${event} ${payload.action ?? ''}`];
  return wrongIn(jsonOf(hook.post.requestBody.content), payload).map((why) => `payload ${why}`);
}
