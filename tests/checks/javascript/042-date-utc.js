// Fixed dates, in UTC only.
const d = new Date(Date.UTC(2024, 1, 29, 12, 34, 56, 789));
console.log(d.toISOString(), d.getTime(), d.getUTCDay(), JSON.stringify({ d }), d.toUTCString());
console.log(new Date('2024-03-10').getTime(), new Date('2024-03-10T01:02:03Z').toISOString(), new Date('2024-03-10T01:02:03.5+02:00').toISOString(), Date.parse('nonsense'));
d.setUTCMonth(12); console.log(d.toISOString());
d.setUTCDate(0); console.log(d.toISOString());
d.setUTCHours(25, 61, 61, 1001); console.log(d.toISOString());
d.setUTCFullYear(2023, 1, 29); console.log(d.toISOString());
console.log(new Date(Date.UTC(2000, 0, 31)) - new Date(Date.UTC(2000, 0, 1)), new Date(0) < new Date(1), +new Date(5), new Date(8.64e15).toISOString(), Number.isNaN(+new Date(8.64e15 + 1)));
try { new Date(NaN).toISOString(); } catch (error) { console.log(error.name); }
console.log(new Date(-1).toISOString(), new Date(Date.UTC(99, 0)).getUTCFullYear(), new Date('-000001-01-01T00:00:00Z').getTime(), JSON.stringify(new Date(NaN)), String(new Date(NaN)), typeof Date.now());
for (let year = 1896; year <= 1908; year += 4) console.log(year, new Date(Date.UTC(year, 1, 29)).getUTCDate() === 29);
