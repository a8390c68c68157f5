// A month calendar and the weekday of dates by arithmetic, checked against Date.
function month(y, m) { const first = new Date(Date.UTC(y, m - 1, 1)).getUTCDay(), days = new Date(Date.UTC(y, m, 0)).getUTCDate(); const cells = [...Array(first).fill('  '), ...Array.from({ length: days }, (_, i) => String(i + 1).padStart(2))]; const lines = []; while (cells.length) lines.push(cells.splice(0, 7).join(' ')); return lines.join('\n'); }
console.log('Su Mo Tu We Th Fr Sa\n' + month(2024, 2));
const zeller = (y, m, d) => { if (m < 3) { m += 12; y--; } return (d + Math.floor(13 * (m + 1) / 5) + y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + 6) % 7; };
let ok = 0; for (let t = Date.UTC(1999, 11, 25); t < Date.UTC(2001, 2, 5); t += 86400000) { const d = new Date(t); if (zeller(d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate()) === d.getUTCDay()) ok++; } console.log(ok);
const add = (iso, n) => new Date(Date.parse(iso) + n * 864e5).toISOString().slice(0, 10); console.log(add('2024-02-28', 2), add('2023-12-31', 1), add('2000-03-01', -1));
const week = (iso) => { const d = new Date(iso); d.setUTCDate(d.getUTCDate() + 4 - (d.getUTCDay() || 7)); return Math.ceil(((d - Date.UTC(d.getUTCFullYear(), 0, 1)) / 864e5 + 1) / 7); }; console.log(['2024-01-01', '2023-01-01', '2020-12-31', '2021-01-03'].map(week));
