// for await over the chunks of standard input.
(async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  console.log(text.length, JSON.stringify(text));
  const rows = text.trim().split('\n').map((r) => r.split(','));
  const [head, ...body] = rows;
  console.log(body.map((r) => Object.fromEntries(head.map((h, i) => [h, r[i]]))));
})();
