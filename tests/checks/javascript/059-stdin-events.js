// Data and end events of process.stdin.
let text = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => { text += chunk; });
process.stdin.on('end', () => {
  const words = text.toLowerCase().match(/[a-z']+/g) ?? [];
  const counts = {};
  for (const w of words) counts[w] = (counts[w] || 0) + 1;
  const top = Object.entries(counts).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, 5);
  console.log(words.length, top);
});
console.log('waiting');
