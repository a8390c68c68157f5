// Retry with back-off, time-outs by race, abort signals.
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
async function retry(f, times) { for (let i = 1; ; i++) { try { return await f(i); } catch (error) { console.log('attempt', i, error.message); if (i === times) throw new Error('gave up', { cause: error }); await sleep(i); } } }
const timeout = (p, ms) => Promise.race([p, new Promise((_, no) => setTimeout(no, ms, new Error('timeout')))]);
(async () => {
  console.log(await retry(async (i) => { if (i < 3) throw new Error('not yet'); return 'ok ' + i; }, 5));
  await retry(() => { throw new Error('always'); }, 2).catch((e) => console.log(e.message, '<-', e.cause.message));
  await timeout(sleep(100000).constructor === Promise ? new Promise(() => {}) : null, 3).catch((e) => console.log(e.message));
  const c = new AbortController(); c.signal.addEventListener('abort', () => console.log('aborted', c.signal.aborted)); c.abort();
  process.exit(0);
})();
