// A lot of output, in many small and a few large pieces.
for (let i = 0; i < 400; i++) process.stdout.write(i % 20 === 19 ? `${i}\n` : `${i} `);
console.log('='.repeat(3000));
console.log(Array.from({ length: 60 }, (_, i) => `row ${i}: ${'#'.repeat(i % 30)}`).join('\n'));
let text = ''; for (let i = 0; i < 100; i++) text += String.fromCharCode(33 + i % 90); console.log(text, text.length); console.log(''); console.log(' '); console.log('\n'); process.stdout.write('no newline at the end');
