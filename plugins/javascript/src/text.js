// UTF-8, which the engine has no names for.

/// The bytes of a text; halves of surrogate pairs become U+FFFD.
export function encode(text) {
  const { length } = text;
  let out = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      if (at >= out.length) out = grow(out, at + length - i);
      out[at++] = code;
      continue;
    }
    if (at + 4 > out.length) out = grow(out, at + 3 * (length - i) + 4);
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code < 0xdc00 ? text.charCodeAt(i + 1) : 0;
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i++;
      } else {
        code = 0xfffd;
      }
    }
    if (code < 0x800) {
      out[at++] = 0xc0 | (code >> 6);
    } else if (code < 0x10000) {
      out[at++] = 0xe0 | (code >> 12);
      out[at++] = 0x80 | ((code >> 6) & 63);
    } else {
      out[at++] = 0xf0 | (code >> 18);
      out[at++] = 0x80 | ((code >> 12) & 63);
      out[at++] = 0x80 | ((code >> 6) & 63);
    }
    out[at++] = 0x80 | (code & 63);
  }
  return out.subarray(0, at);
}

function grow(bytes, size) {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

const { fromCharCode } = String;

/// The text of bytes; what is no UTF-8 becomes U+FFFD, or an error if `fatal`.
export function decode(bytes, fatal = false) {
  let out = '';
  let units = [];
  const { length } = bytes;
  const bad = () => {
    if (fatal) {
      const error = new TypeError('The encoded data was not valid for encoding utf-8');
      error.code = 'ERR_ENCODING_INVALID_ENCODED_DATA';
      throw error;
    }
    units.push(0xfffd);
  };
  for (let i = 0; i < length; ) {
    const byte = bytes[i++];
    if (byte < 0x80) {
      units.push(byte);
    } else {
      const need = byte >= 0xf0 && byte < 0xf5 ? 3 : byte >= 0xe0 && byte < 0xf0 ? 2 : byte >= 0xc2 && byte < 0xe0 ? 1 : 0;
      let code = need === 3 ? byte & 7 : need === 2 ? byte & 15 : byte & 31;
      let got = 0;
      while (got < need && i < length) {
        const next = bytes[i];
        let low = 0x80;
        let high = 0xbf;
        if (got === 0) {
          if (byte === 0xe0) low = 0xa0;
          if (byte === 0xed) high = 0x9f;
          if (byte === 0xf0) low = 0x90;
          if (byte === 0xf4) high = 0x8f;
        }
        if (next < low || next > high) break;
        code = (code << 6) | (next & 63);
        got++;
        i++;
      }
      if (need === 0 || got < need) bad();
      else if (code < 0x10000) units.push(code);
      else units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    if (units.length > 4000) {
      out += fromCharCode(...units);
      units = [];
    }
  }
  return out + fromCharCode(...units);
}

export class TextEncoder {
  get encoding() {
    return 'utf-8';
  }
  encode(text = '') {
    return new Uint8Array(encode(String(text)));
  }
  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const char of String(text)) {
      const bytes = encode(char);
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += char.length;
    }
    return { read, written };
  }
}

export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBom;
  #rest = new Uint8Array(0);

  constructor(label = 'utf-8', options = {}) {
    const name = String(label).trim().toLowerCase();
    if (['utf-8', 'utf8', 'unicode-1-1-utf-8'].includes(name)) this.#encoding = 'utf-8';
    else if (['latin1', 'iso-8859-1', 'ascii', 'us-ascii', 'windows-1252'].includes(name)) this.#encoding = 'windows-1252';
    else if (['utf-16le', 'utf-16', 'ucs-2'].includes(name)) this.#encoding = 'utf-16le';
    else throw new RangeError(`The "${label}" encoding is not supported`);
    this.#fatal = Boolean(options.fatal);
    this.#ignoreBom = Boolean(options.ignoreBOM);
  }
  get encoding() {
    return this.#encoding;
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBom;
  }
  decode(input = new Uint8Array(0), { stream = false } = {}) {
    let bytes = input instanceof ArrayBuffer ? new Uint8Array(input) : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    if (this.#rest.length > 0) {
      const joined = new Uint8Array(this.#rest.length + bytes.length);
      joined.set(this.#rest);
      joined.set(bytes, this.#rest.length);
      bytes = joined;
      this.#rest = new Uint8Array(0);
    }
    let text;
    if (this.#encoding === 'utf-8') {
      if (stream) {
        // A character that is cut in two waits for its other half.
        let cut = bytes.length;
        for (let back = 1; back <= 3 && back <= bytes.length; back++) {
          const byte = bytes[bytes.length - back];
          if ((byte & 0xc0) === 0x80) continue;
          const need = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
          if (need > back) cut = bytes.length - back;
          break;
        }
        this.#rest = bytes.slice(cut);
        bytes = bytes.subarray(0, cut);
      }
      text = decode(bytes, this.#fatal);
    } else if (this.#encoding === 'utf-16le') {
      text = '';
      for (let i = 0; i + 1 < bytes.length; i += 2) text += fromCharCode(bytes[i] | (bytes[i + 1] << 8));
    } else {
      text = '';
      for (const byte of bytes) text += fromCharCode(byte);
    }
    return !this.#ignoreBom && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}
