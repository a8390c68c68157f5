// A queue simulation with a seeded generator: a bank with two tellers.
let s = 7;
const rnd = () => (s = (s * 48271) % 2147483647) / 2147483647;
const events = []; const at = (time, f) => { events.push({ time, f, id: events.length }); events.sort((a, b) => a.time - b.time || a.id - b.id); };
let now = 0, free = 2, served = 0, waited = 0; const queue = [];
const start = (arrived) => { free--; waited += now - arrived; at(now + 1 + Math.floor(rnd() * 5), () => { free++; served++; if (queue.length) start(queue.shift()); }); };
const arrive = () => { if (free) start(now); else queue.push(now); if (now < 300) at(now + 1 + Math.floor(rnd() * 3), arrive); };
at(0, arrive);
let longest = 0;
while (events.length) { const e = events.shift(); now = e.time; e.f(); longest = Math.max(longest, queue.length); }
console.log(now, served, longest, (waited / served).toFixed(3));
