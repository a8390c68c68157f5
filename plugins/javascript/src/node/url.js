// Addresses: the common part of the URL standard, for schemes with an authority and for others.

const SPECIAL = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };

function escape(text, keep) {
  let out = '';
  for (const char of text) out += keep.test(char) ? char : encodeURIComponent(char.isWellFormed() ? char : '\ufffd').replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return out;
}
const PATH = /[^\s"#<>?`{}\x00-\x20\x7f-\uffff]/;
const QUERY = /[^\s"#<>'\x00-\x20\x7f-\uffff]/;
const HASH = /[^\s"<>`\x00-\x20\x7f-\uffff]/;

function form(text) {
  return encodeURIComponent(String(text).toWellFormed()).replace(/%20/g, '+').replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function unform(text) {
  const spaced = text.replace(/\+/g, ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

const inspectCustom = Symbol.for('nodejs.util.inspect.custom');

export class URLSearchParams {
  #list = [];
  #owner = null;

  constructor(init = '', owner = null) {
    this.#owner = owner;
    if (typeof init === 'string') this.#parse(init);
    else if (init && typeof init[Symbol.iterator] === 'function') for (const [name, value] of init) this.#list.push([String(name), String(value)]);
    else if (init) for (const name of Object.keys(init)) this.#list.push([name, String(init[name])]);
  }
  #parse(text) {
    const query = text.startsWith('?') ? text.slice(1) : text;
    this.#list = [];
    for (const part of query.split('&')) {
      if (part === '') continue;
      const at = part.indexOf('=');
      this.#list.push(at < 0 ? [unform(part), ''] : [unform(part.slice(0, at)), unform(part.slice(at + 1))]);
    }
  }
  #changed() {
    this.#owner?.(this.toString());
  }
  append(name, value) {
    this.#list.push([String(name), String(value)]);
    this.#changed();
  }
  delete(name) {
    this.#list = this.#list.filter(([key]) => key !== String(name));
    this.#changed();
  }
  get(name) {
    return this.#list.find(([key]) => key === String(name))?.[1] ?? null;
  }
  getAll(name) {
    return this.#list.filter(([key]) => key === String(name)).map(([, value]) => value);
  }
  has(name) {
    return this.#list.some(([key]) => key === String(name));
  }
  set(name, value) {
    const at = this.#list.findIndex(([key]) => key === String(name));
    if (at < 0) this.#list.push([String(name), String(value)]);
    else {
      this.#list[at][1] = String(value);
      this.#list = this.#list.filter(([key], i) => key !== String(name) || i === at);
    }
    this.#changed();
  }
  sort() {
    this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }
  get size() {
    return this.#list.length;
  }
  forEach(callback, self) {
    for (const [name, value] of this.#list) callback.call(self, value, name, this);
  }
  *keys() {
    for (const [name] of this.#list) yield name;
  }
  *values() {
    for (const [, value] of this.#list) yield value;
  }
  *entries() {
    for (const [name, value] of this.#list) yield [name, value];
  }
  [Symbol.iterator]() {
    return this.entries();
  }
  toString() {
    return this.#list.map(([name, value]) => `${form(name)}=${form(value)}`).join('&');
  }
  [inspectCustom](depth, options, inspect) {
    const inner = this.#list.map(([name, value]) => `${inspect(name, options)} => ${inspect(value, options)}`);
    return inner.length ? `URLSearchParams { ${inner.join(', ')} }` : 'URLSearchParams {}';
  }
}

function invalid(input) {
  return Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input });
}

export class URL {
  #parts;
  #params = null;

  constructor(input, base) {
    this.#parts = parse(String(input).trim(), base === undefined ? null : new URL(base).#parts);
  }
  static canParse(input, base) {
    try {
      return Boolean(new URL(input, base));
    } catch {
      return false;
    }
  }
  static parse(input, base) {
    return URL.canParse(input, base) ? new URL(input, base) : null;
  }
  get href() {
    const p = this.#parts;
    const login = p.username || p.password ? `${p.username}${p.password ? `:${p.password}` : ''}@` : '';
    return `${p.protocol}${p.host === null ? '' : `//${login}${this.host}`}${p.pathname}${p.search}${p.hash}`;
  }
  set href(value) {
    this.#parts = parse(String(value), null);
    this.#params = null;
  }
  get origin() {
    return this.#parts.protocol in SPECIAL && this.#parts.protocol !== 'file:' ? `${this.#parts.protocol}//${this.host}` : 'null';
  }
  get protocol() {
    return this.#parts.protocol;
  }
  set protocol(value) {
    this.#parts.protocol = `${String(value).replace(/:.*$/, '').toLowerCase()}:`;
  }
  get username() {
    return this.#parts.username;
  }
  set username(value) {
    this.#parts.username = encodeURIComponent(value);
  }
  get password() {
    return this.#parts.password;
  }
  set password(value) {
    this.#parts.password = encodeURIComponent(value);
  }
  get host() {
    const { host, port } = this.#parts;
    return host === null ? '' : port ? `${host}:${port}` : host;
  }
  set host(value) {
    const [host, port = ''] = String(value).split(':');
    this.#parts.host = host.toLowerCase();
    this.port = port;
  }
  get hostname() {
    return this.#parts.host ?? '';
  }
  set hostname(value) {
    this.#parts.host = String(value).toLowerCase();
  }
  get port() {
    return this.#parts.port;
  }
  set port(value) {
    this.#parts.port = String(value) === SPECIAL[this.#parts.protocol] ? '' : String(value);
  }
  get pathname() {
    return this.#parts.pathname;
  }
  set pathname(value) {
    const path = escape(String(value), PATH);
    this.#parts.pathname = this.#parts.host !== null && !path.startsWith('/') ? `/${path}` : path;
  }
  get search() {
    return this.#parts.search === '?' ? '' : this.#parts.search;
  }
  set search(value) {
    const text = String(value).replace(/^\?/, '');
    this.#parts.search = text === '' ? '' : `?${escape(text, QUERY)}`;
    this.#params = null;
  }
  get searchParams() {
    this.#params ??= new URLSearchParams(this.#parts.search, (text) => {
      this.#parts.search = text === '' ? '' : `?${text}`;
    });
    return this.#params;
  }
  get hash() {
    return this.#parts.hash === '#' ? '' : this.#parts.hash;
  }
  set hash(value) {
    const text = String(value).replace(/^#/, '');
    this.#parts.hash = text === '' ? '' : `#${escape(text, HASH)}`;
  }
  toString() {
    return this.href;
  }
  toJSON() {
    return this.href;
  }
  [inspectCustom](depth, options, inspect) {
    const shown = {};
    for (const key of ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'searchParams', 'hash']) shown[key] = this[key];
    return `URL ${inspect(shown, options)}`;
  }
}

function parse(input, base) {
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(input);
  let rest = input;
  let hash = '';
  let search = '';
  const cutHash = rest.indexOf('#');
  if (cutHash >= 0) {
    hash = `#${escape(rest.slice(cutHash + 1), HASH)}`;
    rest = rest.slice(0, cutHash);
  }
  const cutSearch = rest.indexOf('?');
  if (cutSearch >= 0) {
    search = `?${escape(rest.slice(cutSearch + 1), QUERY)}`;
    rest = rest.slice(0, cutSearch);
  }
  if (!scheme) {
    if (base === null || base.host === null) throw invalid(input);
    if (rest.startsWith('//')) return parse(base.protocol + input, null);
    const parts = { ...base, hash, search };
    if (rest === '') return { ...parts, search: cutSearch >= 0 ? search : base.search };
    const path = rest.startsWith('/') ? rest : base.pathname.replace(/[^/]*$/, '') + rest;
    return { ...parts, pathname: dots(escape(path, PATH)) };
  }
  const protocol = `${scheme[1].toLowerCase()}:`;
  rest = rest.slice(scheme[0].length);
  const special = protocol in SPECIAL;
  if (special) rest = rest.replace(/\\/g, '/');
  if (!rest.startsWith('//')) {
    if (!special) return { protocol, username: '', password: '', host: null, port: '', pathname: rest, search, hash };
    rest = `//${rest.replace(/^\/+/, '')}`;
  }
  const [, authority, path] = /^\/\/([^/]*)(.*)$/.exec(rest);
  const at = authority.lastIndexOf('@');
  const [username = '', password = ''] = at < 0 ? [] : authority.slice(0, at).split(/:(.*)/s);
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:]*)(?::(\d*))?$/.exec(authority.slice(at + 1));
  if (!found) throw invalid(input);
  const host = found[1].toLowerCase();
  const number = found[2] ? Number(found[2]) : null;
  if ((special && host === '' && protocol !== 'file:') || /[\s<>^|%]/.test(host) || number > 65535) throw invalid(input);
  const port = number === null || String(number) === SPECIAL[protocol] ? '' : String(number);
  return { protocol, username, password, host, port, pathname: dots(escape(path || (special ? '/' : ''), PATH)), search, hash };
}

function dots(path) {
  const out = [];
  const parts = path.split('/').slice(1);
  parts.forEach((part, i) => {
    const last = i === parts.length - 1;
    if (part === '..') out.pop();
    else if (part !== '.') out.push(part);
    if (last && (part === '.' || part === '..')) out.push('');
  });
  return path === '' ? '' : `/${out.join('/')}`;
}

export const url = {
  URL,
  URLSearchParams,
  fileURLToPath: (value) => decodeURIComponent(new URL(value).pathname),
  pathToFileURL: (path) => new URL(`file://${path}`),
};
