// The conversation of the two instances: one asks and waits, the other answers or asks back.
import peer from 'infinity:agent/peer@0.1.0';
import { isArray, ownData, parse, stringify, slice } from '../primordials.js';
import { Codec, Malformed } from './codec.js';
import { Remotes } from './remotes.js';
import { decode, encode } from '../text.js';
import * as loop from '../loop.js';

const OUTPUT = 64 * 1024;
const NESTING = 2500;
// Calls that are open between the two at once.
const MOST_OPEN = 100;

// What can change the objects of the other side.
const MOVES = ['call', 'new', 'set', 'del', 'def', 'load', 'pump'];

export class Ended extends Error {}

// Checked before parsing: deep nesting would exhaust the stack.
function nestsTooDeeply(text) {
  if (text.length <= NESTING) return false;
  let depth = 0;
  let inText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inText) {
      if (code === 92) i++;
      else if (code === 34) inText = false;
    } else if (code === 34) inText = true;
    else if (code === 91 || code === 123) {
      if (++depth > NESTING) return true;
    } else if (code === 93 || code === 125) depth--;
  }
  return false;
}

export class Link {
  /// `answer(request, link)` does what the other side asks and gives back a value.
  constructor(side, answer) {
    this.remotes = new Remotes();
    this.codec = new Codec(side, this.remotes);
    this.remotes.ask = (request) => this.ask(request);
    this.remotes.trusted = side === 't';
    this.answer = answer;
    this.ended = false;
    /// What was printed here and not yet told.
    this.output = '';
    /// Errors here that nobody caught and that were not yet told.
    this.strays = [];
    this.onOutput = null;
    this.onStray = null;
    this.busy = false;
    this.due = null;
    this.depth = 0;
  }

  print(text) {
    if (this.output.length < OUTPUT) this.output += text;
  }

  // What goes along with every message.
  send(message, encoder) {
    const { codec } = this;
    message.now = loop.elapsed();
    if (this.output !== '') message.o = slice(this.output, 0, OUTPUT + 1);
    this.output = '';
    if (this.strays.length > 0) message.u = this.strays.map((error) => encoder.encode(error));
    this.strays = [];
    if (codec.settled.length > 0) message.s = codec.settled.map(({ i, ok, value }) => ({ i, ok, v: encoder.encode(value) }));
    codec.settled = [];
    const { busy, due } = loop.pending();
    message.b = busy;
    message.d = due;
    return this.exchange(encode(stringify(message)));
  }

  exchange(bytes) {
    if (this.ended) throw new Ended("the code's instance ended");
    const answer = peer.exchange(bytes);
    if (answer === null || answer === undefined) {
      this.ended = true;
      this.busy = false;
      this.due = null;
      throw new Ended("the code's instance ended");
    }
    return this.receive(answer);
  }

  receive(bytes) {
    const text = decode(bytes);
    if (nestsTooDeeply(text)) throw new Malformed('the other instance sent what is nested too deeply');
    let message;
    try {
      message = parse(text);
    } catch {
      throw new Malformed('the other instance sent no message');
    }
    if (message === null || typeof message !== 'object' || isArray(message)) throw new Malformed('the other instance sent no message');
    const now = ownData(message, 'now');
    const due = ownData(message, 'd');
    if (typeof now === 'number') this.onTime?.(now);
    this.busy = ownData(message, 'b') === true;
    this.due = typeof due === 'number' && due >= 0 ? due : null;
    const output = ownData(message, 'o');
    if (typeof output === 'string') this.onOutput?.(output);
    const decoder = this.codec.decoder();
    decoder.settle(ownData(message, 's'));
    const strays = ownData(message, 'u');
    if (isArray(strays)) for (let i = 0; i < strays.length; i++) this.onStray?.(decoder.decode(strays[i]));
    return message;
  }

  /// Asks the other side and gives back what it answered, or throws what it threw.
  ask({ q, h, k, self, a, until }) {
    if (MOVES.includes(q)) this.remotes.moves++;
    const encoder = this.codec.encoder();
    const message = { q };
    if (h !== undefined) message.h = h;
    if (k !== undefined) message.k = encoder.encode(k);
    if (a !== undefined) message.a = a.map((value) => encoder.encode(value));
    if (self !== undefined) message.self = encoder.encode(self);
    if (until !== undefined) message.until = until;
    let got = this.send(message, encoder);
    while (ownData(got, 'q') !== undefined) got = this.respond(got);
    return this.result(got);
  }

  result(message) {
    const decoder = this.codec.decoder();
    const back = ownData(message, 'back');
    if (isArray(back)) for (let i = 0; i < back.length; i++) decoder.decode(back[i]);
    if (getOwn(message, 'x')) throw decoder.decode(message.x);
    if (!getOwn(message, 'r')) throw new Malformed('the other instance gave no answer');
    return decoder.decode(message.r);
  }

  /// Does what a message asks, sends what came of it and gives back the next message.
  respond(message) {
    const decoder = this.codec.decoder();
    const encoder = this.codec.encoder();
    let reply;
    let before = [];
    this.depth++;
    try {
      if (this.depth > MOST_OPEN) throw new RangeError('Maximum call stack size exceeded');
      const request = {
        q: ownData(message, 'q'),
        h: ownData(message, 'h'),
        k: getOwn(message, 'k') ? decoder.decode(message.k) : undefined,
        self: getOwn(message, 'self') ? decoder.decode(message.self) : undefined,
        a: isArray(ownData(message, 'a')) ? message.a.map((value) => decoder.decode(value)) : [],
        until: ownData(message, 'until'),
      };
      before = decoder.got.map((value) => this.shallow(value));
      const value = this.answer(request);
      reply = { r: encoder.encode(value) };
    } catch (error) {
      if (error instanceof Ended) throw error;
      reply = { x: encoder.encode(error) };
    } finally {
      this.depth--;
    }
    // What was handed over and has changed goes back, unless it is in the answer already.
    const back = [];
    for (let i = 0; i < before.length; i++) {
      const value = decoder.got[i];
      if (encoder.passed.includes(value)) continue;
      if (this.shallow(value) !== before[i]) back.push(encoder.encode(value));
    }
    if (back.length > 0) reply = { ...reply, back };
    return this.send(reply, encoder);
  }

  // A value's own contents as text; what it contains counts by its identity.
  shallow(value) {
    const encoder = this.codec.encoder();
    const whole = encoder.encode.bind(encoder);
    let top = true;
    encoder.encode = (inner, depth) => {
      if (top || inner === null || typeof inner !== 'object') {
        top = false;
        return whole(inner, depth);
      }
      const known = this.codec.sharedIds.get(inner);
      return known === undefined ? whole(inner, depth) : { t: 'r', i: known };
    };
    return stringify(encoder.encode(value));
  }
}

function getOwn(object, key) {
  return ownData(object, key) !== undefined;
}
