// What people at GitHub do to an App in the moment a request of it arrives: so that each call meets each refusal, which still follows from how things are.

import { Refusal } from './refusal.mjs';

const CHANGES = {
  /** Its tokens are taken back. */
  revoke: (world) => world.tokens.clear(),
  /** It may no more than read. */
  withdraw(world) {
    for (const one of [...world.installations, ...world.tokens.values()]) one.permissions = reading(one.permissions);
  },
  /** It is taken from the repositories. */
  remove(world) {
    for (const one of world.installations) one.repositories = [];
    for (const one of world.tokens.values()) one.narrowed &&= [];
  },
  /** It is suspended. */
  suspend(world) {
    for (const one of world.installations) one.suspended_at = world.now();
  },
};

const reading = (permissions) => Object.fromEntries(Object.keys(permissions).map((name) => [name, 'read']));

export class Moments {
  #world;
  #before;
  #next;

  constructor(world) {
    this.#world = world;
    this.#before = world.installations.map(({ permissions, repositories }) => ({ permissions, repositories }));
  }

  /** What is to happen when a request arrives that `only` matches; without it everything is as in the beginning. */
  set({ only, change }) {
    if (only === undefined) {
      this.#next = undefined;
      this.#world.installations.forEach((one, at) => Object.assign(one, this.#before[at], { suspended_at: null }));
      this.#world.tokens.clear();
      return {};
    }
    if (!(change in CHANGES)) throw new Refusal(400, `change is one of ${Object.keys(CHANGES).join(', ')}`);
    this.#next = { pattern: new RegExp(`^(?:${only})`), change, happened: false };
    return this.state();
  }

  state() {
    return { happened: this.#next?.happened ?? false };
  }

  /** A request arrives. */
  arrives(method, pathname) {
    const next = this.#next;
    if (!next || next.happened || !next.pattern.test(`${method} ${pathname}`)) return;
    next.happened = true;
    CHANGES[next.change](this.#world);
  }
}
