// What tests may set: outages, latency and limits of the rate. Nothing else is ever made to fail.

import { Refusal } from './refusal.mjs';

const STANDARD = { outage: 'none', only: null, after_applying: false, latency_ms: 0, rate_limit: null };
const OUTAGES = ['none', 'refuse', '503', 'hang'];

/** Requests in an hour, by who sends them. */
const HOURLY = { none: 60, user: 5000, app: 5000, installation: 5000 };
const HOUR_S = 3600;

const seconds = () => Math.floor(Date.now() / 1000);

export class Knobs {
  constructor() {
    this.windows = new Map();
    this.set({});
  }

  set(given) {
    const unknown = Object.keys(given).filter((name) => !(name in STANDARD));
    const set = { ...STANDARD, ...given };
    if (unknown.length > 0) throw new Refusal(400, `There is no knob ${unknown.join(', ')}`);
    if (!OUTAGES.includes(set.outage)) throw new Refusal(400, `outage is one of ${OUTAGES.join(', ')}`);
    this.pattern = set.only ? new RegExp(`^(?:${set.only})`) : undefined;
    this.values = set;
    this.requests = 0;
    this.refusedAt = undefined;
    this.window = set.rate_limit?.remaining === undefined ? undefined : { limit: HOURLY.installation, used: HOURLY.installation - set.rate_limit.remaining, reset: seconds() + (set.rate_limit.reset_in_s ?? HOUR_S) };
    return set;
  }

  get latency() {
    return this.values.latency_ms;
  }

  /** `before` or `after` where an outage strikes a request: before it takes effect, or when it was to be answered. */
  strikes(method, pathname, search) {
    const { outage, after_applying: late } = this.values;
    if (outage === 'none') return undefined;
    const asked = [`${method} ${pathname}`, `${method} ${pathname}${search}`];
    if (this.pattern && !asked.some((one) => this.pattern.test(one))) return undefined;
    return late ? 'after' : 'before';
  }

  /** What an outage looks like from outside. */
  strike(request, response) {
    // Whoever still sends is heard out, as an answer may else be lost.
    if (this.values.outage !== 'refuse') request.resume();
    if (this.values.outage === '503') {
      response.writeHead(503, { 'content-type': 'text/html; charset=utf-8' }).end('<!DOCTYPE html><title>Unicorn!</title><p>No server is currently available to service your request.');
    } else if (this.values.outage === 'refuse') {
      request.socket.destroy();
    }
    // `hang`: nothing is ever said. Whoever asks has to give up.
  }

  #windowOf(principal) {
    const { window } = this;
    if (window && seconds() < window.reset) return window;
    this.window = undefined;
    const who = `${principal.kind} ${principal.account?.id ?? principal.installation?.id ?? ''}`;
    const held = this.windows.get(who);
    if (held && seconds() < held.reset) return held;
    const made = { limit: HOURLY[principal.kind], used: 0, reset: seconds() + HOUR_S };
    this.windows.set(who, made);
    return made;
  }

  /** Counts a request, and refuses it where a limit is used up. */
  count(principal, { free = false } = {}) {
    const window = this.#windowOf(principal);
    const refused = window.used >= window.limit && !free;
    if (!refused && !free) window.used += 1;
    const limits = { limit: window.limit, used: window.used, remaining: window.limit - window.used, reset: window.reset };
    const headers = headersOf(limits);
    if (refused) {
      const who = { user: `user ID ${principal.account?.id}`, installation: `installation ID ${principal.installation?.id}` }[principal.kind] ?? 'your address';
      throw new Refusal(this.#status, `API rate limit exceeded for ${who}.`, { headers });
    }
    this.#secondary(headers, free);
    return { window, limits, headers };
  }

  /** GitHub answers either when a limit is used up. */
  get #status() {
    return this.values.rate_limit?.status ?? 403;
  }

  #secondary(headers, free) {
    const { secondary_after: after, retry_after_s: wait = 60 } = this.values.rate_limit ?? {};
    if (after === undefined || free) return;
    this.requests += 1;
    if (this.requests <= after) return;
    this.refusedAt ??= Date.now();
    const left = Math.ceil((this.refusedAt + wait * 1000 - Date.now()) / 1000);
    if (left <= 0) {
      // Whoever waited is let in again.
      this.values.rate_limit = null;
      return;
    }
    throw new Refusal(this.#status, 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.', { headers: { ...headers, 'retry-after': String(left) } });
  }

  /** An answer that says that nothing changed costs nothing. */
  giveBack({ window, limits }) {
    window.used -= 1;
    return headersOf({ ...limits, used: limits.used - 1, remaining: limits.remaining + 1 });
  }
}

const headersOf = ({ limit, used, remaining, reset }) => ({
  'x-ratelimit-limit': String(limit),
  'x-ratelimit-remaining': String(remaining),
  'x-ratelimit-used': String(used),
  'x-ratelimit-reset': String(reset),
  'x-ratelimit-resource': 'core',
});
