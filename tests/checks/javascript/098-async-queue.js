// A pool that runs at most two jobs at a time.
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
async function pool(jobs, limit) { const results = []; let next = 0, running = 0, most = 0; const worker = async () => { while (next < jobs.length) { const i = next++; running++; most = Math.max(most, running); try { results[i] = await jobs[i](); } catch (error) { results[i] = error.message; } running--; } }; await Promise.all(Array.from({ length: limit }, worker)); return { results, most }; }
const jobs = [5, 1, 4, 2, 3].map((ms, i) => async () => { await sleep(ms); if (i === 3) throw new Error('job 3'); return i * i; });
pool(jobs, 2).then((r) => console.log(r));
