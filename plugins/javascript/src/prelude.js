// What the packages of the bundle look for while they load; it comes before them.
import { URL, URLSearchParams } from './node/url.js';

globalThis.Atomics ??= {};
globalThis.URL = URL;
globalThis.URLSearchParams = URLSearchParams;
globalThis.process = { env: {}, nextTick() {} };
