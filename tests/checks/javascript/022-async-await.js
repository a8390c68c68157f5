// Sequential and parallel awaits; errors arrive as exceptions.
const wait = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));
const fail = (ms, message) => new Promise((_, reject) => setTimeout(() => reject(new Error(message)), ms));
async function main() {
  console.log(await wait(5, 'first'));
  console.log(await Promise.all([wait(8, 'a'), wait(2, 'b'), 'plain']));
  console.log(await Promise.race([wait(20, 'slow'), wait(2, 'fast')]));
  console.log(await Promise.any([fail(1, 'no'), wait(3, 'yes')]));
  console.log(await Promise.allSettled([wait(1, 1), fail(1, 'bad')]).then((rs) => rs.map((r) => r.status + ':' + (r.value ?? r.reason.message))));
  try { await fail(1, 'broken'); } catch (error) { console.log('caught', error.message); } finally { console.log('finally'); }
  try { await Promise.any([fail(1, 'x'), fail(2, 'y')]); } catch (error) { console.log(error.name, error.errors.map((e) => e.message)); }
  return 'result';
}
main().then(console.log);
