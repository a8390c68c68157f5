// A state machine with a transition table and errors for wrong moves.
const table = { idle: { coin: 'ready' }, ready: { push: 'idle', coin: 'ready', kick: 'broken' }, broken: {} };
class Machine { #state = 'idle'; history = []; send(e) { const next = table[this.#state][e]; if (!next) throw new Error(`no ${e} in ${this.#state}`); this.history.push(`${this.#state}-${e}->${next}`); this.#state = next; return this; } get state() { return this.#state; } toJSON() { return { state: this.#state, steps: this.history.length }; } [Symbol.toPrimitive](hint) { return hint === 'number' ? this.history.length : this.#state; } }
const m = new Machine(); m.send('coin').send('coin').send('push');
console.log(m.state, m.history, JSON.stringify(m), `${m}`, +m);
for (const e of ['push', 'coin', 'kick', 'coin']) try { console.log(m.send(e).state); } catch (error) { console.log(error.message); }
