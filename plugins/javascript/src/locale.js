// What programs use most of a locale, for American English, since the engine has none.

function group(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}

function formatNumber(value, options = {}) {
  if (Number.isNaN(value)) return 'NaN';
  const percent = options.style === 'percent';
  const money = options.style === 'currency';
  const symbol = money ? ({ USD: '$', EUR: '€', GBP: '£', JPY: '¥', INR: '₹' }[options.currency] ?? `${options.currency} `) : '';
  const amount = Math.abs(percent ? value * 100 : value);
  const minimum = options.minimumFractionDigits ?? (money ? (options.currency === 'JPY' ? 0 : 2) : 0);
  const maximum = options.maximumFractionDigits ?? Math.max(minimum, money ? minimum : percent ? 0 : 3);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (amount === Infinity) return `${sign}${symbol}∞${percent ? '%' : ''}`;
  let [whole, fraction = ''] = (amount < 1e21 ? amount.toFixed(maximum) : BigInt(amount).toString()).split('.');
  while (fraction.length > minimum && fraction.endsWith('0')) fraction = fraction.slice(0, -1);
  whole = whole.padStart(options.minimumIntegerDigits ?? 1, '0');
  if (options.useGrouping !== false) whole = group(whole);
  return `${sign}${symbol}${whole}${fraction ? `.${fraction}` : ''}${percent ? '%' : ''}`;
}

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

function datePart(date, options = {}) {
  const { weekday, year, month, day } = options;
  const two = (value, style) => (style === '2-digit' ? String(value).padStart(2, '0') : String(value));
  const yearText = year && (year === '2-digit' ? String(date.getFullYear() % 100).padStart(2, '0') : String(date.getFullYear()));
  const dayName = weekday && (weekday === 'long' ? DAYS[date.getDay()] : DAYS[date.getDay()].slice(0, 3));
  if (month === 'long' || month === 'short') {
    const name = month === 'long' ? MONTHS[date.getMonth()] : MONTHS[date.getMonth()].slice(0, 3);
    const first = [dayName, day ? `${name} ${two(date.getDate(), day)}` : name].filter(Boolean).join(', ');
    return yearText ? (day ? `${first}, ${yearText}` : `${first} ${yearText}`) : first;
  }
  const numeric = [month && two(date.getMonth() + 1, month), day && two(date.getDate(), day), yearText].filter(Boolean).join('/');
  return [dayName, numeric].filter(Boolean).join(', ');
}

function timePart(date, options = {}) {
  const hours = date.getHours();
  const minutes = String(date.getMinutes()).padStart(2, '0');
  const seconds = options.second === undefined && (options.hour || options.minute) ? '' : `:${String(date.getSeconds()).padStart(2, '0')}`;
  if (options.hour12 === false || options.hourCycle === 'h23') return `${String(hours).padStart(2, '0')}:${minutes}${seconds}`;
  const twelve = hours % 12 === 0 ? 12 : hours % 12;
  return `${options.hour === '2-digit' ? String(twelve).padStart(2, '0') : twelve}:${minutes}${seconds} ${hours < 12 ? 'AM' : 'PM'}`;
}

const NUMERIC = { year: 'numeric', month: 'numeric', day: 'numeric' };
const hasDate = (options) => options && ['weekday', 'year', 'month', 'day'].some((key) => options[key]);
const hasTime = (options) => options && ['hour', 'minute', 'second'].some((key) => options[key]);
const inZone = (date, options) => (options?.timeZone === undefined || options.timeZone === 'UTC' ? date : date);

// Letters before their case, as collation does; accents follow their letter.
function collate(a, b, options) {
  const left = a.normalize('NFD');
  const right = b.normalize('NFD');
  const strip = (text) => text.replace(/[\u0300-\u036f]/g, '');
  const baseA = strip(left).toLowerCase();
  const baseB = strip(right).toLowerCase();
  if (options?.numeric) {
    const parts = (text) => text.split(/(\d+)/);
    const pa = parts(baseA);
    const pb = parts(baseB);
    for (let i = 0; i < Math.min(pa.length, pb.length); i++) {
      const order = i % 2 ? Number(pa[i]) - Number(pb[i]) : byBase(pa[i], pb[i]);
      if (order !== 0) return order < 0 ? -1 : 1;
    }
    if (pa.length !== pb.length) return pa.length < pb.length ? -1 : 1;
  }
  const order = byBase(baseA, baseB);
  if (order !== 0 || options?.sensitivity === 'base') return order;
  const accents = left.toLowerCase();
  const others = right.toLowerCase();
  if (accents !== others && options?.sensitivity !== 'case') return accents < others ? -1 : 1;
  if (options?.sensitivity === 'accent' || a === b) return 0;
  // The small letter comes first.
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] === b[i]) continue;
    return a[i] === a[i].toLowerCase() ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

const weight = (char) => (/[a-z]/i.test(char) ? 3 : /\d/.test(char) ? 2 : /\s/.test(char) ? 0 : char > '\x7f' ? 4 : 1);
const PUNCTUATION = '_-,;:!?.\'"()[]{}@*/\\&#%`^+<=>|~$';

function byBase(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] === b[i]) continue;
    const order = weight(a[i]) - weight(b[i]);
    if (order !== 0) return order < 0 ? -1 : 1;
    if (weight(a[i]) === 1) return PUNCTUATION.indexOf(a[i]) < PUNCTUATION.indexOf(b[i]) ? -1 : 1;
    return a[i] < b[i] ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

function replace(prototype, name, method) {
  Object.defineProperty(prototype, name, { value: method, writable: true, configurable: true });
}

class NumberFormat {
  constructor(locale, options = {}) {
    Object.defineProperty(this, 'options', { value: options });
    this.format = (value) => (typeof value === 'bigint' ? group(String(value)) : formatNumber(Number(value), options));
  }
  resolvedOptions() {
    return { locale: 'en-US', ...this.options };
  }
}

class DateTimeFormat {
  constructor(locale, options) {
    this.format = (date) => (date ?? new Date()).toLocaleDateString(locale, options);
  }
  resolvedOptions() {
    return { locale: 'en-US', timeZone: 'UTC' };
  }
}

class Collator {
  constructor(locale, options) {
    this.compare = (a, b) => collate(String(a), String(b), options);
  }
}

class PluralRules {
  select(value) {
    return value === 1 ? 'one' : 'other';
  }
}

export function install() {
  replace(Number.prototype, 'toLocaleString', function toLocaleString(locale, options) {
    return formatNumber(Number(this), options);
  });
  replace(BigInt.prototype, 'toLocaleString', function toLocaleString() {
    const text = this.toString();
    return text.startsWith('-') ? `-${group(text.slice(1))}` : group(text);
  });
  replace(String.prototype, 'localeCompare', function localeCompare(other, locale, options) {
    return collate(String(this), String(other), options);
  });
  replace(Date.prototype, 'toLocaleDateString', function toLocaleDateString(locale, options) {
    const date = inZone(this, options);
    const day = datePart(date, hasDate(options) ? options : NUMERIC);
    return hasTime(options) ? `${day}, ${timePart(date, options)}` : day;
  });
  replace(Date.prototype, 'toLocaleTimeString', function toLocaleTimeString(locale, options) {
    return timePart(inZone(this, options), options);
  });
  replace(Date.prototype, 'toLocaleString', function toLocaleString(locale, options) {
    const date = inZone(this, options);
    if (hasDate(options) && !hasTime(options)) return datePart(date, options);
    if (hasTime(options) && !hasDate(options)) return timePart(date, options);
    return `${datePart(date, hasDate(options) ? options : NUMERIC)}, ${timePart(date, options)}`;
  });
  if (typeof Intl === 'undefined') {
    Object.defineProperty(globalThis, 'Intl', { value: { NumberFormat, DateTimeFormat, Collator, PluralRules }, writable: true, configurable: true });
  }
}
